"""Each channel polled from its recordings by the real worker, with and without cut connections."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import recorded
from tests.faults.service import Service

PATIENCE_SECONDS = 300
SOURCES = f"""
[[sources]]
name = "hn"
channel = "hackernews"
stories = [{recorded.STORY}]
every = "5h"

[[sources]]
name = "x"
channel = "twitter"
queries = ["recorded"]
every = "5h"

[[sources]]
name = "r"
channel = "reddit"
subreddits = ["askreddit"]
inbox = true
submissions = ["{recorded.SUBMISSION}"]
backfill = "30d"
every = "5h"

[[sources]]
name = "gh"
channel = "github"
repositories = ["PyGithub/PyGithub"]
discussions = false
every = "5h"
"""
DONE = """
SELECT COUNT(*) FROM feedback_source
WHERE enabled AND failures = 0 AND last_error = '' AND last_polled_at > ?
AND next_poll_at > datetime('now', '+3 hours')
"""
SAID = "SELECT channel, external_id FROM feedback_message WHERE external_id IS NOT NULL"


@pytest.fixture
def services(shared: Path) -> Iterator[dict[str, Any]]:
    folder = shared / "recordings"
    made = {
        "hackernews": recorded.hackernews(folder / "hackernews"),
        "twitter": recorded.twitter(folder / "twitter"),
        "reddit": recorded.reddit(folder / "reddit"),
        "github": recorded.github(folder / "github/pygithub-replay"),
    }
    with ExitStack() as stack:
        for server in made.values():
            stack.enter_context(server)
        yield made


def started(folder: Path, services: dict[str, Any]) -> Service:
    url = {name: server.url for name, server in services.items()}
    settings = {
        "HACKERNEWS_FIREBASE_URL": url["hackernews"],
        "HACKERNEWS_ALGOLIA_URL": url["hackernews"],
        "TWITTER_API_URL": url["twitter"],
        "TWITTER_BEARER_TOKEN": "s",
        "REDDIT_URL": url["reddit"],
        "REDDIT_OAUTH_URL": url["reddit"],
        "REDDIT_CLIENT_ID": "i",
        "REDDIT_USERNAME": "me",
        "REDDIT_PASSWORD": "s",
        "GITHUB_API_URL": url["github"],
        "GITHUB_TOKEN": "s",
        "TEST_LEASE": "60",  # nobody is killed here
    }
    service = Service(folder, settings)
    service.manage("migrate", "-v0")
    path = folder / "playbook.toml"
    path.write_text(service.manage("playbook", "dump") + SOURCES)
    service.manage("playbook", "load", str(path))
    return service


class Stored:
    """What the service has in its database."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "feedback.sqlite3", timeout=20)

    def ask(self, query: str, *values: Any) -> list[Any]:
        return self._database.execute(query, values).fetchall()

    def wait_until_polled(self, since: str = "") -> None:
        """Until every source has been read whole, without a failure left, after `since`."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.ask(DONE, since) != [(4,)]:
            if time.monotonic() > end:
                query = "SELECT name, failures, last_error, next_poll_at FROM feedback_source"
                pytest.fail(f"after {PATIENCE_SECONDS} s: {self.ask(query)}")
            time.sleep(0.5)

    def poll_again(self) -> None:
        """Have every source polled now, and wait for it."""
        now = self.ask("SELECT MAX(last_polled_at) FROM feedback_source")[0][0]
        self._database.execute("UPDATE feedback_source SET next_poll_at = datetime('now')")
        self._database.commit()
        self.wait_until_polled(since=now)

    def said(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for channel, id_ in self.ask(SAID):
            found.setdefault(channel, set()).add(id_)
        return found

    def counts(self) -> tuple[int, int, int]:
        tables = ("feedback_item", "feedback_message", "feedback_rejectedpost")
        items, messages, rejected = (self.ask(f"SELECT COUNT(*) FROM {t}")[0][0] for t in tables)
        return items, messages, rejected


def test_all_that_was_recorded_comes_in_and_a_second_poll_adds_nothing(
    tmp_path: Path, services: dict[str, Any]
) -> None:
    service = started(tmp_path, services)
    stored = Stored(tmp_path)
    with service:
        stored.wait_until_polled()
        assert stored.said() == {name: server.expected for name, server in services.items()}
        first = stored.counts()
        assert first[2] == 0
        assert first[1] == sum(len(server.expected) for server in services.values())
        stored.poll_again()
        assert stored.counts() == first


def test_cut_connections_lose_and_double_nothing(tmp_path: Path, services: dict[str, Any]) -> None:
    recorded.cut_replay(services["hackernews"], share=0.05, seed=5)
    for number, name in enumerate(("twitter", "reddit", "github")):
        services[name].cut_at_random(share=0.35, seed=number)
    service = started(tmp_path, services)
    stored = Stored(tmp_path)
    with service:
        stored.wait_until_polled()
        services["hackernews"].faults.clear()  # single items are tried again at its next poll
        stored.poll_again()
        assert stored.said() == {name: server.expected for name, server in services.items()}
        assert stored.counts()[2] == 0
