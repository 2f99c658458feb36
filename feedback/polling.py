"""Reading one source: claim it, ask its channel, hand what it read to intake.

`Source.next_poll_at` is the claim: moved ahead by LEASE while a poll runs, so that one source is
polled once at a time however many workers there are, and comes due again by itself if a poll dies.
"""

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from feedback import figures
from feedback.channels import make_channel
from feedback.channels.base import Batch, SourceStopped, TryLater
from feedback.hints import send
from feedback.intake import LostClaim, Taken, take_in, team_of
from feedback.models import Source

LEASE = timedelta(minutes=5)
BACKOFF_FIRST = timedelta(seconds=30)
BACKOFF_LIMIT = timedelta(hours=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll of a source came to; `error` is empty when it went well."""

    source: str
    taken: Taken
    wait: timedelta
    error: str = ""


def poll(source_id: int, *, force: bool = False) -> Polled | None:
    """Poll a source until it has no more to give at once.

    Returns None if it is not due (or, with `force`, disabled) or somebody else is polling it.
    """
    source = _claim(source_id, timezone.now(), force)
    if source is None:
        return None
    taken = Taken()
    try:
        channel = make_channel(source.channel, source.config, team_of(source))
        while True:
            batch = channel.poll(source.position())
            now = timezone.now()
            wait = _wait(source, batch)
            lease, source.next_poll_at = source.next_poll_at, now + (LEASE if batch.more else wait)
            taken += take_in(source, batch, next_poll_at=source.next_poll_at, lease=lease)
            source.cursor = batch.cursor
            if batch.failure:
                raise batch.failure
            if not batch.more:
                figures.note(source, channel)
                log.info("source.polled", extra={"source": source.name, "new": taken.new})
                return Polled(source.name, taken, wait)
    except LostClaim:
        return Polled(source.name, taken, LEASE, "Another poll of this source is under way.")
    except SourceStopped as error:
        return _stop(source, taken, str(error))
    except TryLater as error:
        return _later(source, taken, str(error), error.wait)
    except Exception as error:  # a defect of ours must not end the worker or hide itself
        log.exception("source.failed", extra={"source": source.name})
        return _later(source, taken, f"Unexpected {type(error).__name__}: {error}", None)


def wake(source_id: int) -> bool:
    """Have a source that waits polled now: its service says that there is something new.

    Returns False if it is being polled, and has to be woken again: what is new may come too late
    for that poll.
    """
    now = timezone.now()
    waiting = Source.objects.filter(pk=source_id, enabled=True, is_stopped=False)
    if waiting.filter(is_polling=True, next_poll_at__gt=now).exists():
        return False
    waiting.filter(next_poll_at__gt=now, is_polling=False).update(next_poll_at=now)
    send("poll", source_id)
    return True


def due_sources(now: datetime) -> Iterator[int]:
    """Ids of the sources whose next poll has come."""
    yield from Source.objects.due(now).values_list("pk", flat=True)


def _claim(source_id: int, now: datetime, force: bool) -> Source | None:
    source = Source.objects.filter(pk=source_id, enabled=True).first()
    if source is None:
        return None
    if not force and (source.is_stopped or not source.next_poll_at or source.next_poll_at > now):
        return None
    lease = now + LEASE
    mine = Source.objects.filter(pk=source_id, next_poll_at=source.next_poll_at)
    if not mine.update(next_poll_at=lease, is_stopped=False, is_polling=True):
        return None
    source.next_poll_at = lease
    return source


def _wait(source: Source, batch: Batch) -> timedelta:
    if batch.wait is not None:
        return batch.wait
    # Up to a tenth sooner, so that sources with one interval do not poll in step.
    usual = source.every * (1 - random.random() / 10)
    return max(usual, batch.no_sooner or usual)


def _stop(source: Source, taken: Taken, message: str) -> Polled:
    log.warning("source.stopped", extra={"source": source.name, "reason": message})
    Source.objects.filter(pk=source.pk, next_poll_at=source.next_poll_at).update(
        is_stopped=True,
        is_polling=False,
        last_error=message[:2000],
        last_polled_at=timezone.now(),
    )
    return Polled(source.name, taken, timedelta(0), message)


def _later(source: Source, taken: Taken, message: str, wait: timedelta | None) -> Polled:
    failures = source.failures + 1
    backoff = min(BACKOFF_FIRST * 2 ** min(failures - 1, 10), BACKOFF_LIMIT)
    wait = max(wait or timedelta(0), backoff * (0.75 + random.random() / 2))
    now = timezone.now()
    log.warning("source.later", extra={"source": source.name, "reason": message})
    Source.objects.filter(pk=source.pk, next_poll_at=source.next_poll_at).update(
        next_poll_at=now + wait,
        failures=failures,
        is_polling=False,
        last_error=message[:2000],
        last_polled_at=now,
    )
    return Polled(source.name, taken, wait, message)
