"""The scheduler: asks the database once a second what is due, and hints at it only then.

Two of them by mistake only double the hints; claims make that harmless.
"""

import logging
import time
from typing import Any

from celery.beat import Scheduler
from django.db import close_old_connections, connection
from django.db.utils import Error
from django.utils import timezone

from feedback import hints, polling
from feedback.models import Item, Message
from triage.models import Clock, OutboxEntry
from triage.tracking import sync
from triage.tracking.models import IssueReport
from workers.listening import Listeners

TICK_SECONDS = 1.0
REPEAT_SECONDS = 5.0  # a stage that stays due is hinted at again no sooner than this

log = logging.getLogger(__name__)


class DueScheduler(Scheduler):
    """Celery's beat without a timetable: the database is the timetable."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.hinted: dict[tuple[Any, ...], float] = {}
        self.listeners = Listeners()
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Nothing to set up."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Hint at what is due. Returns the seconds until the next look."""
        try:
            for hint in due():
                self._send(hint)
            self.listeners.keep()
        except Error as error:  # locked or away for a moment: the next tick asks again
            log.warning("schedule.database", extra={"error": str(error)[:200]})
            connection.close()
        finally:
            if connection.settings_dict["CONN_MAX_AGE"] == 0:
                close_old_connections()
        return TICK_SECONDS

    def _send(self, hint: tuple[Any, ...]) -> None:
        now = time.monotonic()
        if now - self.hinted.get(hint, -REPEAT_SECONDS) >= REPEAT_SECONDS:
            self.hinted[hint] = now
            hints.send(*hint)


def due() -> list[tuple[Any, ...]]:
    """The stages that have work, with the ids of the sources to poll: a few indexed look-ups."""
    now = timezone.now()
    found: list[tuple[Any, ...]] = [("poll", pk) for pk in polling.due_sources(now)]
    if Item.objects.filter(triage_due_at__lte=now).exists():
        found.append(("triage",))
    if Clock.objects.due(now).exists():
        found.append(("sweep",))
    if OutboxEntry.objects.due(now).exists():
        found.append(("deliver",))
    if Message.objects.filter(look_again_at__lte=now).exists():
        found.append(("refresh",))
    if IssueReport.objects.filter(due_at__lte=now).exists():
        found.append(("track",))
    if sync.is_due(now):
        found.append(("follow",))
    return found
