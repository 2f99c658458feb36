"""From poll to triaged takes little longer than the classifier alone takes for the same texts.

The worker and the scheduler are real processes; the posts come by search from a loopback service.
"""

import json
import sqlite3
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.service import ROOT, Service
from tests.replay import Replay, make_hit
from triage.classifier import Text, get_reader
from triage.playbook import store

POSTS = 2_000
AT_LEAST = 0.8  # of the classifier's bare throughput
RUNS = 3  # of the bare classifier
PATIENCE_SECONDS = 300
WARM, MEASURED = "warmup", "dashboard"  # the words that the two sources search
SOURCE = '\n[[sources]]\nname = "{0}"\nchannel = "hackernews"\nqueries = ["{0}"]\nevery = "1h"\n'
COUNTS = """
SELECT COUNT(*), COUNT(message.triaged_at) FROM feedback_message AS message
JOIN feedback_source AS source ON source.id = message.source_id WHERE source.name = ?
"""
GIVEN = """
SELECT message.text, item.title, item.context, item.channel FROM feedback_message AS message
JOIN feedback_item AS item ON item.id = message.item_id
JOIN feedback_source AS source ON source.id = message.source_id WHERE source.name = ?
"""


def test_from_poll_to_triaged_keeps_up_with_the_classifier(tmp_path: Path) -> None:
    with Replay() as replay:
        replay.hits = list(hits())
        urls = {"HACKERNEWS_FIREBASE_URL": replay.url, "HACKERNEWS_ALGOLIA_URL": replay.url}
        service = Service(tmp_path, urls)
        service.manage("migrate", "-v0")
        with service:
            add_source(service, tmp_path, WARM)
            wait_until_triaged(tmp_path, WARM, 1)  # the model is loaded
            replay.asked()
            add_source(service, tmp_path, MEASURED)
            wait_for(lambda: replay.requests)
            start = time.perf_counter()
            wait_until_triaged(tmp_path, MEASURED, POSTS)
            whole = POSTS / (time.perf_counter() - start)
    bare = bare_throughput(texts_given(tmp_path))
    print(
        f"\nfrom poll to triaged: {whole:.0f} posts/s, the classifier alone {bare:.0f} texts/s: "
        f"ratio {whole / bare:.2f} (target: at least {AT_LEAST})"
    )
    assert whole / bare >= AT_LEAST


def hits() -> Iterator[dict[str, Any]]:
    """The sample launch's texts over and over, each by somebody else, over the last hours."""
    files = sorted((ROOT / "feedback/channels/sample_launch").glob("*.jsonl"))
    said = [json.loads(line)["text"] for path in files for line in path.open(encoding="utf-8")]
    now = int(time.time())
    for number in range(POSTS):
        text = f"{said[number % len(said)]}<p>My {MEASURED} has the number {number}."
        yield make_hit(1_000 + number, text, now - 20 * number)
    yield make_hit(10, f"A {WARM}.", now)


def add_source(service: Service, folder: Path, word: str) -> None:
    """Load a playbook with one more source; the scheduler has it polled."""
    path = folder / "playbook.toml"
    path.write_text(service.manage("playbook", "dump") + SOURCE.format(word), encoding="utf-8")
    service.manage("playbook", "load", str(path))


def wait_until_triaged(folder: Path, word: str, count: int) -> None:
    database = sqlite3.connect(folder / "feedback.sqlite3", timeout=20)
    try:
        wait_for(lambda: database.execute(COUNTS, [word]).fetchone() == (count, count))
    finally:
        database.close()


def wait_for(is_so: Any) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > end:
            pytest.fail(f"nothing came of it in {PATIENCE_SECONDS} s")
        time.sleep(0.05)


def texts_given(folder: Path) -> list[Text]:
    """What the pipeline gave the classifier."""
    database = sqlite3.connect(folder / "feedback.sqlite3")
    rows = database.execute(GIVEN, [MEASURED]).fetchall()
    database.close()
    names = ("text", "title", "context", "channel")
    return [Text(**dict(zip(names, row, strict=True))) for row in rows]


def bare_throughput(texts: list[Text]) -> float:
    """Texts a second of the classifier alone, in one call, with the same playbook."""
    reader, rules = get_reader(), store.shipped()
    reader.read(texts[:64], rules)
    spans = []
    for _ in range(RUNS):
        start = time.perf_counter()
        reader.read(texts, rules)
        spans.append(time.perf_counter() - start)
    return len(texts) / statistics.median(spans)
