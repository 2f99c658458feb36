"""The queue: order, tabs, filters, pages by key, and a cost that does not grow."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from feedback.models import Item, Source
from tests.make import make_item
from triage import moves
from triage.playbook import store

pytestmark = pytest.mark.django_db

QUERIES = 20
QUEUE = "admin:feedback_item_changelist"
SEEN = re.compile(r"seen=([0-9a-f]+)")


@pytest.fixture(autouse=True)
def rules() -> None:
    store.load_first()


def micros(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000)


def shown(client: Client, **asked: str) -> list[int]:
    """The items on the queue's page, in its order."""
    answer = client.get(reverse(QUEUE), asked)
    assert answer.status_code == 200
    return [item.pk for item in answer.context["page"].items]


def cost(client: Client, address: str) -> int:
    client.get(address)  # fill the caches of the playbook and of content types
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_the_most_urgent_is_first_and_no_clock_last(admin_client: Client) -> None:
    soon, none, late = make_item(urgency=200), make_item(), make_item(urgency=100)
    assert shown(admin_client) == [late.pk, soon.pk, none.pk]


def test_the_queries_do_not_grow_with_the_rows(admin_client: Client) -> None:
    for number in range(10):
        make_item(urgency=number)
    few = cost(admin_client, reverse(QUEUE))
    for number in range(190):
        make_item(urgency=number)
    assert cost(admin_client, reverse(QUEUE)) == few
    assert few <= QUERIES


@pytest.mark.parametrize("change", [{"state": "open"}, {"p0_probability": None}])
def test_a_poll_that_has_seen_it_all_gets_nothing(
    admin_client: Client, change: dict[str, str | None]
) -> None:
    item = make_item(category="bug", severity="P0", p0_probability=0.3)
    page = admin_client.get(reverse(QUEUE))
    seen = page.context["page"].seen
    rows = {"rows": "1", "seen": seen}
    assert admin_client.get(reverse(QUEUE), rows).status_code == 204
    Item.objects.filter(pk=item.pk).update(**change)
    answer = admin_client.get(reverse(QUEUE), rows)
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()


