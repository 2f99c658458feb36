"""What stops the service from doing its work, told until it is over."""

import logging
from collections.abc import Iterator

from django.utils import timezone

from feedback.models import FAILURES_TOLD, Source
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
    for source in Source.objects.in_trouble().order_by("name"):
        lines += [f"Source {source.name} {line}" for line in _lines(source)]
    return lines


def _lines(source: Source) -> Iterator[str]:
    if source.is_stopped:
        yield f"has stopped. {source.last_error}"
    elif source.failures >= FAILURES_TOLD:
        yield f"cannot be read and is tried again. {source.last_error}"
    if source.missed:
        yield f"could not be read whole: its service no longer lists {source.missed}."
