"""`kill -9` of the worker between sending a reply and recording it: none is missing, none doubled.

A fault holds the service's answer back after the reply has taken effect (or just before); the
worker is killed at that moment, with the reply there and nothing written.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.service import Service
from tests.github_server import REPOSITORY, Hub
from tests.reddit_server import ME, Board
from tests.serve import Handler, Served
from tests.twitter_server import X

KILLS = 13
PATIENCE_SECONDS = 200

SECRETS = dict.fromkeys(
    ("TWITTER_API_KEY", "TWITTER_API_SECRET", "TWITTER_ACCESS_TOKEN", "TWITTER_ACCESS_SECRET"),
    "42-secret",
)

# Manners would have a reply wait for a minute; here it is the crash that is tried.
NO_MANNERS = """
[manners.{0}]
pace = "1s"
daily = 1000
alike = 1000
"""

SEND = """
from django.contrib.auth.models import User
from feedback.models import Item
from triage import replies
staff, _ = User.objects.get_or_create(username="eng-1")
for number, item in enumerate(Item.objects.order_by("pk")):
    replies.send(item, f"We are on it, number {number} of today.", staff, token="t")
"""


class Held:
    """A fault: the reply takes effect, or does not, and its answer never comes: the worker dies."""

    def __init__(self, server: Served, is_reply: Any, service: Service) -> None:
        self.kills = 0
        self._server, self._is_reply, self._service = server, is_reply, service
        self._lock = threading.Lock()

    def __call__(self, handler: Handler) -> bool | None:
        if not self._is_reply(handler.request_seen):
            return False
        with self._lock:
            if self.kills >= KILLS:
                return False
            self.kills += 1
            if self.kills % 4:  # every fourth dies before it took effect
                self._server.route(handler.request_seen)
            self._service.kill_worker()
            self._service.start_worker()
        handler.close_connection = True
        return None


@contextmanager
def x_place() -> Iterator[tuple[Served, dict[str, str], str, Any, Any]]:
    with X() as server:
        server.page = 100
        for number in range(KILLS):
            server.say(f"@genericcorp it crashes, number {number}")
        urls = {"TWITTER_API_URL": server.url, "TWITTER_BEARER_TOKEN": "s", **SECRETS}
        source = 'channel = "twitter"\nhandle = "genericcorp"\nbackfill = "30d"\n'
        posted = lambda: [t["text"] for t in server.tweets if t["author_id"] == "42"]  # noqa: E731
        yield server, urls, source, posted, lambda request: request.method == "POST"


@contextmanager
def reddit_place() -> Iterator[tuple[Served, dict[str, str], str, Any, Any]]:
    with Board() as server:
        for number in range(KILLS):
            server.submit(f"It crashes, number {number}", "Each time.")
        urls = {"REDDIT_URL": server.url, "REDDIT_OAUTH_URL": server.url, "REDDIT_CLIENT_ID": "i",
                "REDDIT_USERNAME": ME, "REDDIT_PASSWORD": "s"}  # fmt: skip
        source = 'channel = "reddit"\nsubreddits = ["corp"]\nbackfill = "30d"\n'
        posted = lambda: [  # noqa: E731
            t["data"]["body"] for t in server.things if t["data"]["author"] == ME
        ]
        yield server, urls, source, posted, lambda r: r.path.startswith("/api/comment")


@contextmanager
def github_place() -> Iterator[tuple[Served, dict[str, str], str, Any, Any]]:
    with Hub() as server:
        for number in range(KILLS):
            server.open(f"It crashes, number {number}")
        urls = {"GITHUB_API_URL": server.url, "GITHUB_TOKEN": "s"}
        source = f'channel = "github"\nrepositories = ["{REPOSITORY}"]\nbackfill = "30d"\n'
        posted = lambda: [c["body"].split("\n")[0] for c in server.comments]  # noqa: E731
        yield (
            server, urls, source, posted,
            lambda r: r.method == "POST" and r.path.endswith("/comments"),
        )  # fmt: skip


PLACES = {"twitter": x_place, "reddit": reddit_place, "github": github_place}


@pytest.mark.parametrize("channel", PLACES)
def test_no_reply_is_missing_and_none_doubled(tmp_path: Path, channel: str) -> None:
    with PLACES[channel]() as (server, settings, source, posted, is_reply):
        service = Service(tmp_path, settings)
        service.manage("migrate", "-v0")
        load(service, tmp_path, channel, source)
        service.manage("poll")
        service.manage("shell", "-v0", "-c", SEND)
        held = Held(server, is_reply, service)
        server.fault = held
        with service:
            wait_until_sent(tmp_path)
        assert held.kills == KILLS
        texts = [f"We are on it, number {n} of today." for n in range(KILLS)]
        assert sorted(posted()) == sorted(texts)
        rows = [json.loads(line) for line in service.manage("export", "-").splitlines()]
        ours = [m["external_id"] for row in rows for m in row["messages"] if m["ours"]]
        assert len(set(ours)) == KILLS


def load(service: Service, folder: Path, channel: str, source: str) -> None:
    """Put the source in force, and no pauses between replies."""
    text = service.manage("playbook", "dump")
    head, _, tail = text.partition(f"[manners.{channel}]")
    kept = tail[tail.find("\n[") :] if tail else ""
    text = head + NO_MANNERS.format(channel) + kept
    path = folder / "playbook.toml"
    path.write_text(f'{text}\n[[sources]]\nname = "it"\nevery = "1h"\n{source}')
    service.manage("playbook", "load", str(path))


def wait_until_sent(folder: Path) -> None:
    database = sqlite3.connect(folder / "feedback.sqlite3", timeout=20)
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        states = dict(
            database.execute(
                "SELECT state, COUNT(*) FROM triage_outboxentry WHERE kind = 'reply' GROUP BY 1"
            ).fetchall()
        )
        if states == {"sent": KILLS}:
            database.close()
            return
        time.sleep(0.3)
    errors = database.execute("SELECT state, attempts, error FROM triage_outboxentry").fetchall()
    pytest.fail(f"after {PATIENCE_SECONDS} s: {errors}")
