"""The sample launch: what is written, how it plays, and that it goes without a trace."""

import io
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from feedback.channels import sample
from feedback.channels.base import Post, Reply, Sent, SourceStopped
from feedback.models import HistoryEntry, Item, Kind, Message, Person, RejectedPost, Source
from feedback.polling import poll
from feedback.search import search
from feedback.vocabulary import Category, Severity
from tests.make import make_item, make_source
from triage.models import Clock, Correction, OutboxEntry, Reading

START = datetime(2026, 1, 27, 16, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def rows() -> list[dict[str, Any]]:
    return [{"channel": entry.channel, **entry.row} for entry in sample.written()]


def channel(speed: float = 288) -> sample.Sample:
    config = {"started_at": START.isoformat(), "speed": speed}
    return sample.Sample(config, team=frozenset(sample.TEAM))


def read_all(source: Source) -> None:
    """Poll as if the whole day had been played."""
    started = datetime.fromisoformat(source.config["started_at"])
    with time_machine.travel(started + DAY, tick=False):
        polled = poll(source.pk)
    assert polled is not None
    assert polled.error == ""


def tell(*words: str) -> str:
    out = io.StringIO()
    call_command("sample", *words, stdout=out)
    return out.getvalue()


# What is written


def test_the_day_has_more_than_550_posts_in_five_channels():
    assert len(rows()) >= 550
    assert Counter(row["channel"] for row in rows()).keys() == sample.PAGES.keys()
    assert len({row["id"] for row in rows()}) == len(rows())
    assert len({row["text"] for row in rows()}) == len(rows())


def test_every_answer_comes_after_what_it_answers_and_is_of_its_thread():
    by_id = {row["id"]: row for row in rows()}
    for row in rows():
        parent = by_id.get(row["parent"])
        assert 0 <= row["minute"] <= 1440
        assert bool(parent) == (row["parent"] is not None)
        if parent:
            assert parent["minute"] <= row["minute"], row["id"]
            assert (parent["thread"], parent["channel"]) == (row["thread"], row["channel"])
        else:
            assert row["thread"] == row["id"]


def test_the_day_begins_with_our_own_story():
    first = rows()[0]
    assert (first["id"], first["author"], first["minute"]) == ("hn-1", "genericcorp", 0)


def test_everything_but_our_own_posts_is_labelled():
    for row in rows():
        truth = row["truth"]
        assert truth["category"] in (
            Category.values if row["author"] not in sample.TEAM else [None]
        )
        assert (truth["severity"] in Severity.values) == (truth["category"] == Category.BUG)
        assert not truth["problem"] or truth["category"] in (Category.BUG, Category.SETUP)
    assert {row["truth"]["category"] for row in rows()} == {*Category.values, None}


def test_a_dozen_bugs_are_told_by_three_to_twelve_people_over_several_channels():
    tellers: dict[str | None, set[tuple[str, str]]] = {}
    for row in rows():
        if row["truth"]["category"] == Category.BUG:
            tellers.setdefault(row["truth"]["problem"], set()).add((row["channel"], row["author"]))
    assert len(tellers.pop(None)) >= 10  # told by one person alone
    assert len(tellers) >= 12
    for problem, people in tellers.items():
        assert 3 <= len(people) <= 13, problem
        assert len({name for name, _ in people}) >= 2, problem
    severities = {row["truth"]["severity"] for row in rows()} - {None}
    assert severities == set(Severity.values)


def test_the_outage_is_told_by_six_people_within_ten_minutes():
    told = [row for row in rows() if row["truth"]["problem"] == "ws-down"]
    first = min(row["minute"] for row in told)
    soon = {(row["channel"], row["author"]) for row in told if row["minute"] <= first + 10}
    assert len(soon) >= 6
    assert first >= 1150


def test_it_has_threads_follow_ups_languages_and_answers_of_the_team():
    by_id = {row["id"]: row for row in rows()}

    def above(row: dict[str, Any]) -> list[dict[str, Any]]:
        parent = by_id.get(row["parent"])
        return [parent, *above(parent)] if parent else []

    assert max(len(above(row)) for row in rows()) >= 6
    follow_ups = [
        row
        for row in rows()
        if row["author"] and any(up["author"] == row["author"] for up in above(row))
    ]
    assert len(follow_ups) >= 60
    ours = [row for row in rows() if row["author"] in sample.TEAM and row["parent"]]
    assert len(ours) >= 60
    assert {row["author"] for row in ours} == set(sample.TEAM)
    languages = {row["truth"]["language"] for row in rows()}
    assert languages >= {"en", "de", "es", "fr", "pt", "it", "ja", "zh", "ko", "ru"}


def test_most_of_it_comes_in_the_first_hours():
    minutes = [row["minute"] for row in rows()]
    assert sum(minute <= 240 for minute in minutes) > len(minutes) / 2


def test_links_pages_and_addresses_are_on_reserved_hosts():
    for post in channel_posts():
        hosts = re.findall(r"https?://([\w.-]+)", f"{post.url} {post.text}")
        if post.channel == "email" and post.author not in sample.TEAM:
            hosts.append(post.author.split("@")[1])
        for host in hosts:
            assert re.search(r"(^|\.)example\.(com|org|net)$|\.example$|^192\.168\.", host), host


def test_what_a_person_would_read_in_a_post_is_kept_from_the_service():
    for post in channel_posts():
        assert "truth" not in post.raw
        assert channel().parse(post.raw).external_id == post.external_id


def channel_posts() -> list[Post]:
    posts: list[Post] = []
    cursor: dict[str, Any] = {}
    with time_machine.travel(START + DAY, tick=False):
        while True:
            batch = channel().poll(cursor)
            posts += batch.posts
            cursor = dict(batch.cursor)
            if not batch.more:
                return posts


# How it plays


def test_a_post_plays_its_channel_with_its_context():
    posts = {post.external_id: post for post in channel_posts()}
    post = posts["sample-hn-17"]
    assert (post.channel, post.thread_id, post.parent_id) == (
        "hackernews",
        "sample-hn-1",
        "sample-hn-16",
    )
    assert post.context.startswith("story: Show HN: Claude Code Dashboard")
    assert "\nparent: How does the sync work under the hood?" in post.context
    assert post.url == "https://news.example.com/item?id=hn-17"
    assert posts["sample-em-1"].context == ""
    assert posts["sample-em-1"].author_name == "Dorothea Hartmann"
    assert posts["sample-rd-43"].url == "https://forum.example.com/r/webdev/comments/rd-42/rd-43"
    assert posts["sample-em-2"].context.startswith("subject: Invoice instead of credit card?")


@pytest.mark.parametrize("speed", [288, 1440])
def test_the_speed_says_how_much_of_the_day_has_come(speed: float):
    for real in (timedelta(0), timedelta(seconds=30), timedelta(minutes=1)):
        with time_machine.travel(START + real, tick=False):
            batch = channel(speed).poll({})
        simulated = real * speed / timedelta(minutes=1)
        come = sum(row["minute"] <= simulated for row in rows())
        assert len(batch.posts) == min(come, sample.TAKEN_AT_ONCE)
        assert batch.more == (come > sample.TAKEN_AT_ONCE)
        assert all(START <= post.created_at <= START + real for post in batch.posts)


def test_the_next_poll_is_when_the_next_post_comes():
    with time_machine.travel(START, tick=False):
        quick, slow = channel(288).poll({}), channel(1).poll({})
    assert quick.cursor == {"played": 1}
    assert quick.wait == timedelta(seconds=1)
    assert slow.wait == timedelta(minutes=2)


def test_after_the_last_post_it_polls_no_more_than_once_an_hour():
    with time_machine.travel(START + DAY, tick=False):
        again = channel().poll({"played": len(rows())})
    assert (again.posts, again.wait, again.more) == ((), timedelta(hours=1), False)


def test_played_in_pieces_it_is_the_same_day():
    cursor, seen = {}, []
    for second in range(0, 320, 7):
        with time_machine.travel(START + timedelta(seconds=second), tick=False):
            batch = channel().poll(cursor)
        cursor = dict(batch.cursor)
        seen += batch.posts
    assert seen == channel_posts()


def test_a_kept_post_is_parsed_again():
    assert channel().parse({"id": "gh-1"}).external_id == "sample-gh-1"
    for raw in ({"id": "gh-9999"}, {}, None, "gh-1"):
        with pytest.raises(ValueError, match="no post"):
            channel().parse(raw)


def test_a_reply_stays_here():
    reply = Reply(key="reply:1:a", parent_id="sample-tw-5", text="Thank you!")
    assert channel().reply(reply) == Sent("sample-reply-reply:1:a") == channel().find(reply)


@pytest.mark.parametrize("config", [{}, {"started_at": "soon"}, {"started_at": 5}])
def test_a_source_that_cannot_be_played_says_so(config: dict[str, Any]):
    with pytest.raises(SourceStopped, match="Remove it and play it again"):
        sample.Sample(config, team=frozenset())


# Taken in


@pytest.mark.django_db
def test_playing_makes_a_source_that_is_due_at_once():
    source = sample.play()
    assert (source.name, source.channel, source.every) == ("sample", "sample", Source().every)
    assert list(Source.objects.due(timezone.now())) == [source]
    with pytest.raises(ValueError, match="there already"):
        sample.play()


@pytest.mark.django_db
def test_the_whole_day_is_taken_in_once():
    source = sample.play()
    read_all(source)
    counts = Item.objects.count(), Message.objects.count()
    Source.objects.update(cursor={}, next_poll_at=timezone.now())
    read_all(source)
    assert (Item.objects.count(), Message.objects.count()) == counts
    assert counts[1] == len(rows())
    assert not RejectedPost.objects.exists()


@pytest.mark.django_db
def test_answers_of_the_team_are_replies_and_never_items():
    read_all(sample.play())
    assert not Item.objects.filter(author__handle__in=sample.TEAM).exists()
    ours = Message.objects.filter(author__handle__in=sample.TEAM)
    assert {message.ours for message in ours} == {True}
    assert ours.filter(kind=Kind.REPLY, item__isnull=False).count() >= 60
    with_thanks = Message.objects.get(external_id="sample-em-15")
    assert with_thanks.item == Message.objects.get(external_id="sample-em-12").item


# Removed


def counts() -> dict[str, int]:
    """Rows of every table of ours."""
    models = [m for name in ("feedback", "triage") for m in apps.get_app_config(name).get_models()]
    return {model._meta.label: model._default_manager.count() for model in models}


def hang_everything_on(item: Item) -> None:
    now = timezone.now()
    HistoryEntry.objects.create(item=item, at=now, event="taken")
    Correction.objects.create(item=item, field="category", was="bug", now="setup", at=now)
    Clock.objects.create(
        item=item, kind="fix", target=DAY, started_at=now, warn_at=now, due_at=now + DAY
    )
    Reading.objects.create(
        item=item, model="m", category="bug", sentiment="neutral", topic="qa", language="en",
        confidence=0.5, trusted=True, read_at=now,
    )  # fmt: skip
    reply = Message.objects.create(
        item=item, channel=item.channel, kind=Kind.REPLY, ours=True, text="Hi", created_at=now
    )
    OutboxEntry.objects.create(
        key=f"reply:{item.pk}", kind="reply", item=item, message=reply, channel="sample",
        created_at=now,
    )  # fmt: skip


@pytest.mark.django_db
def test_removing_leaves_no_trace_and_keeps_all_else():
    other = make_source("hn")
    mine = make_item(other)
    hang_everything_on(mine)
    known = Person.objects.create(channel="twitter", handle="lena_codes")
    make_item(other, author=known)
    before = counts()

    source = sample.play()
    read_all(source)
    for item in Item.objects.filter(source=source):
        hang_everything_on(item)
    RejectedPost.objects.create(
        source=source, channel="sample", external_id="x", error="e", at=timezone.now()
    )
    gone = sample.remove()

    assert counts() == before
    assert gone >= len(rows())
    assert sample.remove() == 0
    assert sample.play().cursor == {}


@pytest.mark.django_db
def test_removing_takes_its_words_out_of_the_search():
    read_all(sample.play())
    assert search(Item.objects.all(), "isometric").exists()
    sample.remove()
    assert not search(Item.objects.all(), "isometric").exists()


@pytest.mark.django_db(transaction=True)
def test_removing_leaves_no_word_in_the_pages_of_the_search_index():
    def size() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT SUM(LENGTH(block)) FROM feedback_search_data")
            return cursor.fetchone()[0]

    empty = size()
    read_all(sample.play())
    assert size() > 10_000
    sample.remove()
    assert size() <= empty + 20


@pytest.mark.django_db
def test_a_removal_that_was_interrupted_is_finished_by_the_next(monkeypatch):
    before = counts()
    read_all(sample.play())
    monkeypatch.setattr(Source, "delete", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sample.remove()
    monkeypatch.undo()
    sample.remove()
    assert counts() == before


# The command


@pytest.mark.django_db
def test_the_command_plays_and_removes():
    told = json.loads(tell("--play", "--speed", "1440", "--json"))
    assert told == {"source": "sample", "posts": len(rows()), "speed": 1440, "minutes": 1.0}
    assert Source.objects.get().config["speed"] == 1440
    read_all(Source.objects.get())
    assert json.loads(tell("--remove", "--json")) == {"removed": len(rows())}
    assert tell("--remove") == "Nothing of the sample launch is left here.\n"


@pytest.mark.django_db
def test_the_command_says_what_is_wrong():
    with pytest.raises(CommandError, match=r"Say --play or --remove\.") as error:
        tell()
    assert error.value.returncode == 2
    tell("--play")
    with pytest.raises(CommandError, match="there already") as error:
        tell("--play")
    assert error.value.returncode == 2


@pytest.mark.parametrize("speed", ["fast", "0", "-3", "nan", "inf", "1e9"])
def test_a_bad_speed_is_refused(speed: str):
    with pytest.raises(CommandError, match=r"is no speed\. Write a number from 1 to 86400"):
        tell("--play", f"--speed={speed}")
