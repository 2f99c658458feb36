#!/bin/sh
# Debian packages that some tests need: installed where we may, named where we may not.
# The tests that lack them are left out, and the run says so at its end.
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v dovecot >/dev/null 2>&1 || missing="$missing dovecot-imapd"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian packages:$missing"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; } >/dev/null 2>&1 && exit 0
fi
echo "Not installed here:$missing. The tests that need them will be left out. To have them:"
echo "  sudo apt-get install -y$missing"
exit 0
