"""The one door in: what becomes an item, what joins one, what is kept aside."""

from datetime import timedelta

import pytest
from django.utils import timezone

from feedback.channels.base import Batch, Unreadable
from feedback.intake import LostClaim, add_posts, take_in
from feedback.models import Item, Kind, Message, RejectedPost, Source
from feedback.search import search
from tests.make import LAUNCH, make_post, make_source

pytestmark = pytest.mark.django_db


def authors() -> list[str]:
    return [item.author.handle if item.author else "" for item in Item.objects.order_by("pk")]


def test_a_post_becomes_an_item_that_waits_for_triage():
    taken = add_posts(make_source(), [make_post("7", text="It is down.", title="Show HN")])
    item = Item.objects.get()
    assert (taken.read, taken.new, taken.updated) == (1, 1, 0)
    assert (item.first_words, item.title, item.state) == ("It is down.", "Show HN", "new")
    assert item.triage_due_at <= timezone.now()
    assert item.messages.get().external_id == "7"


def test_taking_in_twice_adds_nothing():
    source, posts = make_source(), [make_post("1"), make_post("2", author="bob")]
    add_posts(source, posts)
    again = add_posts(source, posts)
    assert (again.new, again.updated, Item.objects.count()) == (0, 0, 2)


def test_one_post_from_two_sources_is_one_message():
    post = make_post("1")
    add_posts(make_source("search"), [post])
    assert add_posts(make_source("thread"), [post]).new == 0


def test_a_follow_up_by_the_author_joins_the_conversation_across_others():
    root, other = make_post("1"), make_post("2", parent_id="1", author="bob")
    add_posts(make_source(), [root, other])
    Item.objects.update(triage_due_at=None)
    add_posts(Source.objects.get(), [make_post("3", parent_id="2", author="ann")])
    assert authors() == ["ann", "bob"]
    ann = Item.objects.get(author__handle="ann")
    assert ann.messages.count() == 2
    assert ann.triage_due_at is not None


def test_order_within_a_batch_does_not_matter():
    posts = [make_post("1"), make_post("2", parent_id="1"), make_post("3", parent_id="2")]
    add_posts(make_source(), posts[::-1])
    assert Item.objects.get().messages.count() == 3


def test_an_answer_of_the_team_becomes_our_reply():
    source = make_source(config={"team": ["Eng-1"]})
    add_posts(source, [make_post("1"), make_post("2", parent_id="1", author="eng-1")])
    reply = Item.objects.get().messages.get(external_id="2")
    assert (reply.ours, reply.kind) == (True, Kind.REPLY)


def test_an_answer_of_the_team_read_first_finds_its_item_later():
    source = make_source(config={"team": ["eng-1"]})
    add_posts(source, [make_post("2", parent_id="1", author="eng-1")])
    assert Item.objects.count() == 0
    add_posts(source, [make_post("1")])
    assert Message.objects.get(external_id="2").item == Item.objects.get()


def test_our_own_story_is_no_item_but_its_comments_are():
    source = make_source(config={"team": ["eng-1"]})
    add_posts(source, [make_post("1", author="eng-1"), make_post("2", parent_id="1")])
    assert authors() == ["ann"]


def test_an_edit_updates_the_text_and_asks_for_triage():
    source = make_source()
    add_posts(source, [make_post("1", text="It is slow.")])
    Item.objects.update(triage_due_at=None)
    taken = add_posts(source, [make_post("1", text="It is slow. Edit: it lost my data.")])
    assert taken.updated == 1
    assert "lost my data" in Message.objects.get().text
    assert Item.objects.get().triage_due_at is not None


def test_a_deleted_post_is_blanked_and_never_taken_in_anew():
    source = make_source()
    post = make_post("1", title="The board", text="It leaks memory.")
    add_posts(source, [post, make_post("2", author="bob", is_deleted=True)])
    Item.objects.update(triage_due_at=None, category="bug")
    add_posts(source, [make_post("1", is_deleted=True)])
    message, item = Message.objects.get(), Item.objects.get()
    assert (message.text, message.raw, message.is_deleted) == ("", {}, True)
    assert (item.title, item.first_words, item.category) == ("", "", "bug")
    assert item.triage_due_at is None
    assert [entry.event for entry in item.history.all()] == ["deleted_at_source"]
    assert not search(Item.objects.all(), "memory")
    assert not search(Item.objects.all(), "board")


def test_what_no_database_stores_is_cleaned():
    add_posts(make_source(), [make_post("1", text="a\0b\ud800", raw={"t": ["x\0", {"k": "\0"}]})])
    message = Message.objects.get()
    assert message.text == "ab?"
    assert message.raw == {"t": ["x", {"k": ""}]}


def test_a_post_without_an_author_is_an_item_that_nobody_else_joins():
    add_posts(
        make_source(),
        [make_post("1", author=None), make_post("2", parent_id="1", author=None)],
    )
    assert authors() == ["", ""]


def test_the_unreadable_is_kept_and_the_rest_goes_on():
    source = make_source(next_poll_at=LAUNCH)
    bad = Unreadable(external_id="9", raw={"id": 9}, error="no time")
    batch = Batch(posts=(make_post("1"),), unreadable=(bad,), cursor={"at": 5})
    taken = take_in(source, batch, next_poll_at=LAUNCH + timedelta(minutes=5), lease=LAUNCH)
    source.refresh_from_db()
    assert (taken.new, taken.rejected, source.cursor) == (1, 1, {"at": 5})
    assert RejectedPost.objects.get().error == "no time"
    add_posts(source, [make_post("9")])
    assert RejectedPost.objects.get().resolved_at is not None


def test_a_lost_claim_writes_nothing():
    source = make_source(next_poll_at=LAUNCH)
    batch = Batch(posts=(make_post("1"),), cursor={"at": 5})
    with pytest.raises(LostClaim):
        take_in(source, batch, next_poll_at=LAUNCH, lease=LAUNCH - timedelta(seconds=1))
    source.refresh_from_db()
    assert (Item.objects.count(), source.cursor) == (0, {})


def test_the_cost_in_queries_does_not_grow_with_the_batch(django_assert_max_num_queries):
    source = make_source()
    with django_assert_max_num_queries(20):
        add_posts(source, [make_post(author=f"p{n}") for n in range(200)])


def test_what_a_query_does_not_match_is_kept_but_no_item():
    source = make_source(config={"match": '"task board" -author:bot lang:en'})
    posts = [
        make_post("1", text="The task board does not load for me today."),
        make_post("2", text="What do you cook tonight?", author="bob"),
        make_post("3", text="The task board is great.", author="Bot"),
        make_post("4", text="Das task board lädt heute bei mir leider gar nicht.", author="eva"),
        make_post("5", text="And it is slow.", parent_id="1"),
    ]
    add_posts(source, posts)
    assert authors() == ["ann"]
    assert Item.objects.get().messages.count() == 2
    assert Message.objects.count() == 5
