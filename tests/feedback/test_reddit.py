"""The Reddit channel against a loopback API that keeps state."""

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

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
from feedback.channels.reddit import Reddit
from feedback.channels.reddit.api import _kept
from feedback.channels.reddit.things import post_of
from feedback.intake import add_posts
from feedback.models import Item, Message
from tests.make import make_source
from tests.reddit_server import ME, Board
from tests.serve import FAULTS, after_taking, says
from triage import troubles

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def board(settings) -> Iterator[Board]:
    _kept.key = ()  # this thread's token
    with Board() as served:
        settings.REDDIT_URL = settings.REDDIT_OAUTH_URL = served.url
        settings.REDDIT_CLIENT_ID, settings.REDDIT_CLIENT_SECRET = "id", "secret"
        settings.REDDIT_USERNAME, settings.REDDIT_PASSWORD = ME, "secret"
        yield served


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def channel(**config: Any) -> Reddit:
    return Reddit(config or {"subreddits": ["corp"]})


def read(source: Reddit, cursor: Any = None) -> tuple[list[Post], Batch]:
    posts: list[Post] = []
    while True:
        batch = source.poll(json.loads(json.dumps(cursor or {})))
        posts += batch.posts
        cursor = batch.cursor
        if not batch.more:
            return posts, batch


def names(posts: list[Post]) -> set[str]:
    return {post.external_id for post in posts}


def test_posts_and_comments_that_say_our_words(board: Board) -> None:
    wanted = {board.submit(f"The dashboard {n}") for n in range(20)}
    board.submit("Something else")
    post = board.submit("Which tool?")
    wanted.add(board.comment(post, "Take the DASHBOARD."))
    board.comment(post, "No idea.")
    posts, batch = read(channel(subreddits=["corp"], words=["dashboard", "generic corp"]))
    assert names(posts) == wanted
    comment = next(post for post in posts if post.external_id.startswith("t1_"))
    assert (comment.context, comment.parent_id) == ("story: Which tool?", post)
    assert batch.meter == {"requests left": 500}


def test_after_a_gap_all_that_is_new_is_read_and_nothing_twice(board: Board) -> None:
    board.submit("First")
    posts, batch = read(channel())
    with time_machine.travel(NOW + timedelta(days=3)):
        late = {board.submit(f"Late {n}", created_utc=NOW.timestamp() + n) for n in range(30)}
        posts, batch = read(channel(), batch.cursor)
        assert late <= names(posts)
        again, _ = read(channel(), batch.cursor)
    assert len(again) <= 30  # what is within the overlap; intake knows it


@pytest.mark.django_db
def test_what_reddit_no_longer_lists_is_told(board: Board) -> None:
    board.page, board.lists = 100, 950
    board.submit("First")
    _, batch = read(channel())
    assert "missed" not in batch.meter
    for number in range(1_000):
        board.submit(f"Late {number}", created_utc=NOW.timestamp() + 3_600 + number)
    with time_machine.travel(NOW + timedelta(hours=2)):
        posts, batch = read(channel(), batch.cursor)
        assert len(posts) == 950
        assert batch.meter["missed"].startswith("r/corp/new from 24 Nov ")
        source = make_source("r", channel="reddit", meter=batch.meter)
        assert "no longer lists r/corp/new" in troubles.present()[0]
        source.delete()
        posts, batch = read(channel(), batch.cursor)
        assert "missed" in batch.meter
        assert len(batch.cursor["gaps"]) == 1


def test_a_whole_tree_is_read_with_what_stands_behind_more(board: Board) -> None:
    root = board.submit("Our launch", author=ME)
    top = [board.comment(root, f"Comment {n}") for n in range(5)]
    deep = board.comment(board.comment(top[0], "Deeper"), "Deepest")
    board.hidden = [board.comment(root, f"Hidden {n}") for n in range(250)]
    posts, batch = read(
        channel(submissions=[f"https://www.reddit.com/r/corp/comments/{root[3:]}/x"])
    )
    assert {root, deep, *top, *board.hidden} <= names(posts)
    assert len(names(posts)) == 258
    asked = len(board.requests)
    read(channel(submissions=[root]), batch.cursor)
    assert len(board.requests) - asked <= 2  # nothing new stands behind "more"


def test_a_thread_that_continues_elsewhere_is_followed(board: Board) -> None:
    root = board.submit("Our launch", author=ME)
    top = board.comment(root, "Top")
    board.cut_below = top
    deep = [board.comment(top, f"Deep {n}") for n in range(4)]
    posts, batch = read(channel(submissions=[root]))
    assert {root, top, *deep} == names(posts)
    asked = len(board.requests)
    read(channel(submissions=[root]), batch.cursor)
    assert len(board.requests) - asked == 1
    late = board.comment(top, "Late")
    assert late in names(read(channel(submissions=[root]), batch.cursor)[0])


