"""Secrets of the services, by the names of their settings."""

from django.conf import settings


def credential(name: str) -> str:
    """The secret called `name`, or an empty string where none is set."""
    return str(getattr(settings, name, "") or "")
