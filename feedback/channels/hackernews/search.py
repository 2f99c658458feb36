"""Search for one phrase, newest first, through a window that moves over the time of posting.

Algolia gives at most 1,000 hits however deep one pages, so the window's end moves down to the
oldest hit seen until the window is empty. It also indexes late: each window begins a little
before the end of the last one, and what was seen there already is left out.

State: `until` (Unix seconds; all before it is read), `seen` (ids read near its end), and while a
window is half read `walk` with its edges.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from feedback.channels.base import Post
from feedback.channels.hackernews import items
from feedback.channels.hackernews.items import Progress, whole
from feedback.channels.hackernews.services import Services
from feedback.channels.hackernews.words import says
from feedback.http import HTTPFailure
from feedback.text import one_line

PAGE = 100  # hits
DEEPEST = 1000  # hits that paging reaches
OVERLAP_SECONDS = 3600
SEEN = 500  # ids
PARENTS = 100  # parents of hits asked for in one poll


class Search:
    """Reads one phrase; `read` may be called again with the state that it gave."""

    def __init__(self, services: Services, words: str, *, now: int, backfill: timedelta) -> None:
        self._services = services
        self._words = words
        self._now = now
        self._backfill_seconds = int(backfill.total_seconds())
        self._parents_left = PARENTS

    def read(self, state: Mapping[str, Any], room: int, ends_at: float) -> Progress:
        """Read until the window is empty or about `room` posts are had. Raises HTTPFailure
        before the first page; a later failure ends the reading, and the state says where.
        """
        walk = _walk(state) or self._window(state)
        progress = Progress({**state, "walk": walk})
        while len(progress.posts) < room and time.monotonic() < ends_at:
            try:
                page = self._page(walk)
            except HTTPFailure:
                if not progress.posts:
                    raise
                break
            hits = _new_hits(page["hits"], walk)
            self._take(hits, state, walk, progress)
            if not _move_on(walk, page, hits):
                progress.state = {"until": walk["top"], "seen": walk["seen"][:SEEN]}
                return progress
        progress.more = True
        return progress

    def _window(self, state: Mapping[str, Any]) -> dict[str, Any]:
        until = whole(state.get("until"))
        start = self._now - self._backfill_seconds if until is None else until - OVERLAP_SECONDS
        # The end is a little ahead: clocks differ.
        return {"from": start, "to": self._now + 60, "top": self._now, "page": 0, "last": [],
                "seen": []}  # fmt: skip

    def _page(self, walk: Mapping[str, Any]) -> dict[str, Any]:
        span = f"created_at_i>={walk['from']},created_at_i<{walk['to']}"
        return self._services.search({
            "query": f'"{self._words}"',
            "tags": "(story,comment)",
            "numericFilters": span,
            "hitsPerPage": PAGE,
            "page": walk["page"],
            "typoTolerance": "false",
        })  # fmt: skip

    def _take(
        self,
        hits: Sequence[Any],
        state: Mapping[str, Any],
        walk: dict[str, Any],
        progress: Progress,
    ) -> None:
        known = set(state.get("seen") or ())
        wanted = [hit for hit in hits if _hit_id(hit) not in known and self._is_wanted(hit)]
        parents = self._parents(wanted)
        for hit in wanted:
            self._take_hit(hit, parents, progress)
        recent = walk["top"] - OVERLAP_SECONDS
        fresh = [_hit_id(hit) for hit in hits if _created(hit, default=0) >= recent]
        walk["seen"] = [*walk["seen"], *fresh][:SEEN]

    def _is_wanted(self, hit: Any) -> bool:
        if not isinstance(hit, Mapping):
            return True  # kept as unreadable
        if items.hit_kind(hit) in items.NO_POSTS:
            return False
        return says(items.hit_own_words(hit), self._words)

    def _take_hit(self, hit: Any, parents: Mapping[int, str], progress: Progress) -> None:
        try:
            progress.posts.append(_post(hit, parents))
        except ValueError as error:
            progress.unreadable.append(items.unreadable(_hit_id(hit), hit, error))

    def _parents(self, hits: Sequence[Any]) -> dict[int, str]:
        """Texts of the comments that the hits answer: worth a few requests, never a failure."""
        ids = list(dict.fromkeys(filter(None, map(_parent_comment, hits))))[: self._parents_left]
        self._parents_left -= len(ids)
        found = self._services.items(ids)
        return {
            id_: items.text_of(item.get("text"))
            for id_, item in zip(ids, found, strict=True)
            if isinstance(item, Mapping) and items.is_live(item)
        }


def _walk(state: Mapping[str, Any]) -> dict[str, Any] | None:
    walk = state.get("walk")
    return {**walk} if isinstance(walk, Mapping) else None


def _new_hits(hits: Sequence[Any], walk: Mapping[str, Any]) -> list[Any]:
    """The page without what the page before had: they share the second in which one ended."""
    last = set(walk["last"])
    return [hit for hit in hits if _hit_id(hit) not in last]


def _move_on(walk: dict[str, Any], page: Mapping[str, Any], hits: Sequence[Any]) -> bool:
    """Move the window's end down to the oldest hit; False when nothing can be left in it."""
    total = whole(page.get("nbHits"))
    shown = len(page["hits"])
    is_last = shown < PAGE if total is None else shown + walk["page"] * PAGE >= total
    if is_last or walk["page"] * PAGE >= DEEPEST:
        return False
    if not hits:  # all of the page share the second in which the page before ended
        walk["page"] += 1
        return True
    times = [_created(hit, default=walk["to"]) for hit in hits]
    end = min(times) + 1
    if end <= walk["from"]:
        return False
    if end >= walk["to"]:  # a whole page of one second
        walk["page"] += 1
    else:
        walk.update(to=end, page=0)
    walk["last"] = [_hit_id(hit) for hit in page["hits"]]
    return True


def _post(hit: Any, parents: Mapping[int, str]) -> Post:
    if not isinstance(hit, Mapping):
        raise ValueError("a hit that is no object")
    parent = parents.get(_parent_comment(hit) or 0, "")
    return items.hit_post(hit, [parent])


def _parent_comment(hit: Any) -> int | None:
    """The comment that the hit answers, if it answers one."""
    if not isinstance(hit, Mapping) or items.hit_kind(hit) != "comment":
        return None
    parent = whole(hit.get("parent_id"))
    return None if parent == items.hit_story(hit) else parent


def _created(hit: Any, default: int) -> int:
    value = whole(hit.get("created_at_i")) if isinstance(hit, Mapping) else None
    return default if value is None else value


def _hit_id(hit: Any) -> str:
    id_ = hit.get("objectID") if isinstance(hit, Mapping) else None
    if isinstance(id_, str | int) and id_:
        return one_line(str(id_), 100)
    packed = json.dumps(hit, sort_keys=True, default=str).encode()
    return f"hit-{hashlib.sha256(packed).hexdigest()[:16]}"
