"""The Hacker News channel against a loopback replay of both services."""

import json
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from feedback.channels.base import Batch, Post, SourceStopped, TryLater
from feedback.channels.hackernews import HackerNews, items, threads
from feedback.channels.hackernews.config import LONGEST, Config
from feedback.channels.hackernews.words import says
from tests import replay as hn
from tests.replay import Replay, make_hit, make_thread

HOUR = 3600


def channel(**config: Any) -> HackerNews:
    return HackerNews(config, team=frozenset())


def read(source: HackerNews, cursor: Mapping[str, Any] | None = None) -> tuple[list[Post], Batch]:
    """Poll until there is no more; the cursor goes through JSON, as the database does it."""
    posts: list[Post] = []
    while True:
        batch = source.poll(json.loads(json.dumps(cursor or {})))
        posts += batch.posts
        cursor = batch.cursor
        if not batch.more:
            return posts, batch


def ids(posts: list[Post]) -> set[int]:
    return {int(post.external_id) for post in posts}


def follow(replay: Replay, *found: Mapping[str, Any]) -> None:
    replay.items = {item["id"]: dict(item) for item in found}


class TestRecordedThread:
    """41129813: 288 direct comments, ten deleted (one with answers), two flagged."""

    STORY = 41129813

    @pytest.fixture(autouse=True)
    def _serve(self, replay: Replay, shared: Path) -> None:
        recorded = hn.recorded_items(shared / "recordings/hackernews/firebase")
        follow(replay, *recorded)
        replay.hits = None
        self.replay = replay
        self.recorded = [i for i in recorded if self.STORY in (i["id"], i.get("parent"))]

    def test_every_live_comment_is_a_post_and_no_other(self) -> None:
        posts, _ = read(channel(stories=[self.STORY]))
        live = {i["id"] for i in self.recorded if not i.get("dead") and not i.get("deleted")}
        assert ids(posts) == live
        assert len(posts) == len(live) == 277  # with the story
        assert not [post for post in posts if post.is_deleted or not post.text]

    def test_other_recorded_stories_are_followed_and_unknown_ids_wait(self) -> None:
        odd = [40464529, 40481509, 14516538, 21301382, 21500569, 19155826]
        source = channel(stories=[*odd, 9000])
        batch = source.poll({})
        assert ids(list(batch.posts)) == {*odd, 14516923, 21500829}
        assert not batch.unreadable
        with pytest.raises(TryLater, match="9000"):
            source.poll(batch.cursor)

    def test_a_second_poll_is_one_request_and_nothing_new(self) -> None:
        _, batch = read(channel(stories=[self.STORY]))
        self.replay.asked()
        posts, again = read(channel(stories=[self.STORY]), batch.cursor)
        assert posts == []
        assert self.replay.asked() == [f"/v0/item/{self.STORY}.json"]
        assert again.cursor == batch.cursor

    def test_the_first_poll_asks_for_each_item_once_over_few_connections(self) -> None:
        read(channel(stories=[self.STORY]))
        asked = self.replay.asked()
        assert len(asked) == len(set(asked)) == 289 + 75
        assert self.replay.most_at_once <= 8

    def test_a_new_comment_deep_in_the_tree_is_found(self) -> None:
        _, batch = read(channel(stories=[self.STORY]))
        parent = next(i["id"] for i in self.recorded if i.get("parent") and i.get("text"))
        new = self.replay.add_comment(parent, "A late answer.", id=41999999)
        posts, _ = read(channel(stories=[self.STORY]), batch.cursor)
        assert new["id"] in ids(posts)

    def test_a_comment_says_where_it_stands(self) -> None:
        posts, _ = read(channel(stories=[self.STORY]))
        post = next(post for post in posts if post.parent_id)
        assert post.thread_id == post.parent_id == str(self.STORY)
        assert post.url == f"https://news.ycombinator.com/item?id={post.external_id}"
        assert post.context == "story: Ask HN: Who is hiring? (August 2024)"
        assert post.created_at.tzinfo is UTC
        assert post.created_at.year == 2024
        assert post.raw["id"] == int(post.external_id)


