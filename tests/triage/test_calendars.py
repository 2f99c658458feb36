"""Working time, checked against a counter of minutes."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.calendars import ALWAYS, Calendar, NeverDue, Span, due_at

NINE_TO_FIVE = {day: [(time(9), time(12)), (time(13), time(17, 30))] for day in range(5)}
NIGHTS = {day: [(time(0), time(3)), (time(22), time(0))] for day in range(7)}
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def by_counting(start: datetime, minutes: int, calendar: Calendar, pauses: list[Span]) -> datetime:
    """The due instant found by walking minute by minute: slow and plain."""
    at = start
    while True:
        local = at.astimezone(calendar.zone)
        hours = (calendar.hours or {}).get(local.weekday(), [])
        is_open = any(a <= local.time() < (b if b != time(0) else time.max) for a, b in hours)
        is_paused = any(pause <= at < resume for pause, resume in pauses)
        if is_open and local.date() not in calendar.off and not is_paused:
            minutes -= 1
        at += timedelta(minutes=1)
        if not minutes:
            return at


@settings(max_examples=100, deadline=None)
@given(
    zone=st.sampled_from(
        ["America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"]
    ),
    hours=st.sampled_from([NINE_TO_FIVE, NIGHTS]),
    begin=st.integers(0, 365 * 1440),
    minutes=st.integers(1, 1200),
    pauses=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 900)), max_size=2),
)
def test_due_time_agrees_with_a_count_of_minutes(zone, hours, begin, minutes, pauses):
    off = frozenset({date(2026, 7, 3), date(2026, 12, 25)})
    calendar = Calendar(ZoneInfo(zone), hours, off)
    start = NEW_YEAR + timedelta(minutes=begin)
    spans = [
        (start + timedelta(minutes=a), start + timedelta(minutes=a + length))
        for a, length in pauses
    ]
    target = timedelta(minutes=minutes)
    assert due_at(start, target, calendar, spans) == by_counting(start, minutes, calendar, spans)


def test_a_calendar_that_never_shuts_adds_the_target():
    assert due_at(NEW_YEAR, timedelta(minutes=5), ALWAYS) == NEW_YEAR + timedelta(minutes=5)


def test_a_friday_evening_report_is_due_on_monday():
    calendar = Calendar(LOS_ANGELES, NINE_TO_FIVE)
    friday = datetime(2026, 1, 30, 18, 0, tzinfo=LOS_ANGELES).astimezone(UTC)
    monday = datetime(2026, 2, 2, 10, 0, tzinfo=LOS_ANGELES).astimezone(UTC)
    assert due_at(friday, timedelta(hours=1), calendar) == monday


def test_a_calendar_without_hours_is_never_due():
    with pytest.raises(NeverDue):
        due_at(NEW_YEAR, timedelta(minutes=1), Calendar(hours={}))
