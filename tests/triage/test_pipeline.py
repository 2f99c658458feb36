"""From what came in to an item in the queue, with the shipped model on a real database."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from feedback.intake import add_posts
from feedback.models import NO_CLOCK, Item, Message, Source
from tests.make import make_post, make_source
from triage import moves, pipeline, playbook, replies
from triage.models import Clock, Delivery, OutboxEntry, Reading

pytestmark = pytest.mark.django_db(transaction=True)

LOST = "After the update I lost all my data, every board is gone. Please help!"
PRAISE = "This is fantastic, I love it. Great work!"


@pytest.fixture
def source() -> Source:
    return make_source(config={"team": ["genericcorp"]})


@pytest.fixture
def staff(db) -> User:
    return User.objects.create_user("eng-1")


def take_in(source: Source, *posts) -> None:
    add_posts(source, posts)
    while pipeline.triage_waiting():
        pass


def kinds(item: Item, **state: bool) -> set[str]:
    return set(item.clocks.filter(**state).values_list("kind", flat=True))


def test_a_grave_bug_gets_its_responder_and_its_clocks(source):
    take_in(source, make_post("1", text=LOST))
    item = Item.objects.get()
    assert (item.category, item.severity, item.responder) == ("bug", "P0", "eng-manager")
    assert kinds(item) == {"acknowledge", "respond", "fix"}
    acknowledge = item.clocks.get(kind="acknowledge")
    rule = playbook.current().severities["P0"]
    assert acknowledge.due_at - item.taken_in_at == rule.acknowledge
    assert item.urgency == int(acknowledge.due_at.timestamp() * 1_000_000)
    assert item.triage_due_at is None
    assert "lost all my data" in " ".join(item.reading.why)
    assert len(item.reading.embedding) == 2 * 384


def test_praise_has_no_clock_and_anyone_may_answer(source):
    take_in(source, make_post("1", text=PRAISE))
    item = Item.objects.get()
    assert (item.category, item.sentiment, item.responder) == ("praise", "positive", "")
    assert not item.clocks.exists()
    assert item.urgency == NO_CLOCK


def test_a_team_answer_in_the_thread_stops_the_clocks_when_it_was_written(source):
    bug = make_post("1", text=LOST)
    take_in(source, bug)
    answer = make_post("2", parent_id="1", author="GenericCorp", text="On it.")
    take_in(source, answer)
    item = Item.objects.get()
    assert item.state == "waiting"
    assert kinds(item, met_at__isnull=True) == {"fix"}
    respond = item.clocks.get(kind="respond")
    assert respond.met_at == max(answer.created_at, respond.started_at)


def test_an_answer_read_in_the_same_poll_stops_them_too(source):
    take_in(
        source,
        make_post("1", text=LOST),
        make_post("2", parent_id="1", author="genericcorp", text="On it."),
    )
    assert kinds(Item.objects.get(), met_at__isnull=True) == {"fix"}


def test_the_author_writing_again_after_our_reply_starts_the_next_clock(source):
    take_in(source, make_post("1", text=LOST))
    take_in(source, make_post("2", parent_id="1", author="genericcorp", text="On it."))
    take_in(source, make_post("3", parent_id="2", text="Any news? Still nothing there."))
    item = Item.objects.get()
    assert item.state == "open"
    assert "next_response" in kinds(item, met_at__isnull=True)


def test_a_follow_up_raises_an_item_but_never_lowers_it(source):
    take_in(source, make_post("1", text=PRAISE))
    take_in(source, make_post("2", parent_id="1", text=LOST))
    item = Item.objects.get()
    assert (item.category, item.severity) == ("bug", "P0")
    take_in(source, make_post("3", parent_id="1", text="Thanks, all is well again, great work!"))
    item.refresh_from_db()
    assert (item.category, item.severity, item.sentiment) == ("bug", "P0", "positive")


def test_a_p0_by_precaution_is_doubted_until_its_author_says_what_happened(source):
    take_in(source, make_post("1", text="The board has been loading for 15 minutes, I am out."))
    item = Item.objects.get()
    scores = item.reading.scores
    assert item.severity == "P0"
    probability = scores["category"]["bug"] * scores["severity"]["P0"]
    assert item.p0_probability == pytest.approx(probability, abs=0.001)
    assert probability < 0.5
    assert "by precaution" in " ".join(item.reading.why)
    take_in(source, make_post("2", parent_id="1", text=LOST))
    item.refresh_from_db()
    assert (item.severity, item.p0_probability) == ("P0", None)


def test_what_a_person_corrected_stays_when_the_author_edits(source, staff):
    take_in(source, make_post("1", text=PRAISE))
    moves.correct(Item.objects.get(), staff, category="question", topic="product")
    take_in(source, make_post("1", text=LOST))
    item = Item.objects.get()
    assert (item.category, item.severity, item.responder) == ("question", "", "product-1")
    assert Reading.objects.get().category == "bug"


def test_a_change_while_it_is_read_makes_it_be_read_again(source, monkeypatch):
    add_posts(source, [make_post("1", text=PRAISE)])
    write = pipeline._read

    def edited_meanwhile(*args):
        monkeypatch.setattr(pipeline, "_read", write)
        add_posts(source, [make_post("1", text=LOST)])
        write(*args)

    monkeypatch.setattr(pipeline, "_read", edited_meanwhile)
    while pipeline.triage_waiting():
        pass
    item = Item.objects.get()
    assert (item.category, Reading.objects.count()) == ("bug", 1)
    assert Clock.objects.count() == 3


def test_a_lease_that_ran_out_is_taken_over_and_nothing_is_doubled(source):
    add_posts(source, [make_post("1", text=LOST)])
    first = pipeline._claim(timezone.now())
    assert pipeline._claim(timezone.now()) is None
    later = timezone.now() + pipeline.LEASE + timedelta(seconds=1)
    second = pipeline._claim(later)
    pipeline._triage(*second)
    pipeline._triage(*first)
    item = Item.objects.get()
    assert item.history.filter(event="triaged").count() == 1
    assert item.clocks.count() == 3


def test_a_reply_by_hand_is_met_in_the_thread_and_not_doubled(source, staff):
    take_in(source, make_post("1", text=LOST))
    item = Item.objects.get()
    entry = replies.send(item, "Hey ann, we are looking into it now.", staff, token="t1")
    assert entry.state == Delivery.BY_HAND
    assert kinds(item, met_at__isnull=True) == {"acknowledge", "respond", "fix"}
    replies.mark_posted(entry, staff)
    assert kinds(item, met_at__isnull=True) == {"fix"}
    take_in(
        source,
        make_post(
            "2", parent_id="1", author="genericcorp", text="Hey ann, we are looking into it now!"
        ),
    )
    reply = Message.objects.get(kind="reply")
    assert (reply.external_id, reply.posted_by) == ("2", staff)
    assert OutboxEntry.objects.get().state == Delivery.SENT


def acknowledged(item: Item, staff: User, without: str = "") -> OutboxEntry:
    """The first template, which says by when an update comes, as a reply by hand."""
    text = replies.fill(playbook.current().templates["acknowledge"].text, item, playbook.current())
    text = text.replace(without, "") if without else text
    return replies.send(item, text, staff, token="t1", template="acknowledge")


@pytest.mark.parametrize("is_marked", [True, False])
def test_an_update_that_was_promised_has_a_clock_until_the_next_reply(source, staff, is_marked):
    take_in(source, make_post("1", text=LOST))
    item = Item.objects.get()
    entry = acknowledged(item, staff)
    assert "promised_update" not in kinds(item)
    if is_marked:
        replies.mark_posted(entry, staff)
        assert "promised_update" in kinds(item, met_at__isnull=True)
    text = entry.message.text
    take_in(source, make_post("2", parent_id="1", author="genericcorp", text=text))
    promised = item.clocks.get(kind="promised_update", met_at=None)
    assert promised.due_at - promised.started_at == timedelta(hours=1)
    item.refresh_from_db()
    assert item.urgency <= promised.due_at.timestamp() * 1_000_000

    latest = item.messages.filter(kind="reply").latest("pk").pk
    again = replies.send(item, "It is fixed, thank you.", staff, token="t2", seen=latest)
    replies.mark_posted(again, staff)
    assert "promised_update" not in kinds(item, met_at__isnull=True)


def test_a_promise_that_was_taken_out_of_the_text_has_no_clock(source, staff):
    take_in(source, make_post("1", text=LOST))
    item = Item.objects.get()
    replies.mark_posted(acknowledged(item, staff, without="within 1 hour"), staff)
    assert kinds(item, met_at__isnull=True) == {"fix"}


def test_pressing_send_twice_sends_once_and_a_second_person_is_told(source, staff):
    take_in(source, make_post("1", text=LOST))
    item = Item.objects.get()
    first = replies.send(item, "We are on it.", staff, token="t1")
    assert replies.send(item, "We are on it.", staff, token="t1") == first
    with pytest.raises(moves.Conflict, match="eng-1 has answered meanwhile"):
        replies.send(item, "So are we.", User.objects.create_user("eng-2"), token="t2")
    assert Message.objects.filter(kind="reply").count() == 1


def test_closing_stops_what_it_does_not_keep(source, staff):
    take_in(source, make_post("1", text=LOST), make_post("2", text=LOST, author="bob"))
    first, second = Item.objects.order_by("pk")
    moves.close(first, "fixed", staff)
    moves.close(second, "duplicate", staff)
    assert kinds(first, met_at__isnull=False) == {"acknowledge", "fix"}
    assert kinds(second, met_at__isnull=False) == set()
    assert not Clock.objects.running().exists()
    with pytest.raises(moves.Conflict):
        moves.take(first, staff)


def test_confirming_the_severity_acknowledges(source, staff):
    take_in(source, make_post("1", text=LOST))
    moves.correct(Item.objects.get(), staff, severity="P0")
    assert "acknowledge" in kinds(Item.objects.get(), met_at__isnull=False)
