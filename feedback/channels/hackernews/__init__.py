"""Hacker News: searched for words through Algolia, its threads followed through Firebase.

There is no API for writing: a reply is drafted, and a person posts it on `reply_url`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from feedback.channels.base import (
    Batch,
    Health,
    Post,
    SourceStopped,
    TryLater,
    Unreadable,
)
from feedback.channels.hackernews import items, search, threads
from feedback.channels.hackernews.config import Config
from feedback.channels.hackernews.services import Services
from feedback.figures import Figures
from feedback.http import BadStatus, HTTPFailure

BATCH = 400  # posts; the last wave or page may bring a hundred more
PATIENCE = timedelta(seconds=60)  # after which a poll returns what it has


class HackerNews:
    """One source on Hacker News; see `Config` for what its table may say."""

    name: ClassVar[str] = items.CHANNEL
    can_reply: ClassVar[bool] = False

    def __init__(self, config: Mapping[str, Any], *, team: frozenset[str] = frozenset()) -> None:
        """Raises SourceStopped, naming the key, if the table is wrong."""
        del team  # what our own team writes is read like all else; intake tells it apart
        try:
            self._config = Config.read(config)
        except ValueError as error:
            raise SourceStopped(f"Hacker News: {error}") from error

    def poll(self, cursor: Mapping[str, Any]) -> Batch:
        """Read what is new in every search and thread, in the order of what was left half done."""
        reading = _Reading(cursor if isinstance(cursor, Mapping) else {})
        with Services() as services:
            for part in self._parts(services, reading):
                if reading.is_full:
                    reading.stop_before(part)
                    break
                reading.read(part)
        return reading.batch()

    def parse(self, raw: Any) -> Post:
        """Make a post of an item of Firebase, or of a hit of Algolia. Raises ValueError."""
        if not isinstance(raw, Mapping):
            raise ValueError("this is no object, so it is no post")
        if "objectID" in raw or "created_at_i" in raw:
            return items.hit_post(raw)
        with Services() as services:
            try:
                return threads.lone_post(services, raw)
            except HTTPFailure as error:
                raise ValueError(f"its thread cannot be read: {error}") from error

    def check(self) -> Health:
        """Ask both services for the least of what the source reads."""
        with Services() as services:
            try:
                for story in self._config.stories[:5]:
                    if not isinstance(services.item(story), Mapping):
                        return Health(ok=False, message=f"Hacker News has no item {story}.")
                for words in self._config.queries[:1]:
                    services.search({"query": f'"{words}"', "hitsPerPage": 1})
            except HTTPFailure as error:
                return Health(ok=False, message=str(error))
        searches, stories = len(self._config.queries), len(self._config.stories)
        return Health(ok=True, message=f"Answers. Searches: {searches}, threads: {stories}.")

    def figures(self) -> list[Figures]:
        """Score, rank and comments of the followed stories. Raises HTTPFailure."""
        if not self._config.stories:
            return []
        with Services() as services:
            ranks = {id_: place for place, id_ in enumerate(services.front_pages(), 1)}
            found = services.items(self._config.stories)
        return [
            Figures(
                story=str(id_),
                title=items.title_of(story),
                score=items.whole(story.get("score")) or 0,
                comments=max(0, items.whole(story.get("descendants")) or 0),
                rank=ranks.get(id_),
            )
            for id_, story in zip(self._config.stories, found, strict=True)
            if isinstance(story, Mapping)
        ]

    def refresh(self, external_ids: Sequence[str]) -> list[Post]:
        """What became of these items; a dead one is told as deleted."""
        with Services() as services:
            found = services.items(int(id_) for id_ in external_ids if id_.isdecimal())
        failures = [answer for answer in found if isinstance(answer, HTTPFailure)]
        if failures and len(failures) == len(found):
            raise TryLater(str(failures[0]), _pause(failures[0]))
        return [_as_it_is(item) for item in found if isinstance(item, Mapping)]

    def reply_url(self, external_id: str) -> str:
        """The page on which a person answers a post by hand."""
        return f"{items.SITE}/reply?id={external_id}"

    def _parts(self, services: Services, reading: "_Reading") -> list["_Part"]:
        now, backfill = int(time.time()), self._config.backfill
        parts: list[_Part] = [
            _Part("queries", words, search.Search(services, words, now=now, backfill=backfill))
            for words in self._config.queries
        ] + [
            _Part("stories", str(story), threads.Thread(services, story, now=now))
            for story in self._config.stories
        ]
        reading.keep_only(parts)
        return sorted(parts, key=lambda part: not reading.is_half_done(part))  # stable


@dataclass(frozen=True, slots=True)
class _Part:
    """One search or thread: `read(state, room, ends_at)` gives a `items.Progress`."""

    kind: str
    key: str
    reader: Any

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def read(self) -> Callable[[dict[str, Any], int, float], items.Progress]:
        return self.reader.read


@dataclass(slots=True)
class _Reading:
    """What one poll has read so far. A part that fails does not stop the others."""

    cursor: Mapping[str, Any]
    posts: list[Post] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    failures: list[HTTPFailure] = field(default_factory=list)
    more: bool = False
    stopped: bool = False
    ends_at: float = field(default_factory=lambda: time.monotonic() + PATIENCE.total_seconds())

    @property
    def is_full(self) -> bool:
        return len(self.posts) >= BATCH or time.monotonic() > self.ends_at

    def keep_only(self, parts: list[_Part]) -> None:
        """Forget searches and threads that the source no longer has; begin where we stopped."""
        first = self.cursor.get("first")
        start = next((i for i, part in enumerate(parts) if part.name == first), 0)
        parts[:] = parts[start:] + parts[:start]
        kept: dict[str, Any] = {"queries": {}, "stories": {}}
        for part in parts:
            states = self.cursor.get(part.kind)
            state = states.get(part.key) if isinstance(states, Mapping) else None
            kept[part.kind][part.key] = dict(state) if isinstance(state, Mapping) else {}
        self.cursor = kept

    def stop_before(self, part: _Part) -> None:
        """Leave the rest for the next poll, which begins there: none is left out for ever."""
        self.stopped = True
        self.cursor = {**self.cursor, "first": part.name}

    def is_half_done(self, part: _Part) -> bool:
        return bool(self.cursor[part.kind][part.key].get("walk"))

    def read(self, part: _Part) -> None:
        room = BATCH - len(self.posts)
        try:
            progress = part.read(self.cursor[part.kind][part.key], room, self.ends_at)
        except HTTPFailure as error:
            self.failures.append(error)
            return
        self.posts += progress.posts
        self.unreadable += progress.unreadable
        self.cursor[part.kind][part.key] = progress.state
        self.more |= progress.more

    def batch(self) -> Batch:
        """What was read. Raises TryLater if a part failed and the others had nothing new."""
        nothing = not self.posts and not self.unreadable and not self.more
        wait = max(filter(None, map(_pause, self.failures)), default=None)
        if self.failures and nothing:
            raise TryLater(" ".join(dict.fromkeys(map(str, self.failures))), wait)
        return Batch(
            posts=tuple(self.posts),
            unreadable=tuple(self.unreadable),
            cursor=self.cursor,
            no_sooner=wait,
            # Once more after a failure: if it fails again with nothing else new, staff must see it.
            more=self.more or self.stopped or bool(self.failures and wait is None),
        )


def _pause(failure: HTTPFailure) -> timedelta | None:
    return failure.retry_after if isinstance(failure, BadStatus) else None


def _as_it_is(item: Mapping[str, Any]) -> Post:
    is_gone = not items.is_live(item)
    return items.item_post({**item, "deleted": is_gone}, items.Root(0))
