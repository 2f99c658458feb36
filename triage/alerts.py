"""Telling people what the service cannot mend by itself: on every page, and in Slack.

The page shows what `troubles.present` says; Slack is told of each thing once, of a source that
goes on failing once a day. It hears too of a bug that was not fixed after all.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Q
from django.utils import timezone

from feedback import slack
from feedback.channels.base import Sent, SourceStopped, Unknown
from feedback.hints import hint
from feedback.models import FAILURES_TOLD, Source
from triage.models import OutboxEntry, Trouble
from triage.outbox import Outcome
from triage.tracking.models import TrackedIssue, TrackedState

ALERT = "alert"


def tell() -> None:
    """Have Slack told of what it has not been told of yet."""
    if not slack.is_set():
        return
    now = timezone.now()
    for key, text in (*_of_sources(now), *_of_troubles(), *_of_reopened()):
        _, is_new = OutboxEntry.objects.get_or_create(
            key=f"alert:{key}",
            defaults={
                "kind": ALERT,
                "channel": "slack",
                "payload": {"text": f":rotating_light: {text}"},
                "next_attempt_at": now,
                "created_at": now,
            },
        )
        if is_new:
            hint("deliver")


def _of_sources(now: datetime) -> Iterator[tuple[str, str]]:
    """What is wrong with sources, with a key that is another one when it is news."""
    for source in Source.objects.in_trouble():
        why = slack.escaped(source.last_error)
        if source.is_stopped:
            at = source.last_polled_at or now
            text = f"has stopped: nothing new is read there. {why} "
            text += "Then choose it under Sources and “Poll now”."
            yield f"source:{source.pk}:{at:%Y%m%dT%H%M%S%f}", _named(source, text)
        elif source.failures >= FAILURES_TOLD:
            text = f"could not be read {source.failures} times and is tried again. {why}"
            yield f"failing:{source.pk}:{now:%Y%m%d}", _named(source, text)
        if source.missed:
            text = "could not be read whole: its service no longer lists "
            text += f"{slack.escaped(source.missed)}. Look there by hand."
            digest = hashlib.sha256(source.missed.encode()).hexdigest()[:16]
            yield f"gap:{source.pk}:{digest}", _named(source, text)


def _of_troubles() -> Iterator[tuple[str, str]]:
    for trouble in Trouble.objects.all():
        key = f"trouble:{trouble.key}:{trouble.since:%Y%m%dT%H%M%S%f}"
        yield key, slack.escaped(trouble.message)


def _of_reopened() -> Iterator[tuple[str, str]]:
    """Issues that were not fixed after all; each time is news."""
    rows = TrackedIssue.objects.filter(state=TrackedState.OPEN, state_reason="reopened")
    times = Count("events", filter=Q(events__event="reopened"))
    for tracked in rows.annotate(times=times):
        title = "" if tracked.is_private else f" ({slack.escaped(tracked.title)})"
        text = f"{tracked.name}{title} was opened again on GitHub: it is not fixed after all. "
        text += f"The items of its reports ({tracked.reports}) are back in the queue. {tracked.url}"
        yield f"reopened:{tracked.pk}:{tracked.times}", text


def _named(source: Source, text: str) -> str:
    return f"The source *{slack.escaped(source.name)}* ({source.get_channel_display()}) {text}"


class AlertDoor:
    """A text for Slack's webhook."""

    def __init__(self, entry: OutboxEntry) -> None:
        if "text" not in entry.payload:
            raise SourceStopped("The alert has no text.")
        self._text = str(entry.payload["text"])

    def before(self) -> None:
        """An alert waits for nothing."""

    def send(self) -> Outcome:
        """Send the text."""
        return slack.send(self._text)

    def find(self) -> Unknown:
        """The page says it too, so nobody need be asked."""
        return Unknown("Slack does not say whether it arrived; every page shows it as well.")

    def arrived(self, sent: Sent, now: datetime) -> None:
        """The entry says all there is."""
