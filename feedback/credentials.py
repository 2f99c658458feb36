"""Secrets of the services, by the names of their settings."""

import os
from pathlib import Path

from django.conf import settings
from dotenv import dotenv_values


def credential(name: str) -> str:
    """The secret called `name`, or an empty string where none is set."""
    return str(getattr(settings, name, "") or "")


def named_secret(name: str) -> str:
    """A secret whose name stands in the playbook, or "": from the environment, its file or `.env`.

    Read anew each time, so that a password put right in a file counts at the next poll.
    """
    if not name:
        return ""
    written = _written()
    path = os.environ.get(f"{name}_FILE") or written.get(f"{name}_FILE") or ""
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return ""
    return (os.environ.get(name) or written.get(name) or "").strip()


def _written() -> dict[str, str | None]:
    try:
        return dict(dotenv_values(settings.BASE_DIR / ".env"))
    except (OSError, ValueError):
        return {}
