"""Telling people what the service cannot mend by itself: on every page, and in Slack.

The page shows what `troubles.present` says; Slack is told once of each source that stops.
"""

from datetime import datetime

from django.utils import timezone

from feedback import slack
from feedback.channels.base import Sent, SourceStopped, Unknown
from feedback.hints import hint
from feedback.models import Source
from triage.models import OutboxEntry
from triage.outbox import Outcome

ALERT = "alert"


def tell_stopped() -> None:
    """Have Slack told of the sources that have stopped; of each stop once."""
    if not slack.is_set():
        return
    now = timezone.now()
    for source in Source.objects.filter(enabled=True, is_stopped=True):
        at = source.last_polled_at or now
        _, is_new = OutboxEntry.objects.get_or_create(
            key=f"alert:source:{source.pk}:{at:%Y%m%dT%H%M%S%f}",
            defaults={
                "kind": ALERT,
                "channel": "slack",
                "payload": {"text": stopped_text(source)},
                "next_attempt_at": now,
                "created_at": now,
            },
        )
        if is_new:
            hint("deliver")


def stopped_text(source: Source) -> str:
    """One clear message: what stopped, why, and what to do."""
    why = slack.escaped(source.last_error)
    return (
        f":rotating_light: The source *{slack.escaped(source.name)}* "
        f"({source.get_channel_display()}) has stopped: nothing new is read there. {why} "
        "Then choose it under Sources and “Poll now”."
    )


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
