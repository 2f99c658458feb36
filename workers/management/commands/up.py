"""Everything in one process tree on embedded defaults."""

import fcntl
import json
import os
import secrets
import shutil
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError

from feedback.commands import ServiceCommand
from triage.playbook import PlaybookError, store
from workers.app import hints_folder

ADMIN = "admin"


class Command(ServiceCommand):
    help = (
        "Run the whole service: web, worker and scheduler. Prints its address and, the first "
        "time, a one-time admin password. Example: BIND=127.0.0.1:9000 manage.py up"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """It has no arguments: settings come from the environment or .env."""

    def needs_database(self, options: dict[str, Any]) -> bool:
        """It sets one up itself, under its lock."""
        return False

    def handle(self, *args: Any, **options: Any) -> None:
        lock = _lock()
        _check_port()
        self._prepare()
        self._first_admin()
        self.stdout.write(f"Feedback triage runs at {address()} — Ctrl-C stops it.")
        self.stdout.flush()
        # The supervisor takes this process over: it needs no Django, and waits in a few megabytes.
        os.set_inheritable(lock.fileno(), True)
        module = ["-m", "workers.supervisor", json.dumps(commands())]
        os.execv(sys.executable, [sys.executable, *module])  # noqa: S606 - our own command line

    def _prepare(self) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        try:
            store.load_first()
        except PlaybookError as error:
            raise CommandError(str(error), returncode=2) from None
        if not settings.REDIS_URL:
            _forget_hints()

    def _first_admin(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser(username=ADMIN, password=password)
        self.stdout.write(
            f"First start: log in as {ADMIN} with the password {password}\n"
            "It is shown this once; change it under your name at the top right."
        )


def address() -> str:
    """Where a browser finds the service."""
    host = "127.0.0.1" if settings.BIND_HOST in ("0.0.0.0", "::") else settings.BIND_HOST  # noqa: S104
    return f"http://{host}:{settings.BIND_PORT}/"


def commands() -> dict[str, list[str]]:
    """The command line of each process."""
    # A container's only user is often root; celery's warning about it is no news there.
    silent = ["-W", "ignore:You're running the worker"]
    celery = [sys.executable, *silent, "-m", "celery", "-q", "-A", "workers.app"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return {
        "web": [
            *(sys.executable, "-m", "granian", "--interface", "wsgi"),
            *("--host", settings.BIND_HOST, "--port", str(settings.BIND_PORT)),
            *("--workers", "1", "--blocking-threads", "4", "--no-ws", "--log-level", "warning"),
            "feedback.wsgi:application",
        ],
        "worker": [*celery, "worker", "-P", "threads", "-c", "2", "-l", "WARNING", *quiet],
        "scheduler": [
            *(*celery, "beat", "-S", "workers.schedule:DueScheduler", "-l", "WARNING"),
            *("--pidfile", "", "--schedule", "unused"),
        ],
    }


def _forget_hints() -> None:
    """Hints of an earlier run are stale: the database knows what is due."""
    for name in ("m", "p"):
        shutil.rmtree(hints_folder() / name, ignore_errors=True)
        (hints_folder() / name).mkdir(parents=True, exist_ok=True, mode=0o700)


def _lock() -> Any:
    """The data folder is one service's at a time."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (settings.DATA_DIR / "up.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CommandError(
            f"The service runs already on {settings.DATA_DIR}. Stop it first, or set DATA_DIR.",
            returncode=2,
        ) from None
    return lock


def _check_port() -> None:
    family = socket.AF_INET6 if ":" in settings.BIND_HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.BIND_HOST, settings.BIND_PORT))
        except OSError as error:
            raise CommandError(
                f"{settings.BIND_HOST}:{settings.BIND_PORT} cannot be used ({error.strerror}). "
                "Set BIND to another host:port.",
                returncode=2,
            ) from None