class TestThread:
    @pytest.fixture(autouse=True)
    def _serve(self, replay: Replay) -> None:
        follow(replay, *make_thread(12))
        self.replay = replay

    def test_a_thread_is_read_whole(self) -> None:
        posts, _ = read(channel(stories=[100]))
        assert ids(posts) == set(range(100, 113))
        assert len(posts) == 13

    def test_a_comment_has_its_ancestors_as_context_oldest_first(self) -> None:
        self.replay.items[102]["text"] = "Long. " * 100
        posts, _ = read(channel(stories=[100]))
        third = next(post for post in posts if post.external_id == "103")
        story, first, second = third.context.split("\n")
        assert story == "story: Show HN: Generic Corp dashboard"
        assert first == "parent: Comment 1. It's fine."
        assert second.startswith("parent: Long. Long.")
        assert len(second) < 320
        assert (third.thread_id, third.parent_id, third.author) == ("100", "102", "reader3")
        assert third.text == "Comment 3.\n\nIt's fine."
        assert third.title == "Show HN: Generic Corp dashboard"

    def test_a_new_direct_comment_costs_two_requests(self) -> None:
        _, batch = read(channel(stories=[100]))
        self.replay.asked()
        new = self.replay.add_comment(100)
        posts, _ = read(channel(stories=[100]), batch.cursor)
        assert ids(posts) == {new["id"]}
        assert len(self.replay.asked()) == 2

    def test_a_new_deep_comment_that_algolia_knows_costs_a_few_requests(self) -> None:
        _, batch = read(channel(stories=[100]))
        self.replay.asked()
        new = self.replay.add_comment(106, "Deep.")
        self.replay.hits = [make_hit(new["id"], "Deep.", new["time"], story=100, parent_id=106)]
        posts, batch = read(channel(stories=[100]), batch.cursor)
        assert ids(posts) == {new["id"]}
        assert posts[0].context.count("parent: ") == 2
        assert len(self.replay.asked()) <= 5  # story, search, comment, two ancestors
        assert read(channel(stories=[100]), batch.cursor)[0] == []

    @pytest.mark.parametrize("hits", [None, []])
    def test_a_new_deep_comment_is_found_without_algolia(self, hits: list[Any] | None) -> None:
        _, batch = read(channel(stories=[100]))
        new = self.replay.add_comment(106, "Deep.")
        self.replay.hits = hits
        posts, batch = read(channel(stories=[100]), batch.cursor)
        assert new["id"] in ids(posts)
        self.replay.asked()
        assert read(channel(stories=[100]), batch.cursor)[0] == []
        assert len(self.replay.asked()) == 1

    def test_a_new_comment_comes_with_its_answers(self) -> None:
        _, batch = read(channel(stories=[100]))
        new = self.replay.add_comment(100)
        answer = self.replay.add_comment(new["id"])
        posts, _ = read(channel(stories=[100]), batch.cursor)
        assert ids(posts) == {new["id"], answer["id"]}

    def test_a_changed_order_of_kids_is_no_change(self) -> None:
        _, batch = read(channel(stories=[100]))
        self.replay.items[100]["kids"].reverse()
        self.replay.asked()
        assert read(channel(stories=[100]), batch.cursor)[0] == []
        assert len(self.replay.asked()) == 1

    def test_answers_of_a_deleted_comment_are_posts(self) -> None:
        kids = self.replay.items[104]["kids"]
        self.replay.items[104] = {"deleted": True, "id": 104, "parent": 100, "kids": kids,
                                  "time": 1, "type": "comment"}  # fmt: skip
        posts, _ = read(channel(stories=[100]))
        assert ids(posts) == set(range(100, 113)) - {104}
        answer = next(post for post in posts if post.external_id == "105")
        assert "parent:" not in answer.context

    def test_a_deleted_comment_is_told_once_it_may_be_known(self) -> None:
        _, batch = read(channel(stories=[100]))
        kids = self.replay.items[104]["kids"]
        self.replay.items[104] = {"deleted": True, "id": 104, "parent": 100, "kids": kids,
                                  "time": 1, "type": "comment"}  # fmt: skip
        self.replay.hits = None
        self.replay.items[100]["descendants"] -= 1
        posts, _ = read(channel(stories=[100]), batch.cursor)
        assert [post.external_id for post in posts if post.is_deleted] == ["104"]

    @pytest.mark.parametrize("text", ["[dead]", "[flagged]", "Spam"])
    def test_a_dead_comment_is_no_post_but_its_answers_are(self, text: str) -> None:
        self.replay.items[104] |= {"dead": True, "text": text}
        posts, _ = read(channel(stories=[100]))
        assert ids(posts) == set(range(100, 113)) - {104}

    @pytest.mark.parametrize("change", [{"text": None}, {"text": ""}, {"text": "<p> "}])
    def test_a_comment_without_text_is_no_post(self, change: dict[str, Any]) -> None:
        self.replay.items[105] |= change
        assert 105 not in ids(read(channel(stories=[100]))[0])

    def test_a_flagged_comment_that_is_not_dead_stands_but_never_hides_what_we_hold(self) -> None:
        self.replay.items[105]["text"] = "[flagged]"
        posts, batch = read(channel(stories=[100]))
        texts = {post.external_id: post.text for post in posts}
        assert texts["105"] == "[flagged]"
        assert "[flagged]" not in next(post for post in posts if post.external_id == "106").context
        self.replay.items[104]["text"] = "[flagged]"
        self.replay.add_comment(106)
        self.replay.hits = None  # so that all is read again
        posts, _ = read(channel(stories=[100]), batch.cursor)
        assert len(posts) == 12
        assert not ids(posts) & {104, 105}

    @pytest.mark.parametrize("by", [None, "", "[deleted]", 5])
    def test_a_comment_may_have_no_author(self, by: object) -> None:
        self.replay.items[105]["by"] = by
        posts, _ = read(channel(stories=[100]))
        assert next(post for post in posts if post.external_id == "105").author is None

    def test_a_killed_story_without_count_and_title_is_followed(self) -> None:
        for key in ("title", "url", "descendants"):
            del self.replay.items[100][key]
        self.replay.items[100]["dead"] = True
        posts, batch = read(channel(stories=[100]))
        assert ids(posts) == set(range(101, 113))
        new = self.replay.add_comment(106)
        self.replay.hits = None
        posts, _ = read(channel(stories=[100]), batch.cursor)
        assert new["id"] in ids(posts)

    @pytest.mark.parametrize("count", [0, 3, 999, "many", None])
    def test_a_wrong_count_loses_nothing(self, count: object) -> None:
        self.replay.items[100]["descendants"] = count
        posts, batch = read(channel(stories=[100]))
        assert ids(posts) == set(range(100, 113))
        self.replay.items[100]["descendants"] = 13
        new = self.replay.add_comment(106)
        self.replay.hits = None
        posts, _ = read(channel(stories=[100]), batch.cursor)
        assert new["id"] in ids(posts)

    def test_an_item_listed_before_it_can_be_read_is_read_later(self) -> None:
        late = self.replay.items.pop(105)
        _, batch = read(channel(stories=[100]))
        self.replay.items[105] = late
        posts, batch = read(channel(stories=[100]), batch.cursor)
        assert ids(posts) == {105, 106}
        self.replay.asked()
        read(channel(stories=[100]), batch.cursor)
        assert len(self.replay.asked()) == 1

    def test_an_old_unknown_id_is_not_asked_for_again(self) -> None:
        follow(self.replay, *make_thread(12, at=1_722_524_434))
        del self.replay.items[105]
        _, batch = read(channel(stories=[100]))
        self.replay.asked()
        read(channel(stories=[100]), batch.cursor)
        assert len(self.replay.asked()) == 1

    @pytest.mark.parametrize(
        "body",
        [{"id": 105, "type": "comment", "text": "No parent."},
         {"id": 105, "type": "comment", "parent": 104, "text": "No time."},
         {"id": 105, "type": "comment", "parent": 104, "text": "x", "time": 10**17},
         {"id": 999, "type": "comment", "parent": 104, "text": "x", "time": 1},
         ["a list"], "a text", 7, True],
    )  # fmt: skip
    def test_an_item_that_cannot_be_parsed_is_kept_and_the_rest_goes_on(self, body: Any) -> None:
        self.replay.items[105] = body
        batch = channel(stories=[100]).poll({})
        assert [bad.external_id for bad in batch.unreadable] == ["105"]
        assert batch.unreadable[0].error
        assert ids(list(batch.posts)) >= set(range(107, 113))

    @pytest.mark.parametrize(
        "fault",
        [hn.hang_up, hn.cut, hn.answers(b"<html>", status=502), hn.answers(b""),
         hn.answers(b'{"half"'), hn.answers(b"x" * 10_000_000), hn.answers({}, status=404),
         hn.answers({}, status=301, location="https://elsewhere.example/")],
    )  # fmt: skip
    def test_one_failing_item_is_tried_again_and_holds_up_nobody(self, fault: hn.Fault) -> None:
        self.replay.faults["/v0/item/112.json"] = fault
        posts, batch = read(channel(stories=[100]))
        assert ids(posts) == set(range(100, 112))
        self.replay.faults.clear()
        posts, _ = read(channel(stories=[100]), batch.cursor)
        assert ids(posts) == {112}

    def test_an_item_that_never_comes_is_set_aside_at_last(self) -> None:
        self.replay.faults["/v0/item/112.json"] = hn.answers(b"<html>")
        cursor: Mapping[str, Any] = {}
        for _ in range(threads.TRIES):
            batch = channel(stories=[100]).poll(cursor)
            cursor = batch.cursor
        assert [bad.external_id for bad in batch.unreadable] == ["112"]
        assert batch.unreadable[0].raw == {"id": 112, "parent": 111}

    @pytest.mark.parametrize("count", range(1, 9))
    def test_a_service_that_fails_in_the_middle_loses_nothing(self, count: int) -> None:
        self.replay.faults["*"] = hn.after(count, hn.answers(b"", status=503))
        cursor: Mapping[str, Any] = {}
        posts: list[Post] = []
        for _ in range(9):
            try:
                batch = channel(stories=[100]).poll(cursor)
            except TryLater:
                break
            assert batch.more
            posts += batch.posts
            cursor = batch.cursor
        else:
            pytest.fail("the failure was never told")
        self.replay.faults.clear()
        rest, _ = read(channel(stories=[100]), cursor)
        assert ids(posts) | ids(rest) == set(range(100, 113))

    def test_a_service_that_asks_to_wait_is_heard(self) -> None:
        self.replay.faults["*"] = hn.answers({}, status=429, retry_after="90")
        with pytest.raises(TryLater) as caught:
            channel(stories=[100]).poll({})
        assert caught.value.wait == timedelta(seconds=90)
        assert len(self.replay.asked()) == 1

    @pytest.mark.parametrize(
        "fault",
        [hn.hang_up, hn.cut, hn.answers(b"<html>", status=502), hn.answers(b""),
         hn.answers(b"[]"), hn.answers(b"null"), hn.answers(b'{"half"'),
         hn.answers({}, status=302, location="/")],
    )  # fmt: skip
    def test_a_service_that_is_down_is_tried_later(self, fault: hn.Fault) -> None:
        self.replay.faults["*"] = fault
        with pytest.raises(TryLater, match=r"\w"):
            channel(stories=[100]).poll({})

    def test_one_thread_that_fails_does_not_stop_another(self) -> None:
        for item in make_thread(3, story=500):
            self.replay.items[item["id"]] = item
        source = channel(stories=[404, 500])
        batch = source.poll({})
        assert ids(list(batch.posts)) == {500, 501, 502, 503}
        with pytest.raises(TryLater, match="404"):
            source.poll(batch.cursor)

    def test_jobs_and_polls_are_posts_but_a_polls_options_are_not(self) -> None:
        job = {"by": "a", "id": 900, "time": 5, "title": "Job", "type": "job", "url": "https://j.x"}
        poll = {"by": "a", "id": 901, "time": 5, "title": "Which?", "type": "poll",
                "kids": [903, 902], "parts": [902], "descendants": 1}  # fmt: skip
        option = {"by": "a", "id": 902, "poll": 901, "time": 5, "text": "One", "type": "pollopt"}
        comment = {
            "by": "b",
            "id": 903,
            "parent": 901,
            "time": 6,
            "text": "Both",
            "type": "comment",
        }
        follow(self.replay, job, poll, option, comment)
        posts, _ = read(channel(stories=[900, 901]))
        assert ids(posts) == {900, 901, 903}
        assert next(post for post in posts if post.external_id == "900").text == "https://j.x"

    def test_the_thread_of_a_comment_can_be_followed(self) -> None:
        posts, _ = read(channel(stories=[105]))
        assert ids(posts) == {105, 106}
        assert {post.thread_id for post in posts} == {"100"}
        assert posts[0].context.startswith("story: Show HN")

    @pytest.mark.parametrize("kids", [[100], [105], "many", [None, -4, "106", 0, True], {"a": 1}])
    def test_kids_that_make_no_sense_end(self, kids: object) -> None:
        self.replay.items[105]["kids"] = kids
        posts, _ = read(channel(stories=[100]))
        assert ids(posts) >= set(range(100, 106))

    def test_a_big_thread_comes_in_bounded_batches_with_a_small_cursor(self) -> None:
        follow(self.replay, *make_thread(2500, wide=40))
        source, cursor, found = channel(stories=[100]), {}, []
        while True:
            batch = source.poll(cursor)
            assert len(batch.posts) <= 500
            assert len(json.dumps(batch.cursor)) < 3000
            found += batch.posts
            cursor = json.loads(json.dumps(batch.cursor))
            if not batch.more:
                break
        assert len(found) == len(ids(found)) == 2501
        # A handful is asked for again where another process goes on.
        assert len(self.replay.asked()) < 2501 + 6 * 3 * 70

    def test_new_comments_during_a_long_walk_are_found(self) -> None:
        follow(self.replay, *make_thread(1200, wide=40))
        source = channel(stories=[100])
        first = source.poll({})
        new = self.replay.add_comment(101, "Under what is read already.")
        posts, last = read(source, first.cursor)
        more, _ = read(source, last.cursor)
        assert new["id"] in ids(posts) | ids(more)

    @pytest.mark.parametrize("seed", range(8))
    def test_no_comment_of_a_changing_thread_is_missed(self, seed: int) -> None:
        """Comments come anywhere, some die, Algolia lags at random: each poll knows all."""
        dice, cursor, known = random.Random(seed), {}, set()
        for _ in range(8):
            posts, batch = read(channel(stories=[100]), cursor)
            known |= ids(posts)
            live = {i["id"] for i in self.replay.items.values() if not i.get("dead")}
            assert known == live
            cursor = batch.cursor
            for _ in range(dice.randrange(6)):
                parent = dice.choice(list(self.replay.items))
                self.replay.add_comment(parent, **({"dead": True} if dice.random() < 0.2 else {}))
            comments = [i for i in self.replay.items.values() if i["type"] == "comment"]
            seen = dice.sample(comments, k=dice.randrange(len(comments)))
            hits = [
                make_hit(i["id"], "x", i["time"], story=100, parent_id=i["parent"]) for i in seen
            ]
            self.replay.hits = dice.choice([None, [], hits])

    def test_a_living_thread_is_read_wholly_again_after_some_hours(self) -> None:
        _, batch = read(channel(stories=[100]))
        self.replay.items[105]["text"] = "Edited."
        later = datetime.now(UTC) + timedelta(seconds=threads.AGAIN_SECONDS + 1)
        with time_machine.travel(later):
            posts, _ = read(channel(stories=[100]), batch.cursor)
        assert "Edited." in {post.text for post in posts}


