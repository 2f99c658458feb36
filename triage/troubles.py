"""What stops the service from doing its work, told until it is over."""

import logging

from django.utils import timezone

from feedback.models import Source
from feedback.vocabulary import MISSED
from triage.models import Trouble

log = logging.getLogger(__name__)


def begin(key: str, message: str) -> None:
    """Something stopped working. Said once in the log, and on every page until `end`."""
    values = {"message": message, "since": timezone.now()}
    _, is_new = Trouble.objects.get_or_create(key=key, defaults=values)
    if is_new:
        log.error("trouble.began", extra={"key": key, "reason": message})


def lasts(key: str) -> bool:
    """Whether it has begun and not ended."""
    return Trouble.objects.filter(key=key).exists()


def end(key: str) -> None:
    """It works again."""
    if Trouble.objects.filter(key=key).delete()[0]:
        log.warning("trouble.ended", extra={"key": key})


def present() -> list[str]:
    """One line for each trouble that lasts, sources that stopped or keep failing among them."""
    lines = list(Trouble.objects.order_by("since").values_list("message", flat=True))
    lines += [_line(source) for source in Source.objects.in_trouble().order_by("name")]
    gaps = Source.objects.with_gaps().order_by("name")
    return lines + [
        f"Source {one.name} could not read all: its service no longer lists {one.meter[MISSED]}."
        for one in gaps
    ]


def _line(source: Source) -> str:
    if source.is_stopped:
        return f"Source {source.name} has stopped. {source.last_error}"
    return f"Source {source.name} cannot be read and is tried again. {source.last_error}"
