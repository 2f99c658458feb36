"""The item page: one person's acts on one item, each told and kept in its history."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from feedback.models import HistoryEntry, Item, Kind, Message
from tests.make import make_item
from triage import replies
from triage.models import Clock, Delivery, OutboxEntry, Reading
from triage.playbook import current, store

pytestmark = pytest.mark.django_db

QUERIES = 20


@pytest.fixture(autouse=True)
def rules() -> None:
    store.load_first()


@pytest.fixture
def item() -> Item:
    made = make_item(state="open", text="The board does not load.")
    Reading.objects.create(
        item=made,
        model="m",
        category="bug",
        sentiment="negative",
        severity="P2",
        topic="qa",
        language="en",
        confidence=0.42,
        trusted=False,
        why=["its words"],
        read_at=timezone.now(),
    )
    start_clock(made, "acknowledge")
    start_clock(made, "respond")
    return made


def start_clock(item: Item, kind: str) -> Clock:
    now = timezone.now()
    return Clock.objects.create(
        item=item,
        kind=kind,
        target=timedelta(hours=1),
        started_at=now,
        warn_at=now + timedelta(minutes=45),
        due_at=now + timedelta(hours=1),
        next_event_at=now + timedelta(minutes=45),
    )


def page(client: Client, item: Item, **asked: str) -> str:
    answer = client.get(reverse("admin:feedback_item_change", args=[item.pk]), asked)
    assert answer.status_code == 200
    return answer.content.decode()


def act(client: Client, item: Item, name: str, **values: object) -> str:
    """Do it; what the page says then."""
    address = reverse("admin:feedback_item_act", args=[item.pk, name])
    answer = client.post(address, values, follow=True)
    assert answer.status_code == 200
    item.refresh_from_db()
    return answer.content.decode()


def events(item: Item) -> list[tuple[str, str]]:
    rows = HistoryEntry.objects.filter(item=item).select_related("by")
    return [(row.event, row.by.get_username() if row.by else "") for row in rows]


def running(item: Item) -> set[str]:
    return set(item.clocks.running().values_list("kind", flat=True))


def test_the_page_tells_what_there_is_to_know(admin_client: Client, item: Item) -> None:
    html = page(admin_client, item)
    for word in (
        "The board does not load.",
        "42",
        "its words",
        "Acknowledge",
        "Respond",
        "data-due",
    ):
        assert word in html, word


def test_an_item_that_nobody_has_read_yet_has_a_page(admin_client: Client) -> None:
    bare = make_item(
        category="", severity="", sentiment="", topic="", confidence=None, author=None, url=""
    )
    assert "It is broken." in page(admin_client, bare)


def test_an_item_that_is_not_there_is_not_found(admin_client: Client) -> None:
    for name in ("999999", "x", "²", "9" * 30):
        assert admin_client.get(f"/feedback/item/{name}/change/").status_code == 404, name


def test_the_queries_do_not_grow_with_the_conversation(admin_client: Client, item: Item) -> None:
    def cost() -> int:
        page(admin_client, item)
        with CaptureQueriesContext(connection) as queries:
            page(admin_client, item)
        return len(queries)

    add_words(item, 10)
    few = cost()
    add_words(item, 190)
    assert cost() == few
    assert few <= QUERIES


def add_words(item: Item, count: int) -> None:
    user, now = User.objects.get(username="admin"), timezone.now()
    rows = [
        Message(item=item, channel="hackernews", kind=kind, text=f"word {n}", created_at=now,
                ours=kind != Kind.POST, posted_by=user, author=item.author)
        for n, kind in zip(range(count), [Kind.POST, Kind.REPLY, Kind.NOTE] * count, strict=False)
    ]  # fmt: skip
    made = Message.objects.bulk_create(rows)
    OutboxEntry.objects.bulk_create(
        OutboxEntry(key=f"k{m.pk}", kind="reply", item=item, message=m, channel="hackernews",
                    state=Delivery.SENT, created_at=now)
        for m in made if m.kind == Kind.REPLY
    )  # fmt: skip
    HistoryEntry.objects.bulk_create(
        HistoryEntry(item=item, at=now, by=user, event="note_added") for _ in range(count)
    )


def test_taking_it_acknowledges_it(admin_client: Client, item: Item) -> None:
    act(admin_client, item, "take")
    assert item.taken_by == User.objects.get(username="admin")
    assert running(item) == {"respond"}
    assert events(item) == [("taken", "admin")]


def test_what_somebody_took_is_not_taken_again(admin_client: Client, item: Item) -> None:
    item.taken_by = User.objects.create_user("olga")
    item.save()
    assert "olga has taken this item" in act(admin_client, item, "take")
    assert item.taken_by.get_username() == "olga"


def test_it_is_given_to_a_role_of_the_playbook(admin_client: Client, item: Item) -> None:
    role = min(current().roles)
    act(admin_client, item, "assign", responder=role)
    assert item.responder == role
    html = act(admin_client, item, "assign", responder="nobody-at-all")
    assert "no role" in html
    assert item.responder == role


def test_a_note_is_kept_for_staff(admin_client: Client, item: Item) -> None:
    html = act(admin_client, item, "note", text="Seen twice <b>today</b>.")
    assert "Seen twice &lt;b&gt;today&lt;/b&gt;." in html
    assert item.messages.get(kind=Kind.NOTE).posted_by.get_username() == "admin"
    assert running(item) == {"acknowledge", "respond"}


@pytest.mark.parametrize("way", ["answered", "fixed", "no_feedback", "duplicate"])
def test_it_is_closed_and_opened_again(admin_client: Client, item: Item, way: str) -> None:
    act(admin_client, item, "close", **{"as": way})
    assert (item.state, item.closed_as) == ("closed", way)
    assert running(item) == set()
    html = act(admin_client, item, "close", **{"as": way})
    assert "closed this item" in html
    act(admin_client, item, "reopen")
    assert item.state == "open"
    assert [event for event, _ in events(item)] == ["closed", "reopened"]


def test_spam_leaves_the_queue(admin_client: Client, item: Item) -> None:
    act(admin_client, item, "spam")
    assert item.state == "spam"
    assert running(item) == set()


def test_a_correction_is_kept_and_routes_anew(admin_client: Client, item: Item) -> None:
    act(admin_client, item, "correct", category="praise")
    assert (item.category, item.severity, item.corrected) == ("praise", "", True)
    assert {c.field for c in item.corrections.all()} == {"category", "severity"}
    assert "not a category" in act(admin_client, item, "correct", category="<i>")


def test_a_template_comes_filled(admin_client: Client, item: Item) -> None:
    html = page(admin_client, item, template=next(iter(current().templates)))
    assert item.author.handle in html
    assert "{name}" not in html
    page(admin_client, item, template="not-there")


def test_a_preview_sends_nothing(admin_client: Client, item: Item) -> None:
    html = act(admin_client, item, "reply", text="Look <b>here</b>.", token="t", preview="1")
    assert "Look &lt;b&gt;here&lt;/b&gt;." in html
    assert not OutboxEntry.objects.exists()


def test_a_reply_by_hand_is_posted_once_and_stops_the_clock(
    admin_client: Client, item: Item
) -> None:
    for _ in range(2):
        act(admin_client, item, "reply", text="We are on it.", token="t", seen="0")
    entry = OutboxEntry.objects.get()
    assert entry.state == Delivery.BY_HAND
    assert "respond" in running(item)
    act(admin_client, item, "posted", entry=entry.pk)
    entry.refresh_from_db()
    assert entry.state == Delivery.POSTED
    assert running(item) == set()
    assert "not waiting" in act(admin_client, item, "posted", entry=entry.pk)


def test_after_a_reply_the_page_shows_its_buttons(admin_client: Client, item: Item) -> None:
    address = reverse("admin:feedback_item_act", args=[item.pk, "reply"])
    answer = admin_client.post(address, {"text": "We are on it.", "token": "t", "seen": "0"})
    reply = item.messages.get(kind=Kind.REPLY)
    assert answer["location"].endswith(f"#message-{reply.pk}")


def test_line_ends_are_as_everybody_has_them(admin_client: Client, item: Item) -> None:
    act(admin_client, item, "reply", text="Hey,\r\n\r\nthanks.", token="t", seen="0")
    assert item.messages.get(kind=Kind.REPLY).text == "Hey,\n\nthanks."


def test_a_reply_by_hand_can_be_taken_back(admin_client: Client, item: Item) -> None:
    act(admin_client, item, "reply", text="We are on it.", token="t", seen="0")
    act(admin_client, item, "cancel", entry=OutboxEntry.objects.get().pk)
    assert OutboxEntry.objects.get().state == Delivery.CANCELLED
    assert not item.messages.filter(kind=Kind.REPLY).exists()
    assert "respond" in running(item)


def test_two_people_do_not_answer_over_each_other(admin_client: Client, item: Item) -> None:
    olga = User.objects.create_user("olga")
    replies.send(item, "From olga.", olga, token="o")
    html = act(admin_client, item, "reply", text="From admin.", token="t", seen="0")
    assert "olga has answered meanwhile" in html
    assert "From admin." in html  # the draft is not lost
    assert OutboxEntry.objects.count() == 1


def test_after_the_warning_the_second_press_sends(admin_client: Client, item: Item) -> None:
    replies.send(item, "From olga.", User.objects.create_user("olga"), token="o")
    address = reverse("admin:feedback_item_act", args=[item.pk, "reply"])
    draft = {"text": "From admin.", "token": "t", "seen": "0"}
    warned = admin_client.post(address, draft)
    draft |= {"seen": warned.context["seen"], "token": warned.context["token"]}
    admin_client.post(address, draft)
    assert OutboxEntry.objects.count() == 2


@pytest.mark.parametrize("text", ["", "   ", "Hi {name}", "x" * 10_001])
def test_a_text_that_cannot_go_out_is_refused(admin_client: Client, item: Item, text: str) -> None:
    act(admin_client, item, "reply", text=text, token="t", seen="0")
    assert not OutboxEntry.objects.exists()


def test_links_from_outside_lead_only_to_the_web(admin_client: Client) -> None:
    bad = make_item(url="javascript:alert(1)", text="Look: javascript:alert(1)")
    Message.objects.filter(item=bad).update(url="data:text/html,hello")
    html = page(admin_client, bad)
    assert 'href="javascript:' not in html
    assert 'href="data:' not in html


def test_an_act_that_is_not_there_is_refused(admin_client: Client, item: Item) -> None:
    address = f"/feedback/item/{item.pk}/act/destroy/"
    assert admin_client.post(address).status_code in (403, 404)
