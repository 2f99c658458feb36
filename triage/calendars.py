"""Working time: when a promise is due by a calendar of open hours.

All arithmetic is in UTC; local time only builds each day's open hours, so that days on which the
clocks change come out right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Span = tuple[datetime, datetime]
QUIET_DAYS = 400  # a calendar that is shut for longer never opens

MIDNIGHT = time(0)


class NeverDue(ValueError):
    """The calendar has no working time in the year after the start."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Open hours by weekday (0 is Monday) in a time zone, less days off.

    A closing time of midnight is the end of that day. Without `hours` it is always open.
    """

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    hours: Mapping[int, Sequence[tuple[time, time]]] | None = None
    off: frozenset[date] = frozenset()


ALWAYS = Calendar()


def due_at(
    start: datetime,
    target: timedelta,
    calendar: Calendar = ALWAYS,
    pauses: Sequence[Span] = (),
) -> datetime:
    """The instant at which `target` of working time has passed since `start`, pauses left out.

    Instants are aware, in UTC. Raises NeverDue if the calendar does not open for a year.
    """
    left = target
    for opens, closes in _working(start, calendar, sorted(pauses)):
        if closes - opens >= left:
            return opens + left
        left -= closes - opens
    raise NeverDue("The calendar has no working time in the year after the start.")


def _working(start: datetime, calendar: Calendar, pauses: Sequence[Span]) -> Iterator[Span]:
    """Open spans from `start` on, cut by the pauses."""
    for opens, closes in _open(start, calendar):
        at = opens
        for pause, resume in pauses:
            if resume <= at or pause >= closes:
                continue
            if pause > at:
                yield at, pause
            at = max(at, resume)
        if at < closes:
            yield at, closes


def _open(start: datetime, calendar: Calendar) -> Iterator[Span]:
    if calendar.hours is None:
        yield start, datetime.max.replace(tzinfo=UTC)
        return
    day = start.astimezone(calendar.zone).date() - timedelta(days=1)
    quiet = 0
    while quiet < QUIET_DAYS:
        quiet += 1
        for opens, closes in _day(day, calendar):
            if closes > max(start, opens):
                quiet = 0
                yield max(start, opens), closes
        day += timedelta(days=1)


def _day(day: date, calendar: Calendar) -> Iterator[Span]:
    if day in calendar.off or calendar.hours is None:
        return
    for opens, closes in calendar.hours.get(day.weekday(), ()):
        end = day + timedelta(days=1) if closes == MIDNIGHT else day
        yield (
            datetime.combine(day, opens, calendar.zone).astimezone(UTC),
            datetime.combine(end, closes, calendar.zone).astimezone(UTC),
        )
