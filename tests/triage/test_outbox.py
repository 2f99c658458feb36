"""The one door out: sent once, asked about after a crash, shown when refused."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from feedback import channels
from feedback.channels.base import Absent, Later, Refused, Reply, Sent, TryLater, Unknown, Unsure
from feedback.models import Message
from tests.make import LAUNCH, make_item, make_source
from triage import moves, outbox, replies
from triage.clocks import Promise, save, start
from triage.models import ClockKind, Delivery, OutboxEntry
from triage.playbook import shipped

pytestmark = pytest.mark.django_db(transaction=True)


class Board:
    """A channel of the test's own that keeps what was posted there."""

    can_reply: ClassVar[bool] = True
    posted: ClassVar[list[Reply]] = []
    answers: ClassVar[list[Any]] = []
    finds: ClassVar[list[Any]] = []

    def __init__(self, config: Any, *, team: frozenset[str]) -> None:
        """It needs no settings."""

    def reply(self, reply: Reply) -> Any:
        """Post, then answer as the test says: what is posted stays posted."""
        answer = self.answers.pop(0) if self.answers else Sent("")
        if not isinstance(answer, Later | Refused):
            self.posted.append(reply)
        if isinstance(answer, Exception):
            raise answer
        return Sent(f"posted-{len(self.posted)}") if answer == Sent("") else answer

    def find(self, reply: Reply) -> Sent | Absent | Unknown:
        """Look among what was posted."""
        if self.finds:
            return self.finds.pop(0)
        there = [n for n, one in enumerate(self.posted, 1) if one.key == reply.key]
        return Sent(f"posted-{there[0]}") if there else Absent()


@pytest.fixture
def item(monkeypatch):
    monkeypatch.setitem(channels.CHANNELS, "reddit", f"{__name__}.Board")
    Board.posted.clear()
    Board.answers.clear()
    item = make_item(make_source("r", channel="reddit"))
    board: list[Any] = []
    respond = Promise(ClockKind.RESPOND, timedelta(hours=1))
    start(board, item, respond, shipped(), timezone.now())
    save(board)
    return item


@pytest.fixture
def entry(item) -> OutboxEntry:
    staff = User.objects.create_user("eng-1")
    return replies.send(item, "We are on it.", staff, token="t")


def due_again(entry: OutboxEntry) -> None:
    OutboxEntry.objects.filter(pk=entry.pk).update(next_attempt_at=timezone.now())
    outbox.deliver_waiting()
    entry.refresh_from_db()


def test_a_reply_goes_out_once_and_stops_the_clock(entry, item):
    outbox.deliver_waiting()
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert (entry.state, len(Board.posted)) == (Delivery.SENT, 1)
    assert Message.objects.get(kind="reply").external_id == "posted-1"
    assert item.clocks.get().met_at is not None


def test_after_a_crash_between_sending_and_recording_the_channel_is_asked(entry, monkeypatch):
    def die(*args):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_record", die)
        with pytest.raises(SystemExit):
            outbox.deliver_waiting()
    assert len(Board.posted) == 1
    due_again(entry)
    assert (entry.state, len(Board.posted)) == (Delivery.SENT, 1)


def test_an_unsure_reply_that_is_not_there_is_sent_again(entry):
    Board.answers.append(Unsure("no answer"))
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert entry.state == Delivery.UNSURE
    assert entry.next_attempt_at > timezone.now() + timedelta(seconds=20)
    Board.posted.clear()
    due_again(entry)
    assert (entry.state, len(Board.posted)) == (Delivery.SENT, 1)


def test_an_exception_means_unsure_never_failed(entry):
    Board.answers.append(OSError("connection reset"))
    outbox.deliver_waiting()
    due_again(entry)
    assert (entry.state, len(Board.posted)) == (Delivery.SENT, 1)


def test_a_pause_that_was_asked_for_is_kept(entry):
    Board.answers.append(Later("slow down", timedelta(minutes=7)))
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert entry.state == Delivery.PENDING
    assert entry.next_attempt_at > timezone.now() + timedelta(minutes=6)
    due_again(entry)
    assert (entry.state, len(Board.posted)) == (Delivery.SENT, 1)


def test_what_could_not_be_asked_for_waits(entry):
    Board.answers.append(TryLater("no connection"))
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert entry.error == "no connection"


def test_a_refusal_is_final_and_keeps_its_reason(entry, item):
    Board.answers.append(Refused("The thread is locked."))
    outbox.deliver_waiting()
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert entry.next_attempt_at is None
    assert (entry.state, entry.error) == (Delivery.REFUSED, "The thread is locked.")
    assert Board.posted == []
    assert item.clocks.get().met_at is None


def test_a_refused_reply_is_tried_again_by_a_person(entry):
    Board.answers.append(Refused("The thread is locked."))
    outbox.deliver_waiting()
    staff = User.objects.get()
    replies.send_again(entry, staff)
    with pytest.raises(moves.Conflict):
        replies.send_again(entry, staff)
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert (entry.state, len(Board.posted)) == (Delivery.SENT, 1)


@pytest.mark.parametrize("arrived", [True, False])
def test_where_the_service_cannot_tell_a_person_is_asked(entry, item, arrived):
    Board.answers.append(Unsure("cut off"))
    outbox.deliver_waiting()
    Board.finds.append(Unknown("Sent mail is not kept there."))
    due_again(entry)
    assert (entry.state, entry.next_attempt_at) == (Delivery.UNSURE, None)
    replies.settle(entry, User.objects.get(), arrived=arrived)
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert (entry.state, len(Board.posted)) == (Delivery.SENT, 1 if arrived else 2)
    assert item.clocks.get().met_at is not None


def test_the_same_to_many_is_held_back_until_a_person_says_so(entry, item):
    staff = User.objects.get()
    rule = shipped().manners["reddit"]
    others = [make_item(item.source) for _ in range(rule.alike)]
    entries = [replies.send(one, "We are on it.", staff, token="t") for one in others]
    outbox.deliver_waiting()
    for one in entries:
        sent = OutboxEntry.objects.filter(state=Delivery.SENT)
        sent.update(sent_at=timezone.now() - timedelta(hours=1))
        due_again(one)
    held = entries[-1]
    held.refresh_from_db()
    assert (held.state, len(Board.posted)) == (Delivery.HELD, rule.alike)
    assert "nearly this text" in held.error
    OutboxEntry.objects.filter(state=Delivery.SENT).update(sent_at=LAUNCH)
    replies.send_again(held, staff)
    due_again(held)
    assert held.state == Delivery.SENT


def test_between_two_replies_the_channel_gets_its_pause(entry, item):
    other = replies.send(make_item(item.source), "Thank you!", User.objects.get(), token="t")
    outbox.deliver_waiting()
    other.refresh_from_db()
    assert other.state == Delivery.PENDING
    assert timedelta(seconds=30) < other.next_attempt_at - timezone.now() <= timedelta(minutes=1)


@pytest.mark.parametrize(
    ("posted", "same"),
    [
        ("We are on it.", True),
        ("we are on it. Thanks!", True),
        ("Something else entirely", False),
    ],
)
def test_a_reply_met_in_the_thread_is_known_by_its_words(posted, same):
    assert outbox.is_same_reply("We are on it.", posted) is same
