"""The email channel against a real Dovecot and a real SMTP server on loopback."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from feedback import polling
from feedback.channels.base import Batch, Post
from feedback.channels.mail import Email
from feedback.models import Item, Message, Source
from tests import mail_server
from tests.mail_server import PASSWORD, USER, Dovecot, make_mail, needs_dovecot
from tests.make import make_source
from triage import outbox, replies
from triage.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[Dovecot]:
    needs_dovecot()
    with Dovecot(tmp_path_factory.mktemp("dovecot")) as running:
        yield running


@pytest.fixture
def dovecot(server: Dovecot, monkeypatch: Any, settings: Any, tmp_path: Any) -> Dovecot:
    """The server with empty mailboxes, and its password where the source looks for it."""
    monkeypatch.setenv("SUPPORT_PASSWORD", PASSWORD)
    settings.DATA_DIR = tmp_path
    with server.client() as client:
        for box in ("INBOX", "Sent"):
            if int(client.select(box)[1][0] or 0):
                client.store("1:*", "+FLAGS", "\\Deleted")
                client.expunge()
    return server


@pytest.fixture
def smtp(dovecot: Dovecot, settings: Any) -> Iterator[mail_server.Post]:
    with mail_server.Post(dovecot) as running:
        settings.EMAIL_URL = running.url
        yield running


@pytest.fixture
def source(dovecot: Dovecot) -> Source:
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


def channel(dovecot: Dovecot, **values: Any) -> Email:
    return Email(dovecot.config(**values), team=frozenset([USER]))


def test_seen_or_unseen_every_mail_is_read_once(dovecot: Dovecot) -> None:
    for number in range(5):
        dovecot.append(make_mail(f"Number {number}"), flags="\\Seen" if number % 2 else "")
    posts, batch = read(channel(dovecot))
    assert sorted(post.text for post in posts) == [f"Number {n}" for n in range(5)]
    assert read(channel(dovecot), batch.cursor)[0] == []
    with dovecot.client() as client:  # nothing of it was changed
        client.select("INBOX", readonly=True)
        assert len(client.search(None, "UNSEEN")[1][0].split()) == 3


def test_a_reply_goes_out_and_its_answer_joins_the_item(
    source: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    dovecot.deliver(make_mail(message_id="<one@example.org>", references="<zero@example.org>"))
    assert poll(source).taken.new == 1
    item = Item.objects.get()
    assert (item.title, item.author.handle) == ("Trouble", "ann@example.org")
    entry = replies.send(item, "We look into it.", User.objects.create_user("eve"), token="t")
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert entry.state == Delivery.SENT, entry.error
    sent = smtp.taken[0]
    assert sent.recipients == ["ann@example.org", USER]
    ours = Message.objects.get(ours=True)
    assert f"Message-ID: {ours.external_id}".encode() in sent.content
    assert b"References: <zero@example.org> <one@example.org>\r\n" in sent.content
    answer = make_mail("Thanks!", in_reply_to=ours.external_id, subject="Whatever")
    dovecot.deliver(answer)
    poll(source)
    assert Item.objects.count() == 1
    said = [message.text for message in item.messages.order_by("pk")]
    assert said == ["It does not load.", "We look into it.", "Thanks!"]
