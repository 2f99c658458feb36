"""The email channel against a real Dovecot and a real SMTP server on loopback."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from feedback import polling
from feedback.channels.base import Batch, Post
from feedback.channels.mail import Email
from feedback.channels.mail.parse import parse
from feedback.models import Item, Message, RejectedPost, Source
from tests import mail_server
from tests.mail_server import PASSWORD, USER, Dovecot, make_mail, needs_dovecot
from tests.make import make_source
from triage import outbox, replies
from triage.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    needs_dovecot()
    with Dovecot() as running:
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


def recordings(shared: Path) -> dict[str, bytes]:
    """Every recorded mail, by its name."""
    found = {}
    folder = shared / "recordings" / "email"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "README.md" and "replies" not in path.parts:
            raw = path.read_bytes()
            name = str(path.relative_to(folder))
            found[name] = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return found


def has_body(raw: bytes) -> bool:
    return b"\n\n" in raw.replace(b"\r\n", b"\n").lstrip()


AUTOMATIC = "dsn mdn auto-submitted list-mail null-return-path from-daemon precedence-bulk".split()
NOT_AUTOMATIC = (  # they stand among bounces and are none
    "flufl.bounce/groupwise_03.txt",  # a person forwards a booking
    "bounceparser/spam-with-image.msg",
)


def noted(shared: Path) -> dict[str, list[str]]:
    """The words of the recordings' own table on each mail."""
    readme = (shared / "recordings" / "email" / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in readme.splitlines() if line.startswith("| ")]
    return {row[0].strip(): row[2].split() for row in rows if len(row) > 2}


def test_every_recorded_mail_is_kept_and_none_stops_the_mailbox(
    shared: Path, source: Source, dovecot: Dovecot
) -> None:
    mails = recordings(shared)
    dovecot.deliver(*mails.values())
    polled = poll(source)
    assert polled.error == ""
    cursor = source.cursor["mailboxes"]["INBOX"]
    assert cursor["next"] > len(mails)
    parsed = {name: parse(raw) for name, raw in mails.items()}
    says = {n: m for n, m in parsed.items() if m.own or m.subject or m.attached}
    found = set(Message.objects.values_list("raw__fingerprint", flat=True))
    assert len(says) > 550
    # Dovecot writes NUL another way, and what has no empty line is no mail to it.
    as_it_was = {n for n, raw in mails.items() if b"\0" not in raw and has_body(raw)}
    assert len(found) > 540
    assert [
        name for name, mail in says.items() if mail.fingerprint not in found and name in as_it_was
    ] == []
    assert RejectedPost.objects.count() == len(parsed.keys() - says)
    assert all(row.error for row in RejectedPost.objects.all())
    before = Message.objects.count(), Item.objects.count(), RejectedPost.objects.count()
    again = poll(source)
    assert again.taken.new == 0
    Source.objects.update(cursor={"mailboxes": {"INBOX": {**cursor, "validity": 1}}})
    assert poll(source).taken.new == 0  # numbered anew, read anew
    assert (Message.objects.count(), Item.objects.count(), RejectedPost.objects.count()) == before


def test_automatic_mail_of_the_recordings_is_no_item(shared: Path) -> None:
    notes = noted(shared)
    missed = []
    for name, raw in recordings(shared).items():
        words = notes.get(name, [])
        is_bounce = name.startswith(("sisimai/", "flufl.bounce/", "bounceparser/"))
        if not is_bounce and not set(words) & set(AUTOMATIC):
            continue
        if name not in NOT_AUTOMATIC and not parse(raw).automatic:
            missed.append(name)
    assert missed == []