def test_only_newer_comments_behind_more_are_asked_for_again(board: Board) -> None:
    root = board.submit("Our launch", author=ME)
    board.hidden = [board.comment(root, f"Hidden {n}") for n in range(250)]
    board.comment(root, "Shown")
    _, batch = read(channel(submissions=[root]))
    board.hidden.append(board.comment(root, "Newer"))
    asked = len(board.requests)
    posts, _ = read(channel(submissions=[root]), batch.cursor)
    assert board.hidden[-1] in names(posts)
    assert len(board.requests) - asked == 2


def test_however_many_subreddits_there_are_each_is_read_and_the_poll_ends(board: Board) -> None:
    board.submit("Hello")
    source = channel(subreddits=["corp", "other1", "other2", "other3", "other4"])
    posts, batch = read(source)
    paths = {request.path.strip("/") for request in board.requests}
    assert {"r/other4/new", "r/other4/comments", "r/corp/new"} <= paths
    assert batch.cursor["left"] == []
    assert names(posts)


def test_when_the_post_where_a_page_begins_has_vanished_nothing_is_left_out(board: Board) -> None:
    wanted = {board.submit(f"Post {n}") for n in range(8)}
    cursor = {"parts": {"r/corp/new": {"since": 0, "after": "t3_gone", "newest": 0}}}
    board.forgets = True
    assert wanted <= names(read(channel(), cursor)[0])


def test_what_was_read_is_kept_though_a_part_fails(board: Board) -> None:
    board.submit("Hello")
    board.fault = lambda h: FAULTS["a cut"](h) if "/comments" in h.path else False
    batch = channel().poll({})
    assert [post.title for post in batch.posts] == ["Hello"]
    assert "cannot be reached" in str(batch.failure)


def test_its_limiter_never_sleeps_in_the_worker(board: Board) -> None:
    board.submit("Hello")
    board.limits = {"x_ratelimit_remaining": "0.0", "x_ratelimit_reset": "300",
                    "x_ratelimit_used": "600"}  # fmt: skip
    began = time.monotonic()
    batch = channel().poll({})
    assert timedelta(minutes=4) < batch.failure.wait <= timedelta(minutes=5)
    with pytest.raises(TryLater):
        channel().poll(batch.cursor)
    assert time.monotonic() - began < 2


def test_deleted_and_removed_things(board: Board) -> None:
    root = board.submit("Title", author="[deleted]", text="[removed]")
    gone = board.comment(root, "[deleted]", author="[deleted]")
    posts = {post.external_id: post for post in read(channel())[0]}
    assert posts[gone].is_deleted
    assert posts[root].is_deleted
    assert posts[root].author is None
    board._data(gone)["body"] = "Back"
    assert not channel().refresh([gone])[0].is_deleted


def test_the_inbox_holds_messages_and_mentions(board: Board) -> None:
    board.inbox = [
        {"kind": "t4", "data": {"name": "t4_9", "author": None, "subject": "Hi", "body": "Help!",
                                "created_utc": NOW.timestamp(), "context": ""}},
        {"kind": "t1", "data": {"name": "t1_8", "author": "bob", "subject": "username mention",
                                "body": "u/genericcorp ?", "parent_id": "t3_1", "was_comment": True,
                                "created_utc": NOW.timestamp(), "link_title": "Tools"}},
    ]  # fmt: skip
    posts = {post.external_id: post for post in read(channel(inbox=True))[0]}
    assert (posts["t4_9"].title, posts["t4_9"].text, posts["t4_9"].author) == ("Hi", "Help!", None)
    assert posts["t1_8"].context == "story: Tools"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_cursor_and_says_what_it_is(board: Board, fault: str) -> None:
    board.submit("One")
    _, batch = read(channel())
    board.submit("Two")
    failing = FAULTS[fault]
    board.fault = lambda handler: False if "access_token" in handler.path else failing(handler)
    with pytest.raises(TryLater) as told:
        channel().poll(batch.cursor)
    assert str(told.value).startswith("Reddit")
    board.fault = None
    assert "Two" in {post.title for post in read(channel(), batch.cursor)[0]}


@pytest.mark.parametrize("fault", ["rate limit", "server error", "bad gateway", "a cut"])
def test_a_token_that_cannot_be_had_now_is_waited_for(board: Board, fault: str) -> None:
    board.fault = FAULTS[fault]
    with pytest.raises(TryLater):
        channel().poll({})


