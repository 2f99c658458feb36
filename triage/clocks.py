"""The one mechanism of promises: start, meet, stop and sweep clocks.

The functions work on an item's clocks as a list in memory and `save` writes what changed, so
that a whole batch of items costs few queries. `Clock.next_event_at` is all that the sweep reads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from feedback.models import NO_CLOCK, HistoryEntry, Item
from feedback.vocabulary import Severity
from triage.calendars import Calendar, due_at
from triage.models import Clock, ClockKind
from triage.playbook import Playbook

REPLY_MEETS = (
    ClockKind.ACKNOWLEDGE,
    ClockKind.RESPOND,
    ClockKind.NEXT_RESPONSE,
)
SWEEP_BATCH = 200
STATE_FIELDS = ["next_event_at", "warned_at", "breached_at", "met_at", "stopped_at"]


@dataclass(frozen=True, slots=True)
class Promise:
    """What the playbook promises for one item: a target of working time in a calendar."""

    kind: ClockKind
    target: timedelta
    calendar: str = "always"


def promises(severity: str, respond: timedelta | None, playbook: Playbook) -> list[Promise]:
    """The clocks that a reading starts; a target that is not set means no clock."""
    made = [Promise(ClockKind.RESPOND, respond)] if respond else []
    rule = playbook.severities.get(Severity(severity)) if severity else None
    if rule and rule.acknowledge:
        made.append(Promise(ClockKind.ACKNOWLEDGE, rule.acknowledge, rule.calendar))
    if rule and rule.fix:
        made.append(Promise(ClockKind.FIX, rule.fix, rule.calendar))
    return made


def start(
    clocks: list[Clock], item: Item, promise: Promise, playbook: Playbook, at: datetime
) -> None:
    """Start a clock unless one of its kind runs already."""
    if any(clock.kind == promise.kind for clock in running(clocks)):
        return
    calendar: Calendar = playbook.calendar(promise.calendar)
    warn_at = due_at(at, promise.target * playbook.clocks.warn_at, calendar)
    clocks.append(
        Clock(
            item=item,
            kind=promise.kind,
            calendar=promise.calendar,
            target=promise.target,
            started_at=at,
            warn_at=warn_at,
            due_at=due_at(at, promise.target, calendar),
            next_event_at=warn_at,
        )
    )


def meet(clocks: Iterable[Clock], kinds: Sequence[str], at: datetime) -> list[Clock]:
    """Keep the promises of these kinds that were made before `at`; a late one stays breached."""
    met = [clock for clock in running(clocks) if clock.kind in kinds]
    for clock in met:
        clock.met_at = max(at, clock.started_at)
        clock.next_event_at = None
        if clock.met_at > clock.due_at:
            clock.breached_at = clock.due_at
        elif clock.breached_at:  # met in time, but we heard of it late
            clock.breached_at = None
    return met


def stop(clocks: Iterable[Clock], at: datetime, kinds: Sequence[str] = ClockKind.values) -> None:
    """Take back promises without meeting them."""
    for clock in running(clocks):
        if clock.kind in kinds:
            clock.stopped_at, clock.next_event_at = at, None


def running(clocks: Iterable[Clock]) -> list[Clock]:
    """The promises that are still open, breached ones included."""
    return [clock for clock in clocks if clock.met_at is None and clock.stopped_at is None]


def urgency(clocks: Iterable[Clock]) -> int:
    """When the most urgent running clock is due, in microseconds of Unix time."""
    due = [clock.due_at for clock in running(clocks)]
    return int(min(due).timestamp() * 1_000_000) if due else NO_CLOCK


def save(clocks: Sequence[Clock]) -> None:
    """Write new clocks, and the state of those that were there already."""
    Clock.objects.bulk_update([clock for clock in clocks if clock.pk], STATE_FIELDS)
    Clock.objects.bulk_create([clock for clock in clocks if not clock.pk])


def sweep(now: datetime | None = None, limit: int = SWEEP_BATCH) -> bool:
    """Mark the warnings and breaches that have come. Returns whether there may be more."""
    now = now or timezone.now()
    with transaction.atomic():
        due = list(Clock.objects.due(now).select_for_update(skip_locked=True)[:limit])
        entries = [_event(clock, now) for clock in due]
        Clock.objects.bulk_update(due, ["next_event_at", "warned_at", "breached_at"])
        HistoryEntry.objects.bulk_create(entries)
    return len(due) == limit


def _event(clock: Clock, now: datetime) -> HistoryEntry:
    """Move one clock to its next event and tell its item's history."""
    if now >= clock.due_at:
        clock.breached_at, clock.next_event_at, event = clock.due_at, None, "clock_breached"
    else:
        clock.warned_at, clock.next_event_at, event = now, clock.due_at, "clock_warning"
    detail = {"clock": clock.kind, "due_at": clock.due_at.isoformat()}
    return HistoryEntry(item_id=clock.item_id, at=now, event=event, detail=detail)
