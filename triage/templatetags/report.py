"""What the report's templates need beyond Django's own."""

from django import template

from feedback.vocabulary import Channel
from triage.models import ClockKind

register = template.Library()


@register.filter
def channel_name(channel: str) -> str:
    """A channel as people call it."""
    return str(dict(Channel.choices).get(channel, channel))


@register.filter
def clock_name(kind: str) -> str:
    """A clock's kind as people call it."""
    return str(dict(ClockKind.choices).get(kind, kind))


@register.filter
def is_link(url: str) -> bool:
    """Whether an address from outside may be a link."""
    return url.startswith(("https://", "http://"))


@register.filter
def share(value: float) -> str:
    """A share as a whole percentage."""
    return f"{value:.0%}"
