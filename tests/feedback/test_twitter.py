"""The X channel against a loopback API that keeps state."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from feedback import polling, refreshing
from feedback.channels.base import (
    Absent,
    Batch,
    ByHand,
    Later,
    Post,
    Refused,
    Reply,
    Sent,
    SourceStopped,
    TryLater,
    Unsure,
)
from feedback.channels.twitter import Twitter
from feedback.channels.twitter.tweets import Page
from feedback.intake import add_posts
from feedback.models import Item, Message
from tests.make import make_source
from tests.serve import FAULTS, after_taking, says
from tests.twitter_server import US, X

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def x(settings) -> Iterator[X]:
    with X() as served:
        settings.TWITTER_API_URL = served.url
        settings.TWITTER_BEARER_TOKEN = "secret"
        for name in ("API_KEY", "API_SECRET", "ACCESS_TOKEN", "ACCESS_SECRET"):
            setattr(settings, f"TWITTER_{name}", "secret")
        yield served


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def channel(**config: Any) -> Twitter:
    return Twitter({"handle": "genericcorp", **config})


def read(source: Twitter, cursor: Any = None) -> tuple[list[Post], Batch]:
    posts: list[Post] = []
    while True:
        batch = source.poll(json.loads(json.dumps(cursor or {})))
        posts += batch.posts
        cursor = batch.cursor
        if not batch.more:
            return posts, batch


def test_every_page_is_read_once_and_a_second_poll_adds_nothing(x: X) -> None:
    for number in range(40):
        x.say(f"@genericcorp hello {number}")
    posts, batch = read(channel())
    assert len({post.external_id for post in posts}) == 40
    assert batch.meter["posts read this month"] == 40
    again, batch = read(channel(), batch.cursor)
    assert again == []
    x.say("@genericcorp one more")
    assert [post.text for post in read(channel(), batch.cursor)[0]] == ["@genericcorp one more"]


def test_however_many_searches_there_are_each_is_read_and_the_poll_ends(x: X) -> None:
    for number in range(7):
        x.say(f"@genericcorp hello {number}")
    source = channel(queries=[f"#word{number}" for number in range(8)])
    posts, batch = read(source)
    assert len({post.external_id for post in posts}) == 7
    paths = {request.query.get("query", "mentions") for request in x.requests}
    assert paths >= {"mentions", *(f"#word{number}" for number in range(8))}
    assert batch.cursor["left"] == []


def test_what_was_read_and_paid_for_is_kept_though_a_part_fails(x: X) -> None:
    x.say("@genericcorp hello")
    x.fault = lambda handler: FAULTS["a cut"](handler) if "search" in handler.path else False
    batch = channel(queries=["#corp"]).poll({})
    assert len(batch.posts) == 1
    assert batch.cursor["meter"]["reads"] == 1
    assert "cannot be reached" in str(batch.failure)
    with pytest.raises(TryLater):
        channel(queries=["#corp"]).poll(batch.cursor)
    x.fault = None
    asked = len(x.requests)
    channel(queries=["#corp"]).poll(batch.cursor)  # what failed goes first
    assert ["search" in request.path for request in x.requests[asked:]] == [True, False]


def test_a_page_whose_name_is_forgotten_is_read_again(x: X) -> None:
    for number in range(5):
        x.say(f"@genericcorp hello {number}")
    stale = says({"errors": [{"message": "The `pagination_token` query parameter is stale"}]}, 400)
    x.fault = lambda handler: stale(handler) if "pagination_token" in handler.path else False
    cursor = {"user": US, "handle": "genericcorp", "parts": {"mentions": {"token": "3"}}}
    assert len(channel().poll(cursor).posts) >= 3


def test_what_a_post_says(x: X) -> None:
    parent = x.say("First.")
    x.say(
        "@genericcorp R&amp;D &lt;3 https://t.co/a",
        referenced_tweets=[{"type": "replied_to", "id": parent["id"]}],
        conversation_id=parent["id"],
        entities={"urls": [{"url": "https://t.co/a", "expanded_url": "https://example.com/x"}]},
    )
    x.say("RT @ann: First…", referenced_tweets=[{"type": "retweeted", "id": parent["id"]}])
    x.say("short…", note_tweet={"text": "A long text, whole."})
    x.say("By nobody.", author_id="99")
    x.say(
        "AT&amp;amp;T a=1&amp;copy=2 https://t.co/b",
        entities={"urls": [{"url": "https://t.co/b", "expanded_url": "https://e.com/?a=1&copy=2"}]},
    )
    x.say("No more.", withheld={"copyright": False, "country_codes": ["DE", "FR"]})
    x.say("See this", referenced_tweets=[{"type": "quoted", "id": parent["id"]}])
    posts, batch = read(channel())
    found = {post.text: post for post in posts}
    assert set(found) == {
        "First.",
        "@genericcorp R&D <3 https://example.com/x",
        "A long text, whole.",
        "By nobody.",
        "AT&amp;T a=1&copy=2 https://e.com/?a=1&copy=2",
        "No more.",
        "See this",
    }
    answer = found["@genericcorp R&D <3 https://example.com/x"]
    assert (answer.author, answer.parent_id, answer.thread_id) == ("ann", *[parent["id"]] * 2)
    assert found["By nobody."].author is None
    assert found["AT&amp;T a=1&copy=2 https://e.com/?a=1&copy=2"].parent_id is None
    assert found["No more."].context == "withheld: DE, FR"
    assert found["See this"].context == "quoted: First."
    assert batch.meter["retweets"] == 1


def test_an_edit_is_the_same_message(x: X) -> None:
    first = x.say("Typo hree")
    posts, batch = read(channel())
    x.say("Typo here", edit_history_tweet_ids=[first["id"], "1860000000000001000"])
    edited, _ = read(channel(), batch.cursor)
    assert [post.external_id for post in edited] == [posts[0].external_id]
    assert edited[0].text == "Typo here"


def test_the_cap_stops_reading_until_the_next_month(x: X) -> None:
    for number in range(9):
        x.say(f"@genericcorp {number}")
    _, batch = read(channel(monthly_reads=6))
    assert batch.meter["posts read this month"] == 6
    assert batch.no_sooner == datetime(2026, 12, 1, tzinfo=UTC) - NOW or batch.no_sooner
    assert batch.no_sooner > timedelta(days=6)
    asked = len(x.requests)
    assert channel(monthly_reads=6).poll(batch.cursor).posts == ()
    assert len(x.requests) == asked
    with time_machine.travel(datetime(2026, 12, 1, 1, tzinfo=UTC)):
        posts, _ = read(channel(), batch.cursor)
    assert len(posts) == 3


@pytest.mark.django_db(transaction=True)
def test_what_is_looked_at_again_is_billed_as_well(x: X) -> None:
    source = make_source(
        "x", channel="twitter", config={"handle": "genericcorp", "monthly_reads": 7}
    )
    for number in range(3):
        x.say(f"@genericcorp hello {number}")
    source.next_poll_at = NOW
    source.save()
    assert polling.poll(source.pk)
    Message.objects.update(look_again_at=NOW)
    assert not refreshing.refresh_due()
    polling.poll(source.pk, force=True)
    source.refresh_from_db()
    assert source.meter["posts read this month"] == 6
    x.say("@genericcorp hello")
    polling.poll(source.pk, force=True)
    asked = len(x.requests)
    Message.objects.update(look_again_at=NOW)
    assert not refreshing.refresh_due()  # the month's posts are read
    assert len(x.requests) == asked
    due = Message.objects.values_list("look_again_at", flat=True)
    assert min(due) > NOW + timedelta(hours=5)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_cursor_and_says_what_it_is(x: X, fault: str) -> None:
    x.say("@genericcorp hello")
    _, batch = read(channel())
    x.say("@genericcorp again")
    x.fault = FAULTS[fault]
    with pytest.raises(TryLater) as told:
        channel().poll(batch.cursor)
    assert str(told.value).startswith("X ")
    x.fault = None
    assert len(read(channel(), batch.cursor)[0]) == 1


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"title": "Unauthorized"}, "TWITTER_BEARER_TOKEN"),
        (402, {"title": "CreditsDepleted"}, "credits"),
        (403, {"reason": "client-not-enrolled", "detail": "Enrol first."}, "Enrol first."),
        (400, {"errors": [{"message": "Invalid query"}]}, "Invalid query"),
    ],
)
def test_what_a_person_must_mend_stops_the_source(x: X, status: int, body: Any, told: str) -> None:
    x.fault = says(body, status)
    with pytest.raises(SourceStopped, match=told):
        channel(queries=["corp"]).poll({"user": US, "handle": "genericcorp"})
    assert not channel().check().ok


def test_the_limit_is_waited_for(x: X) -> None:
    reset = int((NOW + timedelta(minutes=9)).timestamp())
    x.fault = says({}, 429, x_rate_limit_reset=str(reset))
    with pytest.raises(TryLater) as told:
        channel().poll({})
    assert timedelta(minutes=8) < told.value.wait <= timedelta(minutes=9)


def test_an_outage_of_weeks_begins_at_what_x_still_has(x: X) -> None:
    x.say("@genericcorp late")
    stale = says({"errors": [{"message": "since_id must be larger than 1"}]}, 400)
    x.fault = lambda handler: stale(handler) if "since_id" in handler.path else False
    parts = {"mentions": {"since": 2117794457318326272}}
    cursor = {"user": US, "handle": "genericcorp", "parts": parts}
    posts, batch = read(channel(), cursor)
    assert [post.text for post in posts] == ["@genericcorp late"]
    assert batch.meter["missed"] == "mentions from 04 Nov 01:42 to 17 Nov 12:05 UTC"
    x.fault = None
    assert read(channel(), batch.cursor)[1].meter["missed"] == batch.meter["missed"]
    with time_machine.travel(NOW + timedelta(days=4)):
        assert "missed" not in read(channel(), batch.cursor)[1].meter


def reply_to(tweet: dict[str, Any], text: str = "We are on it.") -> Reply:
    return Reply(key="k", parent_id=tweet["id"], text=text, parent=tweet)


def test_a_reply_goes_out_once_and_is_found(x: X) -> None:
    reply = reply_to(x.say("@genericcorp it crashes"))
    assert channel().find(reply) == Absent()
    sent = channel().reply(reply)
    assert isinstance(sent, Sent)
    assert channel().find(reply) == sent


def test_a_lost_answer_is_unsure_and_then_found(x: X) -> None:
    reply = reply_to(x.say("@genericcorp it crashes"))
    x.fault = after_taking
    assert isinstance(channel().reply(reply), Unsure)
    x.fault = None
    assert isinstance(channel().find(reply), Sent)
    assert sum(request.method == "POST" for request in x.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (429, {}, Later),
        (403, {"detail": "You are not allowed to reply."}, ByHand),
        (403, {"detail": "You are not allowed to create a Tweet with duplicate content."}, Unsure),
        (400, {"detail": "Too long."}, Refused),
        (503, {}, Unsure),
    ],
)
def test_what_x_says_to_a_reply(x: X, status: int, body: Any, outcome: type) -> None:
    reply = reply_to(x.say("@genericcorp it crashes"))
    x.fault = says(body, status)
    assert isinstance(channel().reply(reply), outcome)


def test_who_does_not_mention_us_is_answered_by_hand(x: X, settings) -> None:
    assert isinstance(channel().reply(reply_to(x.say("it crashes"))), ByHand)
    settings.TWITTER_ACCESS_SECRET = ""
    assert isinstance(channel().reply(reply_to(x.say("@genericcorp x"))), ByHand)
    assert all(request.method == "GET" for request in x.requests)


def test_refresh_tells_edits_and_what_is_gone(x: X) -> None:
    first, gone = x.say("Old"), "1850000000000000000"
    newer = x.say("New", edit_history_tweet_ids=[first["id"], "1860000000000001000"])
    first["edit_history_tweet_ids"] = newer["edit_history_tweet_ids"]
    posts = channel().refresh([first["id"], gone])
    assert posts[-1].is_deleted
    assert posts[-1].external_id == gone
    last = {post.external_id: post.text for post in posts}
    assert last[first["id"]] == "New"
    x.fault = says({})  # that tells nothing of any post
    assert channel().refresh([first["id"]]) == []


@pytest.mark.django_db(transaction=True)
def test_our_own_answer_joins_and_follow_ups_too(x: X) -> None:
    source = make_source("x", channel="twitter", config={"team": ["genericcorp"]})
    bug = x.say("@genericcorp it crashes")
    answer = [{"type": "replied_to", "id": bug["id"]}]
    x.say("We are on it.", author_id=US, referenced_tweets=answer)
    x.say("Thanks!", referenced_tweets=answer)
    add_posts(source, read(channel())[0])
    item = Item.objects.get()
    assert [message.ours for message in item.messages.all()] == [False, True, False]
    assert Message.objects.count() == 3


def test_recorded_pages_are_read_whole(shared: Path) -> None:
    folder = shared / "recordings/twitter/twarc-csv"
    count = 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith("users"):
            continue
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                page = Page(row if isinstance(row.get("data"), list) else {"data": [row]})
                read_rows = list(page.read())
                assert len(read_rows) + page.retweets == len(page.rows)
                for post in read_rows:
                    assert isinstance(post, Post)
                    assert "&amp;" not in post.text
                    assert post.created_at.tzinfo
                    count += 1
    assert count > 50


def test_without_a_credential_it_says_which(settings) -> None:
    settings.TWITTER_BEARER_TOKEN = ""
    with pytest.raises(SourceStopped, match="TWITTER_BEARER_TOKEN"):
        channel().poll({})