def test_what_a_person_must_mend_stops_the_source(board: Board, settings) -> None:
    with pytest.raises(SourceStopped, match="Reddit has no r/missing/new"):
        channel(subreddits=["missing"]).poll({})
    board.fault = lambda h: False if "access_token" in h.path else says({"error": 403}, 403)(h)
    with pytest.raises(SourceStopped, match="private"):
        channel().poll({})
    board.fault = None
    board.refuses_token, _kept.key = True, ()
    with pytest.raises(SourceStopped, match="refuses the credential"):
        channel().poll({})
    assert not channel().check().ok
    settings.REDDIT_CLIENT_ID = ""
    with pytest.raises(SourceStopped, match="REDDIT_CLIENT_ID"):
        channel().poll({})


def reply_to(name: str) -> Reply:
    return Reply(key="k", parent_id=name, text="We are on it.")


def test_a_reply_goes_out_once_and_is_found(board: Board) -> None:
    reply = reply_to(board.submit("It crashes"))
    assert channel().find(reply) == Absent()
    sent = channel().reply(reply)
    assert isinstance(sent, Sent)
    assert channel().find(reply) == sent


@pytest.mark.parametrize("fault", [after_taking, FAULTS["bad gateway"], FAULTS["a cut"]])
def test_a_write_whose_answer_is_lost_is_never_repeated(board: Board, fault: Any) -> None:
    reply = reply_to(board.submit("It crashes"))
    board.fault = lambda handler: False if "access_token" in handler.path else fault(handler)
    assert isinstance(channel().reply(reply), Unsure)
    assert sum(request.path.startswith("/api/comment") for request in board.requests) == 1
    board.fault = None
    found = channel().find(reply)
    assert isinstance(found, Sent if fault is after_taking else Absent)


@pytest.mark.parametrize(
    ("form", "outcome"),
    [
        ({"json": {"errors": [["RATELIMIT", "Take a break for 7 minutes.", "x"]]}}, Later),
        ({"json": {"errors": [["THREAD_LOCKED", "Locked.", "x"]]}}, Refused),
        ({"json": {"errors": [["USER_REQUIRED", "Log in.", None]]}}, Refused),
        ({"json": {"errors": [], "data": {"things": []}}}, Unsure),
        ({}, Unsure),
    ],
)
def test_what_reddit_says_to_a_comment(board: Board, form: Any, outcome: type) -> None:
    board.form = form or {"json": {}}
    came = channel().reply(reply_to(board.submit("It crashes")))
    assert isinstance(came, outcome)
    if isinstance(came, Later):
        assert came.wait == timedelta(minutes=7)


def test_without_a_user_a_person_replies(board: Board, settings) -> None:
    settings.REDDIT_PASSWORD = ""
    assert isinstance(channel().reply(reply_to(board.submit("x"))), ByHand)


@pytest.mark.django_db(transaction=True)
def test_our_own_answer_joins_and_follow_ups_too(board: Board) -> None:
    source = make_source("r", channel="reddit", config={"team": [ME]})
    bug = board.submit("It crashes", "On start.")
    board.comment(board.comment(bug, "We are on it.", author=ME), "Thanks!")
    other = board.comment(bug, "Same here.", author="bob")
    add_posts(source, read(channel(submissions=[bug]))[0])
    item = Item.objects.get(author__handle="ann")
    assert [message.ours for message in item.messages.all()] == [False, True, False]
    assert Item.objects.get(author__handle="bob").messages.get().external_id == other
    assert Message.objects.count() == 4


def test_recorded_things_become_posts(shared: Path) -> None:
    counts = {"t1": 0, "t3": 0, "t4": 0}
    for path in sorted((shared / "recordings/reddit/praw").iterdir()):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as text:
            for one in json.load(text)["interactions"]:
                try:
                    body = json.loads(one["response"]["body"]["string"])
                except ValueError:
                    continue
                for thing in _things_in(body):
                    post = post_of(thing)
                    assert post.text not in ("[deleted]", "[removed]")
                    assert post.created_at.tzinfo
                    counts[thing["kind"]] += 1
    assert counts["t1"] > 500
    assert counts["t3"] > 100
    assert counts["t4"] > 5


def _things_in(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for one in value:
            yield from _things_in(one)
    elif isinstance(value, dict):
        if _is_thing(value.get("kind"), value.get("data")):
            yield value
        for one in value.values():
            yield from _things_in(one)


def _is_thing(kind: Any, data: Any) -> bool:
    if kind not in ("t1", "t3", "t4") or not isinstance(data, dict) or "created_utc" not in data:
        return False
    return any(data.get(key) for key in ("body", "title", "subject"))
