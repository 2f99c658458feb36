"""What a request says, in bounds: who sent it, its text, its numbers."""

from django.contrib.auth.models import User
from django.http import HttpRequest


def user_of(request: HttpRequest) -> User:
    """Who is logged in: the admin lets nobody else come here."""
    assert isinstance(request.user, User)
    return request.user


def text_of(request: HttpRequest, name: str = "text", default: str = "") -> str:
    """What was written in a field, with the line ends that everybody else uses."""
    return request.POST.get(name, default).replace("\r\n", "\n")


def number_of(text: str) -> int:
    """A row's number as an address or a form names it; 0, which no row has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
