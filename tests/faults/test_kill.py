"""`kill -9` of the worker at random points loses nothing and doubles nothing."""

import json
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.service import Service
from tests.replay import Replay

POSTS = 2_000
KILLS = 8
PATIENCE_SECONDS = 240

TEXTS = [
    "The task board does not load since the update, I only see a spinner.",
    "Would love a dark theme for the office view, please add one.",
    "How much is it for a team of five?",
    "docker compose up fails: port 5432 is already in use.",
    "This is fantastic, I love it. Great work!",
    "Yet another overpriced dashboard, I do not trust this company.",
    "I lost all my data after the update, every board is gone!",
    "Luckily no data was lost, but what if it had crashed?",
]


def launch() -> list[dict]:
    """A story with 2,000 comments by 700 people, some of whom write again, and our answers."""
    now = int(time.time()) - 86_400
    story = {"by": "genericcorp", "descendants": POSTS, "id": 1, "kids": [], "time": now,
             "title": "Show HN: Claude Code Dashboard", "type": "story"}  # fmt: skip
    items = {1: story}
    for n in range(POSTS):
        id_ = 100 + n
        parent = 1 if n % 4 == 0 else id_ - 1
        by = "genericcorp" if n % 9 == 5 else f"user{(n // 2) % 700}"
        items[id_] = {"by": by, "id": id_, "parent": parent, "time": now + n * 10, "kids": [],
                      "text": f"{TEXTS[n % len(TEXTS)]} ({n})", "type": "comment"}  # fmt: skip
        items[parent]["kids"].append(id_)
    return list(items.values())


def playbook(folder: Path, service: Service) -> None:
    text = service.manage("playbook", "dump")
    path = folder / "playbook.toml"
    path.write_text(
        text + '\n[[sources]]\nname = "hn"\nchannel = "hackernews"\nstories = [1]\nevery = "1h"\n'
    )
    service.manage("playbook", "load", str(path))


def wait_until_read(folder: Path) -> None:
    database = sqlite3.connect(folder / "feedback.sqlite3", timeout=20)
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        messages, waiting = database.execute(
            "SELECT (SELECT COUNT(*) FROM feedback_message),"
            " (SELECT COUNT(*) FROM feedback_item WHERE triage_due_at IS NOT NULL)"
        ).fetchone()
        if messages == POSTS + 1 and not waiting:
            database.close()
            return
        time.sleep(0.5)
    pytest.fail(f"after {PATIENCE_SECONDS} s: {messages} messages, {waiting} items unread")


def end_state(folder: Path, service: Service) -> dict[str, dict]:
    """What every item came to, by its first message, without times."""
    rows = [json.loads(line) for line in service.manage("export", "-").splitlines()]
    state = {}
    for row in rows:
        said = [(m["external_id"], m["ours"], m["text"]) for m in row["messages"]]
        kept = [(c["kind"], bool(c["met_at"])) for c in row["clocks"]]
        names = ("category", "also", "sentiment", "severity", "topic", "state", "responder")
        state[row["external_id"]] = {name: row[name] for name in names} | {
            "said": said,
            "clocks": sorted(kept),
        }
    assert len(state) == len(rows), "an item was doubled"
    return state


def run(folder: Path, kills: int) -> dict[str, dict]:
    folder.mkdir()
    with Replay(launch()) as replay:
        urls = {"HACKERNEWS_FIREBASE_URL": replay.url, "HACKERNEWS_ALGOLIA_URL": replay.url}
        service = Service(folder, urls)
        service.manage("migrate", "-v0")
        playbook(folder, service)
        with service:
            service.kill_at_random(kills, seed=7)
            wait_until_read(folder)
        histories = sqlite3.connect(folder / "feedback.sqlite3").execute(
            "SELECT item_id FROM feedback_historyentry WHERE event = 'triaged'"
        )
        assert set(Counter(histories.fetchall()).values()) == {1}, "an item was triaged twice"
        return end_state(folder, service)


def test_killing_the_worker_at_random_points_changes_nothing(tmp_path):
    undisturbed = run(tmp_path / "undisturbed", kills=0)
    disturbed = run(tmp_path / "disturbed", kills=KILLS)
    # Our own answers to our own story belong to no item.
    assert sum(len(item["said"]) for item in undisturbed.values()) > 0.95 * POSTS
    assert disturbed == undisturbed
