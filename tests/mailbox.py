"""Fixtures and short ways for tests that read a real mailbox."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from feedback import polling
from feedback.channels.base import Batch, Post
from feedback.channels.mail import Email
from feedback.models import Source
from tests import mail_server
from tests.mail_server import PASSWORD, USER, Dovecot, needs_dovecot
from tests.make import make_source
from triage import outbox, pipeline


@pytest.fixture(scope="module")
def dovecot_server() -> Iterator[Dovecot]:
    needs_dovecot()
    with Dovecot() as running:
        yield running


@pytest.fixture
def dovecot(dovecot_server: Dovecot, monkeypatch: Any, settings: Any, tmp_path: Any) -> Dovecot:
    """The server with empty mailboxes, and its password where the source looks for it."""
    monkeypatch.setenv("SUPPORT_PASSWORD", PASSWORD)
    settings.DATA_DIR = tmp_path
    with dovecot_server.client() as client:
        for box in ("INBOX", "Sent"):
            if int(client.select(box)[1][0] or 0):
                client.store("1:*", "+FLAGS", "\\Deleted")
                client.expunge()
    return dovecot_server


@pytest.fixture
def smtp(dovecot: Dovecot, settings: Any) -> Iterator[mail_server.Post]:
    with mail_server.Post(dovecot) as running:
        settings.EMAIL_URL = running.url
        yield running


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Source:
    config = dovecot.config(team=[USER])
    return make_source("support", channel="email", config=config, next_poll_at=timezone.now())


def poll(source: Source) -> polling.Polled:
    polled = polling.poll(source.pk, force=True)
    assert polled
    source.refresh_from_db()
    return polled


def read(channel: Email, cursor: Any = None) -> tuple[list[Post], Batch]:
    posts: list[Post] = []
    while True:
        batch = channel.poll(json.loads(json.dumps(cursor or {})))
        posts += batch.posts
        cursor = batch.cursor
        if not batch.more:
            return posts, batch


def settle() -> None:
    """Triage everything and send everything that is due."""
    while pipeline.triage_waiting() or outbox.deliver_waiting():
        pass
