"""The queue costs the same at a thousand items and at a hundred thousand."""

import statistics
import time
from itertools import islice

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from feedback.models import NO_CLOCK, Item, Person, Source
from triage.playbook import store

FEW, MANY = 1_000, 100_000
AT_MOST = 1.5  # ratio of the medians
QUERIES = 20
TIMES = 15
STATES = ("new", "open", "open", "waiting", "closed", "closed", "closed", "closed", "spam")
SEVERITIES = ("", "", "P3", "P2", "P1", "P0")
RESPONDERS = ("", "product-1", "qa-triage", "eng-manager")


@pytest.mark.django_db
def test_the_queue_page_does_not_grow(admin_client: Client) -> None:
    store.load_first()
    address = reverse("admin:feedback_item_changelist")
    fill(0, FEW)
    few = median_ms(admin_client, address)
    fill(FEW, MANY)
    many = median_ms(admin_client, address)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(address)
    print(
        f"\nqueue page: {few:.1f} ms at {FEW:,}, {many:.1f} ms at {MANY:,} items: "
        f"ratio {many / few:.2f} (target: at most {AT_MOST}), {len(queries)} queries"
    )
    assert many / few <= AT_MOST
    assert len(queries) <= QUERIES


def fill(start: int, end: int) -> None:
    """Add items `start` to `end`: some closed, some without a clock, on every severity."""
    source, _ = Source.objects.get_or_create(name="hn", defaults={"channel": "hackernews"})
    author, _ = Person.objects.get_or_create(channel="hackernews", handle="ann")
    now = timezone.now()
    base = int(now.timestamp() * 1_000_000)
    items = (
        Item(
            source=source,
            channel="hackernews",
            author=author,
            title=f"Story {number}",
            first_words="The task board does not load for me.",
            state=STATES[number % len(STATES)],
            category="bug",
            severity=SEVERITIES[number % len(SEVERITIES)],
            sentiment="negative",
            responder=RESPONDERS[number % len(RESPONDERS)],
            trusted=number % 10 != 0,
            urgency=NO_CLOCK if number % 3 else base + (number * 7919 % 10**6) * 10**6,
            created_at=now,
            taken_in_at=now,
        )
        for number in range(start, end)
    )
    while batch := list(islice(items, 5_000)):
        Item.objects.bulk_create(batch)


def median_ms(client: Client, address: str) -> float:
    """The median time of a page, once its caches are warm."""
    client.get(address)
    spans = []
    for _ in range(TIMES):
        start = time.perf_counter()
        assert client.get(address).status_code == 200
        spans.append((time.perf_counter() - start) * 1_000)
    return statistics.median(spans)
