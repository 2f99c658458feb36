"""The sweep costs the same at a thousand open clocks and at a hundred thousand."""

import statistics
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from feedback.models import HistoryEntry, Item
from tests.make import make_source
from triage import clocks
from triage.models import Clock, ClockKind

FEW, MANY = 1_000, 100_000
DUE = 100
AT_MOST = 1.3  # ratio of the medians
TIMES = 25


@pytest.mark.django_db
def test_the_sweep_does_not_grow() -> None:
    fill(FEW)
    few = median_ms()
    fill(MANY - FEW)
    many = median_ms()
    print(
        f"\nsweep, {DUE} due: {few:.1f} ms at {FEW:,}, {many:.1f} ms at {MANY:,} open clocks: "
        f"ratio {many / few:.2f} (target: at most {AT_MOST})"
    )
    assert many / few <= AT_MOST


def fill(count: int) -> None:
    """Add items with an open clock each: half breached long ago, half with days to go."""
    now = timezone.now()
    values = {"source": make_source(f"hn-{count}"), "channel": "hackernews"}
    values |= {"created_at": now, "taken_in_at": now}
    items = Item.objects.bulk_create([Item(**values) for _ in range(count)], batch_size=5_000)
    board = [open_clock(item, number) for number, item in enumerate(items)]
    Clock.objects.bulk_create(board, batch_size=5_000)


def open_clock(item: Item, number: int) -> Clock:
    """A running clock; every second one was breached days ago and does nothing more."""
    is_breached = number % 2 == 0
    due_at = item.created_at + timedelta(days=-3 if is_breached else 3, seconds=number)
    return Clock(
        item=item,
        kind=ClockKind.RESPOND,
        target=timedelta(hours=4),
        started_at=item.created_at,
        warn_at=due_at,
        due_at=due_at,
        next_event_at=None if is_breached else due_at,
        breached_at=due_at if is_breached else None,
    )


def median_ms() -> float:
    """The median time of one sweep over 100 due clocks, each with its line in the history."""
    spans = []
    waiting = Clock.objects.filter(next_event_at__isnull=False)
    for _ in range(TIMES):
        now = timezone.now()
        ids = list(waiting.order_by("-pk").values_list("pk", flat=True)[:DUE])
        due = Clock.objects.filter(pk__in=ids)
        due.update(next_event_at=now, due_at=now + timedelta(days=1))
        told = HistoryEntry.objects.count()
        start = time.perf_counter()
        assert not clocks.sweep(now)
        spans.append((time.perf_counter() - start) * 1_000)
        assert HistoryEntry.objects.count() == told + DUE
    return statistics.median(spans)
