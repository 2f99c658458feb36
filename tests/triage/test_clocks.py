"""Promises: started, kept in time or late, warned of and breached by the sweep."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from feedback.models import NO_CLOCK, HistoryEntry
from tests.make import LAUNCH, make_item
from triage import clocks
from triage.clocks import Promise
from triage.models import Clock, ClockKind
from triage.playbook import shipped

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def start(item, kind=ClockKind.RESPOND, target=HOUR, at=LAUNCH, calendar="always") -> Clock:
    board: list[Clock] = []
    clocks.start(board, item, Promise(kind, target, calendar), shipped(), at)
    clocks.save(board)
    return item.clocks.get(kind=kind)


def events() -> list[str]:
    return list(HistoryEntry.objects.order_by("pk").values_list("event", flat=True))


def test_a_clock_warns_at_its_share_and_then_breaches_once():
    clock = start(make_item())
    assert clock.warn_at == LAUNCH + 0.75 * HOUR
    clocks.sweep(LAUNCH + 0.7 * HOUR)
    assert events() == []
    clocks.sweep(LAUNCH + 0.8 * HOUR)
    clocks.sweep(LAUNCH + 0.9 * HOUR)
    assert events() == ["clock_warning"]
    clocks.sweep(LAUNCH + 2 * HOUR)
    clocks.sweep(LAUNCH + 3 * HOUR)
    assert events() == ["clock_warning", "clock_breached"]
    clock.refresh_from_db()
    assert (clock.breached_at, clock.next_event_at) == (clock.due_at, None)


def test_a_service_that_slept_through_both_tells_the_breach():
    start(make_item())
    clocks.sweep(LAUNCH + 5 * HOUR)
    assert events() == ["clock_breached"]


def test_kept_in_time_and_kept_late_are_told_apart():
    early, late = start(make_item()), start(make_item())
    clocks.meet([early], [ClockKind.RESPOND], LAUNCH + 0.5 * HOUR)
    clocks.meet([late], [ClockKind.RESPOND], LAUNCH + 2 * HOUR)
    assert early.breached_at is None
    assert late.breached_at == late.due_at


def test_an_answer_in_time_that_we_heard_of_late_takes_the_breach_back():
    clock = start(make_item())
    clocks.sweep(LAUNCH + 2 * HOUR)
    clock.refresh_from_db()
    clocks.meet([clock], [ClockKind.RESPOND], LAUNCH + 0.5 * HOUR)
    assert clock.breached_at is None


def test_a_stopped_clock_is_neither_kept_nor_breached():
    clock = start(make_item())
    clocks.stop([clock], LAUNCH)
    clocks.save([clock])
    clocks.sweep(LAUNCH + 2 * HOUR)
    clock.refresh_from_db()
    assert (clock.met_at, clock.breached_at, events()) == (None, None, [])


def test_business_hours_wait_for_the_morning():
    evening = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)  # Friday 18:00 in Los Angeles
    clock = start(make_item(), target=HOUR, at=evening, calendar="business")
    assert clock.due_at == datetime(2026, 2, 2, 17, 0, tzinfo=UTC)


def test_one_clock_of_a_kind_runs_at_a_time_and_the_most_urgent_orders_the_queue():
    item = make_item()
    board: list[Clock] = []
    for target in (HOUR, 2 * HOUR):
        clocks.start(board, item, Promise(ClockKind.RESPOND, target), shipped(), LAUNCH)
    clocks.start(board, item, Promise(ClockKind.FIX, 4 * HOUR), shipped(), LAUNCH)
    assert [clock.target for clock in board] == [HOUR, 4 * HOUR]
    assert clocks.urgency(board) == int((LAUNCH + HOUR).timestamp() * 1_000_000)
    clocks.stop(board, LAUNCH)
    assert clocks.urgency(board) == NO_CLOCK


def test_the_sweep_costs_what_is_due_not_what_is_open(django_assert_max_num_queries):
    item = make_item()
    for n in range(20):
        start(make_item(item.source), at=LAUNCH + n * 10 * HOUR)
    with django_assert_max_num_queries(6):
        clocks.sweep(LAUNCH + HOUR)
    assert len(events()) == 1


def test_the_sweep_goes_by_the_present_time():
    start(make_item(), at=timezone.now())
    with time_machine.travel(timezone.now() + 2 * HOUR):
        clocks.sweep()
    assert events() == ["clock_breached"]
