"""A GitHub on loopback to which bugs go, and short ways to what happens on both sides."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from feedback.intake import add_posts
from feedback.models import Item, Source
from tests.github_tracker import PRIVATE, PUBLIC, Tracker
from tests.make import make_post, make_source
from triage import moves, outbox, pipeline
from triage.models import OutboxEntry
from triage.playbook import store
from triage.tracking import deciding, records, repositories, sync
from triage.tracking.matching import WINDOW_OF_EXAMPLES
from triage.tracking.models import TrackedRepository

TEAM = {"team": ["genericcorp"]}


@pytest.fixture
def github(settings, monkeypatch) -> Iterator[Tracker]:
    """The loopback GitHub, and a playbook that names its repositories."""
    WINDOW_OF_EXAMPLES.forget()
    monkeypatch.setattr(records, "GATHER", timedelta(0))
    monkeypatch.setattr(repositories, "PACE", timedelta(0))
    with Tracker() as served:
        settings.GITHUB_API_URL = served.url
        settings.GITHUB_TOKEN = "secret"
        settings.GITHUB_WEBHOOK_SECRET = "hush"
        write_playbook()
        yield served


def write_playbook(*changes: tuple[str, str]) -> None:
    """The shipped playbook with our repositories."""
    text = store.SHIPPED.read_text(encoding="utf-8")
    named = [
        ('repository = "genericcorp/dashboard"', f'repository = "{PUBLIC}"'),
        ('"genericcorp/dashboard-security"', f'"{PRIVATE}"'),
        *changes,
    ]
    for old, new in named:
        assert old in text, old
        text = text.replace(old, new, 1)
    store.load(text)


@pytest.fixture
def staff(db) -> User:
    return User.objects.create_superuser("eng-1")


@pytest.fixture
def hn(db) -> Source:
    return make_source(config=TEAM)


@pytest.fixture
def report(hn) -> Callable[..., Item]:
    """Somebody says something; a person makes sure that it is read as the test means it."""

    def say(text: str, source: Source | None = None, **values: Any) -> Item:
        place = source or hn
        is_bug = {"category": "bug", "severity": "P1"}
        read = {name: values.pop(name, default) for name, default in is_bug.items()}
        defaults = {"author": None, "url": "https://x.test/1"}
        post = make_post(channel=place.channel, **defaults | values | {"text": text})
        add_posts(place, [post])
        while pipeline.triage_waiting():
            pass
        item = Item.objects.get(messages__external_id=post.external_id)
        boss, _ = User.objects.get_or_create(username="triage")
        moves.correct(item, boss, **read)
        item.refresh_from_db()
        return item

    return say


def settle(times: int = 6) -> None:
    """Decide and send until nothing is due."""
    for _ in range(times):
        deciding.track_waiting()
        outbox.deliver_waiting()


def again() -> None:
    """Let what waits come due."""
    TrackedRepository.objects.update(next_write_at=None)
    OutboxEntry.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())
    settle()


def poll() -> None:
    """The next poll of GitHub is due."""
    TrackedRepository.objects.update(next_poll_at=None)
    sync.follow_due()
