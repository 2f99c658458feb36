"""A real IMAP server (Dovecot) and a real SMTP server (aiosmtpd) on loopback, for tests.

What is handed to the SMTP server for a user of the IMAP server lies in their mailbox at once.
"""

import getpass
import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Self

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "support@genericcorp.com", "s3cret"
CONFIG = """
base_dir = {dir}/run
log_path = {dir}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
{capability}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
  chroot =
}}
mail_location = maildir:{dir}/mail/%u
first_valid_uid = 1
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
mail_max_userip_connections = 50
passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = scheme=PLAIN username_format=%u {dir}/users
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {dir}/oauth2.ext
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={dir}/home/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
}}
"""
OAUTH = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={dir}/keys/
username_attribute = email
issuers = https://idp.test/
"""


def needs_dovecot() -> None:
    """Leave the test out where Dovecot is not installed."""
    if not shutil.which("dovecot"):
        pytest.skip("needs dovecot")


class Dovecot:
    """A server with one user; `deliver` puts a mail into a mailbox as a delivery does."""

    def __init__(self, capability: str = "") -> None:
        # Not below pytest's own folder: the mail user may not enter that.
        self._folder = tempfile.TemporaryDirectory(prefix="feedback-mail-")
        self.folder = Path(self._folder.name)
        self.port, self.tls_port = free_port(), free_port()
        self.capability = f"imap_capability = {capability}" if capability else ""
        self.process: subprocess.Popen[bytes] | None = None
        self.count = 0

    def __enter__(self) -> Self:
        self._prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def _prepare(self) -> None:
        user, group = account()
        for name in ("run", "mail", "home", "keys/default/HS256"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", "/CN=localhost", "-addext"]
        command += ["subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command += ["-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem")]
        subprocess.run(command, check=True, capture_output=True)
        (self.folder / "users").write_text(f"{USER}:{PASSWORD}\n")
        (self.folder / "oauth2.ext").write_text(OAUTH.format(dir=self.folder))
        values = {"dir": self.folder, "port": self.port, "tls_port": self.tls_port}
        values |= {"user": user, "group": group, "capability": self.capability}
        (self.folder / "dovecot.conf").write_text(CONFIG.format(**values))
        if os.getuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                shutil.chown(path, user, group)

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, 20)

    def _answers(self) -> bool:
        try:
            with imaplib.IMAP4("127.0.0.1", self.port, timeout=5) as client:
                client.login(USER, PASSWORD)
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def stop(self) -> None:
        """Stop at once."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self) -> imaplib.IMAP4:
        """A mail program of the user's."""
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        client.login(USER, PASSWORD)
        return client

    def append(
        self, mail: bytes, box: str = "INBOX", at: datetime | None = None, flags: str = ""
    ) -> None:
        """Put a mail into a mailbox by IMAP."""
        with self.client() as client:
            date = imaplib.Time2Internaldate(at or datetime.now(UTC))
            status, told = client.append(box, flags, date, mail)
            assert status == "OK", told

    def deliver(self, *mails: bytes, box: str = "") -> None:
        """Put mails into the maildir, byte for byte, as a local delivery does."""
        base = self.folder / "mail" / USER / (f".{box}" if box else "")
        if not (base / "tmp").is_dir():
            with self.client() as client:
                client.select(box or "INBOX")
        until((base / "tmp").is_dir, 5)
        for mail in mails:
            self.count += 1
            name = f"{int(time.time())}.M{self.count:06d}P{os.getpid()}.test"
            path = base / "tmp" / name
            path.write_bytes(mail)
            if os.getuid() == 0:
                shutil.chown(path, *account())
            path.rename(base / "new" / name)

    def config(self, **values: Any) -> dict[str, Any]:
        """The table of a source that reads it."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "tls": False,
            "user": USER,
            "password_env": "SUPPORT_PASSWORD",
            "mailbox": "INBOX",
            "backfill": "864000s",
            **values,
        }


def account() -> tuple[str, str]:
    """The user and the group that the IMAP server runs as."""
    if os.getuid() == 0:
        return "nobody", grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    return getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


class Taken:
    """One mail that the SMTP server took."""

    def __init__(self, envelope: Envelope) -> None:
        self.sender = envelope.mail_from
        self.recipients = list(envelope.rcpt_tos)
        self.content = bytes(envelope.content or b"")


class Post:
    """The SMTP server. `refuse` answers for an address, `fault` at the end of a mail."""

    def __init__(
        self,
        dovecot: Dovecot | None = None,
        password: str = "",
        tls: str = "",  # "smtps" from the first byte, "smtp" by STARTTLS
        folder: Path | None = None,  # of the certificate
    ) -> None:
        self.dovecot, self.password, self.tls, self.folder = dovecot, password, tls, folder
        self.was_encrypted = False
        self.taken: list[Taken] = []
        self.refuse: Mapping[str, str] = {}
        self.fault: Callable[[Any, Taken], str | None] | None = None
        self.controller: Controller | None = None

    def __enter__(self) -> Self:
        options: dict[str, Any] = {}
        if self.password:
            options = {"authenticator": self._authenticate, "auth_required": True}
            options["auth_require_tls"] = self.tls == "smtp"
        if self.tls and self.folder:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
            options["ssl_context" if self.tls == "smtps" else "tls_context"] = context
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port(), **options)
        self.controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.controller:
            self.controller.stop()

    @property
    def url(self) -> str:
        """As EMAIL_URL has it."""
        assert self.controller
        return f"smtp://127.0.0.1:{self.controller.port}"

    def url_as(self, user: str, password: str) -> str:
        """The same with a login."""
        assert self.controller
        return f"{self.tls or 'smtp'}://{user}:{password}@127.0.0.1:{self.controller.port}"

    def _authenticate(
        self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self.was_encrypted = server.transport.get_extra_info("sslcontext") is not None
        is_right = isinstance(data, LoginPassword) and data.password.decode() == self.password
        return AuthResult(success=is_right, handled=False)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        taken = Taken(envelope)
        if self.fault:
            answer = self.fault(server, taken)
            if answer:
                return answer
        self.take(taken)
        return "250 Taken"

    def take(self, taken: Taken) -> None:
        """Keep a mail and deliver it where that is here."""
        self.taken.append(taken)
        if self.dovecot and USER in taken.recipients:
            self.dovecot.deliver(taken.content)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(is_so: Callable[[], Any], seconds: float) -> None:
    """Wait until something is so; fail if it never is."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            pytest.fail(f"it was not so within {seconds} s")
        time.sleep(0.02)


def make_mail(text: str = "It does not load.", **headers: str | None) -> bytes:
    """A mail by ann to support, with headers as given (`in_reply_to` is In-Reply-To)."""
    mail = EmailMessage()
    values: dict[str, str | None] = {
        "From": "Ann <ann@example.org>",
        "To": USER,
        "Subject": "Trouble",
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": f"<{time.monotonic_ns()}@example.org>",
    }
    values |= {name.replace("_", "-").title(): value for name, value in headers.items()}
    if "Message-Id" in values:
        values["Message-ID"] = values.pop("Message-Id")
    for name, value in values.items():
        if value is not None:
            mail[name] = value
    mail.set_content(text)
    return mail.as_bytes()


def trusting(folder: Path) -> ssl.SSLContext:
    """A context that trusts the server's own certificate."""
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))