class TestSearch:
    @pytest.fixture(autouse=True)
    def _serve(self, replay: Replay) -> None:
        self.replay = replay
        self.now = int(time.time())

    def hit(self, n: int, text: str = "I like generic corp.", **fields: Any) -> dict[str, Any]:
        return make_hit(1000 + n, text, self.now - 60 - n, **fields)

    def test_a_phrase_is_searched_in_a_window_of_time(self) -> None:
        self.replay.hits = [self.hit(1), self.hit(2, "nothing")]
        posts, batch = read(channel(queries=["generic corp"]))
        assert ids(posts) == {1001}
        (path,) = self.replay.asked()
        assert "query=%22generic+corp%22" in path
        assert "tags=%28story%2Ccomment%29" in path
        assert "typoTolerance=false" in path
        assert (
            f"created_at_i%3E%3D{batch.cursor['queries']['generic corp']['until'] - 86400}" in path
        )

    def test_a_second_poll_is_one_request_and_nothing_new(self) -> None:
        self.replay.hits = [self.hit(n) for n in range(20)]
        source = channel(queries=["generic corp"])
        _, batch = read(source)
        self.replay.asked()
        self.replay.hits.append(self.hit(99))  # indexed late
        posts, _ = read(source, batch.cursor)
        assert ids(posts) == {1099}
        assert len(self.replay.asked()) == 1

    @pytest.mark.parametrize("spread", [1, 7, 60, 150, 400])
    def test_more_hits_than_paging_reaches_are_all_read(self, spread: int) -> None:
        """`spread` hits share each second."""
        self.replay.hits = [
            make_hit(1000 + n, "Generic Corp!", self.now - 50 - n // spread) for n in range(2345)
        ]
        source, cursor, found = channel(queries=["generic corp"]), {}, []
        while True:
            batch = source.poll(cursor)
            assert len(batch.posts) <= 500
            assert len(json.dumps(batch.cursor)) < 12_000
            found += batch.posts
            cursor = json.loads(json.dumps(batch.cursor))
            if not batch.more:
                break
        assert len(ids(found)) == 2345
        assert len(found) < 2345 * 1.1
        assert len(self.replay.asked()) < 60

    def test_backfill_limits_the_first_window(self) -> None:
        self.replay.hits = [
            make_hit(n, "Generic Corp", self.now - n * HOUR + 60) for n in range(1, 60)
        ]
        assert len(read(channel(queries=["generic corp"], backfill="2h"))[0]) == 2
        assert len(read(channel(queries=["generic corp"], backfill=2))[0]) == 48

    def test_a_new_phrase_begins_a_window_of_its_own(self) -> None:
        self.replay.hits = [self.hit(1), self.hit(2, "the dashboard")]
        _, batch = read(channel(queries=["generic corp"]))
        posts, batch = read(channel(queries=["dashboard"]), batch.cursor)
        assert ids(posts) == {1002}
        assert list(batch.cursor["queries"]) == ["dashboard"]

    @pytest.mark.parametrize(
        ("phrase", "text", "found"),
        [
            ("generic corp", "GENERIC-Corp's thing", True),
            ("generic corp", "the <em>generic</em> corp", True),
            ("generic corp", "corp generic", False),
            ("generic corp", "generic corporate", False),
            ("example.com", "https://example.com/a", True),
            ("C++", "we use C++ here", True),
            ("C++", "we use C here", False),
            ("ダッシュボード", "このダッシュボードは", True),
            ("naïve", "NAÏVE", True),
        ],
    )
    def test_whole_words_side_by_side_are_a_match(
        self, phrase: str, text: str, found: bool
    ) -> None:
        assert says([items.text_of(text)], phrase) is found

    def test_a_comment_that_only_its_story_mentions_is_no_post(self) -> None:
        self.replay.hits = [self.hit(1, "Nice!", story_title="Show HN: Generic Corp")]
        assert read(channel(queries=["generic corp"]))[0] == []

    def test_a_storys_title_address_and_text_are_its_own_words(self) -> None:
        story = {"comment_text": None, "_tags": ["story", "author_a", "story_7"]}
        self.replay.hits = [
            self.hit(1, "", **story, title="Generic Corp launched", url="https://a.example"),
            self.hit(2, "", **story, title=None, story_title="Ask: generic corp?"),
            self.hit(3, "", **story, title="A talk", url="https://x.example/generic-corp"),
            self.hit(4, "", **story, title="Tools", story_text="We use <i>Generic Corp</i>."),
        ]
        self.replay.pages = [{"hits": self.replay.hits, "nbHits": 4}]
        posts, _ = read(channel(queries=["generic corp"]))
        assert ids(posts) == {1001, 1002, 1003, 1004}
        assert {post.parent_id for post in posts} == {None}

    def test_a_parent_is_asked_for_and_shown(self) -> None:
        follow(self.replay, {"id": 55, "type": "comment", "parent": 1, "time": 1, "by": "a",
                             "text": "What do you use?"})  # fmt: skip
        self.replay.hits = [self.hit(1, parent_id=55), self.hit(2, parent_id=56), self.hit(3)]
        posts, _ = read(channel(queries=["generic corp"]))
        assert [post.context for post in posts] == [
            "story: A story\nparent: What do you use?", "story: A story", "story: A story",
        ]  # fmt: skip
        assert len(self.replay.asked()) == 3

    def test_a_hit_that_cannot_be_parsed_is_kept(self) -> None:
        bad = [self.hit(1), "text", None, {**self.hit(2), "objectID": "x"},
               {**self.hit(3), "created_at_i": None}]  # fmt: skip
        self.replay.pages = [{"hits": bad, "nbHits": len(bad)}]
        posts, batch = read(channel(queries=["generic corp"]))
        assert ids(posts) == {1001}
        kept = [unreadable.external_id for unreadable in batch.unreadable]
        assert len(set(kept)) == 4
        assert {"x", "1003"} < set(kept)

    @pytest.mark.parametrize(
        "body", [{}, [], None, {"hits": None}, {"hits": {}}, b"", b"<html>", b'{"hits": [']
    )
    def test_an_answer_that_is_no_search_is_tried_later(self, body: object) -> None:
        self.replay.faults["*"] = hn.answers(body)
        with pytest.raises(TryLater):
            channel(queries=["generic corp"]).poll({})

    @pytest.mark.parametrize("body", [{"hits": []}, {"hits": [], "nbHits": 99, "nbPages": 9}])
    def test_a_search_that_finds_nothing_ends(self, body: object) -> None:
        self.replay.pages = [body]
        assert read(channel(queries=["generic corp"]))[0] == []

    def test_a_server_that_repeats_one_page_ends(self) -> None:
        hits = [self.hit(n) for n in range(100)]
        self.replay.pages = [{"hits": hits, "nbHits": 5000}]
        posts, _ = read(channel(queries=["generic corp"]))
        assert len(ids(posts)) == 100

    def test_a_search_cut_short_goes_on_where_it_was(self) -> None:
        self.replay.hits = [self.hit(n) for n in range(700)]
        source = channel(queries=["generic corp"])
        first = source.poll({})
        assert first.more
        self.replay.faults["*"] = hn.cut
        with pytest.raises(TryLater):
            source.poll(first.cursor)
        self.replay.faults.clear()
        rest, _ = read(source, first.cursor)
        assert ids([*first.posts, *rest]) == set(range(1000, 1700))

    def test_a_search_that_never_answers_is_given_up_soon(self) -> None:
        self.replay.faults["*"] = hn.hang_up
        with pytest.raises(TryLater, match="does not answer"):
            channel(queries=[f"word{n}" for n in range(20)]).poll({})
        assert len(self.replay.asked()) == 2

    def test_many_searches_take_turns(self) -> None:
        words = [f"word{n}" for n in range(5)]
        self.replay.hits = [
            make_hit(1000 * n + i, word, self.now - 60 - i)
            for n, word in enumerate(words, 1)
            for i in range(300)
        ]
        source = channel(queries=words)
        first = source.poll({})
        assert first.more
        assert first.cursor["first"] == "queries word2"
        posts, last = read(source, first.cursor)
        assert len(ids([*first.posts, *posts])) == 1500
        assert "first" not in last.cursor

    def test_algolia_that_is_down_does_not_stop_the_threads(self) -> None:
        follow(self.replay, *make_thread(3))
        self.replay.hits = None
        source = channel(queries=["generic corp"], stories=[100])
        batch = source.poll({})
        assert len(batch.posts) == 4
        with pytest.raises(TryLater, match="404"):
            source.poll(batch.cursor)


class TestRecordedSearches:
    @pytest.fixture(autouse=True)
    def _serve(self, replay: Replay, shared: Path) -> None:
        self.replay = replay
        self.pages = hn.recorded_pages(shared / "recordings/hackernews/algolia")

    def test_stories_of_older_answers_are_posts(self) -> None:
        page = self.pages["search-tim-cook.json"]
        self.replay.pages = [page]
        posts, _ = read(channel(queries=["tim cook"]))
        titled = {hit["objectID"] for hit in page["hits"] if "Tim Cook" in (hit["title"] or "")}
        assert titled
        assert {post.external_id for post in posts} >= titled
        assert not [
            post for post in posts if "<em>" in post.title + post.text + json.dumps(post.raw)
        ]
        assert all(post.thread_id == post.external_id for post in posts)

    def test_a_comment_of_newer_answers_is_a_post(self) -> None:
        self.replay.pages = [self.pages["search-comment-2026-excerpt.json"]]
        (post,), _ = read(channel(queries=["prototypes"]))
        assert (post.external_id, post.parent_id, post.thread_id) == (
            "49206953", "49202690", "49202690",
        )  # fmt: skip
        assert post.author == "batuhandumani"
        assert "don't understand" in post.text
        assert post.context == "story: What is a product?"
        assert post.created_at == datetime(2026, 8, 7, 7, 16, 19, tzinfo=UTC)

    def test_a_story_whose_text_is_null_is_a_post(self) -> None:
        page = self.pages["search-by-url-4-hits.json"]
        self.replay.pages = [page]
        posts, _ = read(channel(queries=["shazow"]))
        assert len(posts) == 4
        assert all(post.text.startswith("https://medium.com/@shazow") for post in posts)

    def test_each_item_of_a_nested_answer_can_be_parsed(self, shared: Path) -> None:
        tree = json.loads((shared / "recordings/hackernews/algolia/items-1.json").read_text())
        post = channel(queries=["x"]).parse(tree)
        assert (post.external_id, post.title) == ("1", "Y Combinator")
        answer = channel(queries=["x"]).parse(tree["children"][0])
        assert answer.text.startswith("So, just to see")
        assert "children" not in answer.raw


class TestParse:
    def test_what_was_kept_raw_becomes_its_post(self, replay: Replay) -> None:
        follow(replay, *make_thread(4))
        source = channel(stories=[100])
        post = source.parse(replay.items[102])
        polled = {post.external_id: post for post in read(source)[0]}
        assert post == polled["102"]

    def test_an_item_that_never_came_is_asked_for_again(self, replay: Replay) -> None:
        follow(replay, *make_thread(4))
        post = channel(stories=[100]).parse({"id": 102, "parent": 101})
        assert post.text == "Comment 2.\n\nIt's fine."
        with pytest.raises(ValueError, match="does not have it"):
            channel(stories=[100]).parse({"id": 999, "parent": 101})

    def test_a_hit_kept_raw_becomes_its_post(self) -> None:
        post = channel(stories=[1]).parse(make_hit(7, "Hello &amp; welcome", 1_700_000_000))
        assert (post.external_id, post.text, post.thread_id) == ("7", "Hello & welcome", "1")

    @pytest.mark.parametrize(
        "raw",
        [None, "x", [], {}, {"id": 3}, {"id": 3, "type": "comment", "text": "x", "parent": 4},
         {"objectID": "3"}, {"objectID": "3", "comment_text": "x"}, {"created_at_i": 5},
         {"objectID": "3", "_tags": ["pollopt"], "title": "x", "created_at_i": 5}],
    )  # fmt: skip
    @pytest.mark.usefixtures("replay")
    def test_what_still_cannot_be_a_post_is_refused(self, raw: Any) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            channel(stories=[1]).parse(raw)

    def test_a_thread_that_cannot_be_read_is_no_crash(self, replay: Replay) -> None:
        replay.faults["*"] = hn.hang_up
        with pytest.raises(ValueError, match="cannot be read"):
            channel(stories=[1]).parse({"id": 3, "type": "comment", "parent": 2, "text": "x"})


class TestConfig:
    @pytest.mark.parametrize(
        ("config", "named"),
        [({}, "queries"), ({"queries": "word"}, "queries"), ({"queries": [""]}, "queries"),
         ({"queries": ['"']}, "queries"), ({"queries": [3]}, "queries"),
         ({"stories": ["abc"]}, "stories"), ({"stories": [0]}, "stories"),
         ({"stories": [True]}, "stories"), ({"stories": 4}, "stories"),
         ({"queries": ["x"], "backfill": "soon"}, "backfill"),
         ({"queries": ["x"], "backfill": True}, "backfill")],
    )  # fmt: skip
    def test_a_wrong_table_stops_the_source_and_names_the_key(
        self, config: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(SourceStopped, match=named):
            HackerNews(config, team=frozenset())

    @pytest.mark.parametrize(
        ("value", "span"),
        [("86400s", timedelta(days=1)), ("90m", timedelta(minutes=90)), (3, timedelta(days=3)),
         ("12h", timedelta(hours=12)), ("2w", timedelta(weeks=2)), (timedelta(5), timedelta(5)),
         ("999999999d", LONGEST)],
    )  # fmt: skip
    def test_backfill_is_a_duration_or_days(self, value: object, span: timedelta) -> None:
        assert Config.read({"queries": ["x"], "backfill": value}).backfill == span

    def test_a_story_may_be_given_by_its_address(self, replay: Replay) -> None:
        follow(replay, *make_thread(2))
        source = channel(stories=["https://news.ycombinator.com/item?id=100", "100"])
        assert len(read(source)[0]) == 3

    def test_a_cursor_of_another_shape_begins_anew(self, replay: Replay) -> None:
        follow(replay, *make_thread(2))
        for cursor in ({"stories": [1]}, {"stories": {"100": 5}}, {"stories": {"100": {"x": 1}}}):
            assert len(read(channel(stories=[100]), cursor)[0]) == 3

    def test_replies_are_written_by_hand_on_their_page(self) -> None:
        source = channel(stories=[1])
        assert source.can_reply is False
        assert source.reply_url("7") == "https://news.ycombinator.com/reply?id=7"


class TestCheck:
    def test_a_source_that_can_work_says_so(self, replay: Replay) -> None:
        follow(replay, *make_thread(2))
        assert channel(stories=[100], queries=["x"]).check().ok

    @pytest.mark.usefixtures("replay")
    def test_a_story_that_does_not_exist_is_named(self) -> None:
        health = channel(stories=[404]).check()
        assert not health.ok
        assert "404" in health.message

    def test_a_service_that_is_down_is_told(self, replay: Replay) -> None:
        replay.faults["*"] = hn.answers(b"", status=503)
        assert "503" in channel(queries=["x"]).check().message


def test_refresh_tells_edits_and_what_is_gone(replay: Replay) -> None:
    follow(replay, *make_thread(3))
    story = min(replay.items)
    edited, dead = (replay.add_comment(story, "First.") for _ in range(2))
    replay.items[edited["id"]]["text"] = "Better."
    replay.items[dead["id"]] |= {"dead": True, "text": "[dead]"}
    asked = [str(edited["id"]), str(dead["id"]), "999999999"]
    posts = {int(post.external_id): post for post in channel(stories=[story]).refresh(asked)}
    assert posts[edited["id"]].text == "Better."
    assert posts[dead["id"]].is_deleted
    assert not posts[dead["id"]].text
    assert len(posts) == 2