def test_the_pages_hold_each_item_once(admin_client: Client) -> None:
    made = {make_item(urgency=number // 30).pk for number in range(130)}
    address, met = reverse(QUEUE), []
    while address:
        page = admin_client.get(address).context["page"]
        met += [item.pk for item in page.items]
        address = reverse(QUEUE) + page.next_url if page.next_url else ""
    assert len(met) == len(made)
    assert set(met) == made


def test_of_the_unsure_the_least_sure_comes_first_on_every_page(admin_client: Client) -> None:
    made = [
        make_item(urgency=number, confidence=round((number * 37 % 60) / 125, 3), trusted=False)
        for number in range(60)
    ]
    expected = [item.pk for item in sorted(made, key=lambda item: (item.confidence, item.pk))]
    page = admin_client.get(reverse(QUEUE), {"tab": "unsure"}).context["page"]
    rest = admin_client.get(reverse(QUEUE) + page.next_url).context["page"]
    assert [item.pk for item in [*page.items, *rest.items]] == expected
    unread = make_item(confidence=None, trusted=False)
    address = reverse("admin:feedback_item_change", args=[unread.pk])
    assert admin_client.get(address, {"tab": "unsure"}).status_code == 200


def test_a_broken_key_is_the_first_page(admin_client: Client) -> None:
    item = make_item()
    for key in ("x", "1", "_", "1_x", "²_2", "9" * 80 + "_1", "9" * 30 + "_1"):
        assert shown(admin_client, after=key) in ([item.pk], []), key


def test_mine_is_what_i_took_or_my_groups_answer(client: Client) -> None:
    me = User.objects.create_superuser("mia", password="a long password")
    me.groups.add(Group.objects.create(name="qa-manager-2"))
    client.force_login(me)
    taken = make_item(taken_by=me, responder="engineering")
    by_name, by_group = make_item(responder="mia"), make_item(responder="qa-manager-2")
    make_item(responder="ceo")
    make_item(responder="mia", taken_by=User.objects.create_user("other"))
    assert set(shown(client, tab="mine")) == {taken.pk, by_name.pk, by_group.pk}


def test_mine_has_what_my_teams_answer_alone_or_beside_another(client: Client) -> None:
    client.force_login(User.objects.create_superuser("qa-1", password="a long password"))
    team = make_item(responder="qa-triage")
    beside = make_item(responder="eng-manager", category="bug", severity="P0")
    make_item(responder="eng-manager", category="bug", severity="P2")
    make_item(responder="devops")
    assert set(shown(client, tab="mine")) == {team.pk, beside.pk}
    assert (
        "with <strong>qa</strong>"
        in client.get(reverse("admin:feedback_item_change", args=[beside.pk])).content.decode()
    )


def test_a_p0_by_precaution_is_marked_until_a_person_says_that_it_is_one(
    admin_client: Client, admin_user: User
) -> None:
    item = make_item(category="bug", severity="P0", p0_probability=0.314)
    assert "P0 by precaution, 31%" in admin_client.get(reverse(QUEUE)).content.decode()
    moves.correct(item, admin_user)
    assert "P0 by precaution" not in admin_client.get(reverse(QUEUE)).content.decode()


def test_the_tabs_narrow_the_queue(admin_client: Client) -> None:
    now = timezone.now()
    late = make_item(urgency=micros(now - timedelta(minutes=1)), responder="a")
    early = make_item(urgency=micros(now + timedelta(minutes=1)), responder="a")
    bad = make_item(severity="P0", responder="a")
    unsure = make_item(trusted=False, responder="a")
    nobody = make_item(responder="")
    closed = make_item(state="closed", responder="a")
    spam = make_item(state="spam", responder="a")
    assert shown(admin_client, tab="breaching") == [late.pk]
    assert shown(admin_client, tab="severe") == [bad.pk]
    assert shown(admin_client, tab="unsure") == [unsure.pk]
    assert shown(admin_client, tab="unassigned") == [nobody.pk]
    everything = shown(admin_client, tab="all")
    assert early.pk in everything
    assert closed.pk not in everything
    assert shown(admin_client, state="closed") == [closed.pk]
    assert shown(admin_client, state="spam") == [spam.pk]


def test_filters_narrow_without_distinct(admin_client: Client) -> None:
    bug = make_item(category="bug", sentiment="negative")
    make_item(category="praise", sentiment="positive")
    address = reverse(QUEUE) + "?category=bug&sentiment=negative&channel=hackernews"
    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(address).context["page"]
    assert [item.pk for item in page.items] == [bug.pk]
    assert not [query for query in queries if "DISTINCT" in query["sql"]]


def test_an_unknown_filter_or_tab_is_ignored(admin_client: Client) -> None:
    item = make_item()
    assert shown(admin_client, tab="<b>", category="'", severity="P9") == [item.pk]


@pytest.mark.parametrize("query", ['"', "a\0b", "NEAR(", "* OR 1", "\\", "'", "äöü", "-", "AND"])
def test_any_search_is_answered(admin_client: Client, query: str) -> None:
    make_item()
    shown(admin_client, q=query)


def test_search_finds_words_of_the_text_and_the_author(admin_client: Client) -> None:
    made = make_item(text="The websocket drops each hour.")
    make_item(text="Lovely.")
    assert shown(admin_client, q="websocket drop") == [made.pk]
    assert shown(admin_client, q=made.author.handle) == [made.pk]


def test_what_people_wrote_is_text_on_the_page(admin_client: Client) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    item = make_item(text=evil, title=evil)
    item.author.name = evil
    item.author.save()
    for address in (reverse(QUEUE), reverse("admin:feedback_item_change", args=[item.pk])):
        html = admin_client.get(address).content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html


def test_the_sample_is_marked(admin_client: Client) -> None:
    source = Source.objects.create(name="sample", channel="sample")
    make_item(source, channel="twitter")
    html = admin_client.get(reverse(QUEUE)).content.decode()
    assert "ample" in html
    assert "/start/sample/remove" in html


def test_a_count_stops_at_a_thousand(admin_client: Client) -> None:
    source = make_item().source
    Item.objects.bulk_create(
        Item(source=source, channel="hackernews", created_at=NOW, taken_in_at=NOW)
        for _ in range(1_100)
    )
    tabs = {tab.key: tab.count for tab in admin_client.get(reverse(QUEUE)).context["page"].tabs}
    assert tabs["all"] == "999+"
    assert tabs["breaching"] == "0"


NOW = datetime(2026, 1, 27, tzinfo=UTC)
