"""Saying what is about us: sources from a word or an address, queries with a preview."""

import time

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from feedback.intake import add_posts
from feedback.models import Item, Message, Source
from tests.make import make_post
from tests.replay import Replay, make_hit, make_thread
from triage import moves, pipeline
from triage.playbook import store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def rules() -> None:
    store.load_first()


def test_a_word_is_tried_before_it_is_watched(admin_client: Client, replay: Replay) -> None:
    replay.hits = [make_hit(41, "The dashboard hangs.", int(time.time()) - 60)]
    shown = admin_client.post("/start/watch", {"word": "dashboard", "preview": "1"})
    assert "1 post would come in" in shown.content.decode()
    assert not Source.objects.filter(enabled=True).exists()
    assert not Message.objects.exists()
    admin_client.post("/start/watch", {"word": "dashboard"})
    assert Source.objects.get(enabled=True).config["queries"] == ["dashboard"]


def test_the_address_of_a_story_follows_its_thread(admin_client: Client, replay: Replay) -> None:
    replay.items = {item["id"]: dict(item) for item in make_thread(3)}
    story = min(replay.items)
    address = f"https://news.ycombinator.com/item?id={story}"
    shown = admin_client.post("/start/watch", {"word": address, "preview": "1"})
    assert "4 posts would come in" in shown.content.decode()
    admin_client.post("/start/watch", {"word": address})
    assert Source.objects.get(enabled=True).config["stories"] == [story]


def test_when_the_service_is_away_the_preview_says_so(admin_client: Client, replay: Replay) -> None:
    replay.faults["*"] = lambda handler: handler.send_error(503)
    shown = admin_client.post("/start/watch", {"word": "x", "preview": "1"}).content.decode()
    assert "answers with status 503" in shown


def test_a_query_is_tried_on_what_was_read_and_then_holds(admin_client: Client) -> None:
    source = store.add_source({"name": "hn-corp", "channel": "hackernews", "queries": ["corp"]})
    add_posts(source, [make_post(text="Corp is down"), make_post(text="Corp of fishing")])
    page = reverse("admin:source_query", args=[source.pk])
    tried = admin_client.post(page, {"match": "-fishing", "preview": "1"}).content.decode()
    assert "1 post would come in, 1 would be left out" in tried
    assert "A bracket is not closed" in admin_client.post(page, {"match": "(a"}).content.decode()
    admin_client.post(page, {"match": "-fishing"})
    source.refresh_from_db()
    assert source.config["match"] == "-fishing"
    add_posts(source, [make_post(text="More fishing"), make_post(text="Still down")])
    assert Item.objects.count() == 3


def test_who_may_only_look_changes_no_query(client: Client) -> None:
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename="view_source"))
    client.force_login(reader)
    source = store.add_source({"name": "hn-corp", "channel": "hackernews", "queries": ["corp"]})
    page = reverse("admin:source_query", args=[source.pk])
    assert client.post(page, {"match": "x"}).status_code == 403
    assert client.get("/start/watch").status_code == 403


FISHING = [
    "Caught three trout with a Corp fishing rod on the river today, what a day of fishing",
    "Corp rods are fine for trout, for salmon fishing take a stronger rod and line",
]
ANGLER = "Which Corp fishing rod would you take for trout in a small river?"
PRODUCT = "The Corp dashboard shows yesterday's tasks, today's are missing after I log in"


def read(source: Source, *texts: str) -> list[Item]:
    posts = [make_post(text=text, author=f"p{text[:12]}") for text in texts]
    add_posts(source, posts)
    while pipeline.triage_waiting():
        pass
    items = Item.objects.order_by("-pk")[: len(texts)]
    return sorted(items, key=lambda item: item.pk)


def test_what_is_not_about_us_teaches_its_source_until_it_is_taken_back() -> None:
    staff = User.objects.create_user("eng-1")
    source = store.add_source({"name": "hn-corp", "channel": "hackernews", "queries": ["corp"]})
    anglers = read(source, *FISHING)
    for item in anglers:
        moves.not_about_us(item, staff)
    angler, product = read(source, ANGLER, PRODUCT)
    assert (angler.state, angler.closed_as) == ("closed", "no_feedback")
    assert angler.history.filter(event="not_about_us", by=None).get().detail["like"] in {
        item.pk for item in anglers
    }
    assert not angler.clocks.filter(met_at=None, stopped_at=None).exists()
    assert product.is_open

    for item in [*anglers, angler]:
        moves.about_us(item, staff)
    assert read(source, ANGLER.replace("small", "wide"))[0].is_open


def test_another_source_learns_nothing_of_it() -> None:
    staff = User.objects.create_user("eng-1")
    source = store.add_source({"name": "hn-corp", "channel": "hackernews", "queries": ["corp"]})
    other = store.add_source({"name": "hn-fish", "channel": "hackernews", "queries": ["fish"]})
    for item in read(source, *FISHING):
        moves.not_about_us(item, staff)
    assert read(other, ANGLER)[0].is_open
