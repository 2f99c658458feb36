"""From a bug read to joined or filed, among ten thousand tracked issues and a million items."""

import statistics
import time
from datetime import timedelta
from uuid import uuid4

import numpy as np
import pytest
from django.utils import timezone

from feedback.models import Item, Kind, Message, Person, Source
from triage.models import Reading
from triage.playbook import store
from triage.similar import packed
from triage.tracking import deciding
from triage.tracking.matching import WINDOW_OF_EXAMPLES
from triage.tracking.models import (
    Example,
    IssueReport,
    TrackedIssue,
    TrackedRepository,
)

ISSUES = 10_000
FEW, MANY = 1_000, 1_000_000
ASKED = 120
AT_MOST = 1.5  # ratio of the medians
WORDS = "board task login error export docker agent office page update sync token crash".split()


def text_of(number: int) -> str:
    """Some 60 words, most of them rare, as in a bug report."""
    drawn = np.random.default_rng(number)
    common = drawn.choice(WORDS, 20)
    rare = (f"word{place}" for place in drawn.integers(0, 20_000, 40))
    return f"{' '.join(common)} {' '.join(rare)} {number % 7}.{number % 90}.1"


def embeddings(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 384)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.django_db(transaction=True)
def test_deciding_does_not_grow_with_the_items(settings) -> None:
    settings.GITHUB_TOKEN = "secret"
    store.load(store.SHIPPED.read_text(encoding="utf-8"))
    WINDOW_OF_EXAMPLES.forget()
    source = Source.objects.create(name="hn", channel="hackernews")
    rows = track(source)
    fill(source, FEW)
    few = spans(source, rows, 1)
    fill(source, MANY - FEW)
    many = spans(source, rows, 2)
    ratio = statistics.median(many) / statistics.median(few)
    slow = p95(many) / p95(few)
    print(
        f"\nfrom read to joined or filed, {ISSUES:,} tracked issues: median "
        f"{statistics.median(few):.1f} ms, 95th percentile {p95(few):.1f} ms at {FEW:,} items; "
        f"{statistics.median(many):.1f} and {p95(many):.1f} ms at {MANY:,}: ratio {ratio:.2f} "
        f"and {slow:.2f} (target: at most {AT_MOST})"
    )
    assert ratio <= AT_MOST
    assert slow <= AT_MOST


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def track(source: Source) -> np.ndarray:
    """The tracked issues, each with its words and meaning."""
    now, rows = timezone.now(), embeddings(ISSUES, 1)
    place = TrackedRepository.objects.create(name="genericcorp/dashboard")
    issues = TrackedIssue.objects.bulk_create(
        (
            TrackedIssue(
                key=uuid4().hex, repository=place, title=text_of(n)[:80], state="open",
                external_id=f"R1#{n}", number=n + 1, reports=1, created_at=now,
            )
            for n in range(ISSUES)
        ),
        batch_size=2_000,
    )  # fmt: skip
    Example.objects.bulk_create(
        (
            Example(tracked=one, text=text_of(n), embedding=packed(rows[n]), at=now)
            for n, one in enumerate(issues)
        ),
        batch_size=2_000,
    )
    return rows


def fill(source: Source, count: int) -> None:
    """Items that were read and decided on long ago."""
    now = timezone.now()
    author, _ = Person.objects.get_or_create(channel="hackernews", handle="ann")
    values = {"source": source, "channel": "hackernews", "author": author, "category": "bug"}
    values |= {"severity": "P2", "created_at": now - timedelta(days=9), "taken_in_at": now}
    place = TrackedIssue.objects.order_by("pk").values_list("pk", flat=True)
    tracked = list(place)
    for start in range(0, count, 20_000):
        size = min(20_000, count - start)
        items = Item.objects.bulk_create((Item(**values) for _ in range(size)), batch_size=5_000)
        IssueReport.objects.bulk_create(
            (
                IssueReport(item=item, state="joined", at=now, tracked_id=tracked[n % ISSUES])
                for n, item in enumerate(items)
            ),
            batch_size=5_000,
        )


def spans(source: Source, rows: np.ndarray, seed: int) -> list[float]:
    """How long each of new reports takes, half of them of what is tracked, in milliseconds."""
    now, fresh = timezone.now(), embeddings(ASKED, 100 + seed)
    author, _ = Person.objects.get_or_create(channel="hackernews", handle=f"bob{seed}")
    found = []
    for n in range(ASKED):
        is_known = n % 2 == 0
        about = seed * 1_000 + n
        item = Item.objects.create(
            source=source, channel="hackernews", author=author, category="bug", severity="P1",
            created_at=now, taken_in_at=now, confidence=0.9,
        )  # fmt: skip
        text = text_of(about if is_known else 10**6 * seed + n)
        Message.objects.create(
            item=item, channel="hackernews", kind=Kind.POST, text=text, created_at=now,
            external_id=f"{seed}-{n}", thread_id="1", triaged_at=now,
        )  # fmt: skip
        Reading.objects.create(
            item=item, model="m", category="bug", sentiment="neutral", topic="qa", language="en",
            confidence=0.9, trusted=True, read_at=now,
            embedding=packed(rows[about] if is_known else fresh[n]),
        )  # fmt: skip
        report = IssueReport.objects.create(item=item, at=now, due_at=now)
        start = time.perf_counter()
        deciding.decide(report.pk, now)
        found.append((time.perf_counter() - start) * 1_000)
        report.refresh_from_db()
        assert report.due_at is None
        assert (report.state, report.score is not None) == ("joined", is_known), report.state
    return found[10:]  # the window is read from the database once
