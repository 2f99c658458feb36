"""Follow one thread: the whole tree at first, then only what is new, at few requests.

Firebase tells of each item its direct answers (`kids`), and of the story how many comments its
tree has (`descendants`). While neither changes a poll is one request. When they do, the story's
new kids are read; if they do not make up the difference, Algolia is asked which comments came
since; if that does not either (it indexes late, it may be down), the whole tree is read again.
While a thread lives it is read again every few hours anyway: counts can hide a change.

A walk keeps a stack of [item, last answer read], so its state stays small however many comments
there are, and any process can go on from it.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from feedback.channels.base import Post
from feedback.channels.hackernews import items
from feedback.channels.hackernews.ancestry import Ancestry, root_of
from feedback.channels.hackernews.items import Progress, Root, whole
from feedback.channels.hackernews.services import Services
from feedback.http import BadStatus, HTTPFailure

WAVE = 48  # items asked for at once
PROBE = 5  # so many failures and nothing else: the service is down
TRIES = 5  # polls in which one item may fail before it is set aside
LARGEST = 200_000  # items of one walk: a loop of kids ends
BIG = 2000  # items of a thread that is not read wholly at every doubt
AGAIN_SECONDS = 6 * 3600  # a living thread is read wholly again
ALIVE_SECONDS = 2 * 86_400
LATE_SECONDS = 6 * 3600  # an id may be listed before its item can be read
SLOWEST_IDS_A_DAY = 3000  # Hacker News numbers at least so many items (it is about 11,000)
HINT_OVERLAP_SECONDS = 300
HINTS = 200
OWED = 1000  # items waiting to be tried again


class NoSuchItem(HTTPFailure):
    """The item that a source names does not exist (yet)."""


@dataclass(slots=True)
class Walk:
    """A walk under way; `whole` or only what is `new`."""

    kind: str
    started_at: int
    descendants: int | None = None  # by the story as it was at the start
    last_kid: int = 0
    last_id: int = 0  # the newest item met
    stack: list[list[int]] = field(default_factory=list)
    seeds: list[list[int]] = field(default_factory=list)  # [item, parent or 0], still to be read
    expected: int | None = None  # new comments by the story's count
    found: int = 0
    visited: int = 0
    hinted: bool = False


@dataclass(slots=True)
class State:
    """What is known of a thread between polls; instants are Unix seconds."""

    descendants: int | None = None
    last_kid: int = 0
    last_id: int = 0
    looked_at: int = 0
    walked_at: int = 0  # 0: never wholly
    size: int = 0  # items of the last whole walk
    newest_at: int = 0
    owed: dict[str, list[int]] = field(default_factory=dict)  # id: [parent, since, tries]
    walk: Walk | None = None

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "State":
        """The state as the cursor holds it; what is no state means: begin anew."""
        try:
            state = cls(**{key: value for key, value in kept.items() if key != "walk"})
            state.owed = dict(state.owed)
            state.walk = Walk(**kept["walk"]) if kept.get("walk") else None
        except (TypeError, ValueError):
            return cls()
        return state


class Thread:
    """Reads one thread; `read` may be called again with the state that it gave."""

    def __init__(self, services: Services, story: int, *, now: int) -> None:
        self._services = services
        self._id = story
        self._now = now

    def read(self, kept: Mapping[str, Any], room: int, ends_at: float) -> Progress:
        """Read what is new, at most about `room` posts. Raises HTTPFailure if that is nothing."""
        state = State.read(kept)
        story = self._services.item(self._id)
        if not isinstance(story, Mapping):
            raise NoSuchItem(f"Hacker News has no item {self._id}.")
        state.walk = state.walk or plan(state, story, self._now)
        if state.walk is None:
            return Progress(asdict(state))
        step = _Step(self._services, self._root(story), story, state, self._now)
        step.run(room, ends_at)
        return Progress(asdict(state), step.posts, step.unreadable, more=state.walk is not None)

    def _root(self, story: Mapping[str, Any]) -> Root:
        if whole(story.get("parent")) is None:
            return Root(self._id, items.title_of(story))
        return root_of(self._services, story)  # the source names a comment


def plan(state: State, story: Mapping[str, Any], now: int) -> Walk | None:
    """The walk that the story's item calls for, or None while nothing changed."""
    kids, count = items.kids_of(story), whole(story.get("descendants"))
    if not state.walked_at:
        return whole_walk(story, now)
    new = [[kid, 0] for kid in kids if kid > state.last_kid]
    owed = [[int(id_), owed[0]] for id_, owed in state.owed.items()]
    is_alive = state.newest_at > state.walked_at - ALIVE_SECONDS
    same = count == state.descendants
    if count is None:  # a job, a killed story, a comment: nothing tells of a change below
        same = not is_alive and now - state.looked_at < AGAIN_SECONDS
    if is_alive and now - state.walked_at >= AGAIN_SECONDS:
        return whole_walk(story, now)
    if same and not new and not owed:
        return None
    known = count is not None and state.descendants is not None
    expected = count - state.descendants if known else None  # type: ignore[operator]
    walk = whole_walk(story, now)
    walk.kind, walk.seeds = "new", new + owed
    walk.expected, walk.hinted = (0, True) if same else (expected, False)
    return walk


def whole_walk(story: Mapping[str, Any], now: int) -> Walk:
    """A walk through the whole tree, not begun."""
    last_kid = max(items.kids_of(story), default=0)
    return Walk("whole", now, whole(story.get("descendants")), last_kid)


def lone_post(services: Services, item: Mapping[str, Any]) -> Post:
    """The post of one item by itself, its thread looked up. Raises ValueError, HTTPFailure."""
    if not item.keys() - {"id", "parent"}:  # it never came
        item = services.item(whole(item.get("id")) or 0)
        if not isinstance(item, Mapping):
            raise ValueError("Hacker News does not have it")
    root = root_of(services, item)
    ancestry = Ancestry(services, root)
    ancestry.prepare([item])
    is_comment = whole(item.get("parent")) is not None
    return items.item_post(item, root, ancestry.context(item) if is_comment else "")


class _Step:
    """What one poll does of a walk: wave after wave, each whole or not at all."""

    def __init__(
        self, services: Services, root: Root, story: Mapping[str, Any], state: State, now: int
    ) -> None:
        self._services = services
        self._root = root
        self._story = story
        self._story_id = whole(story.get("id")) or 0
        self._state = state
        self._now = now
        self._ancestry = Ancestry(services, root)
        self._kids: dict[int, list[int]] = {}  # of the items on the stack
        self._done: set[int] = set()
        self.posts: list[Post] = []
        self.unreadable: list[Any] = []
        self._ancestry.learn(self._story_id, story)

    def run(self, room: int, ends_at: float) -> None:
        """Go on until all is read, `room` is used up, or the service fails."""
        if self._walk.kind == "whole" and not self._walk.visited:
            self._begin_whole()
        waves = 0
        while self._state.walk is not None:
            if waves and (len(self.posts) + WAVE > room or time.monotonic() > ends_at):
                return
            try:
                self._wave()
            except HTTPFailure:
                if not waves:
                    raise
                return  # the next poll meets the failure with nothing in its hands
            waves += 1

    @property
    def _walk(self) -> Walk:
        assert self._state.walk is not None
        return self._state.walk

    def _begin_whole(self) -> None:
        self._walk.stack = [[self._story_id, 0]]
        self._walk.visited = 1
        self._kids[self._story_id] = items.kids_of(self._story)
        self._ancestry.prepare([self._story])
        self._take_item(self._story_id, self._story)

    def _wave(self) -> None:
        if self._walk.visited > LARGEST:
            self._settle()
        elif self._walk.seeds:
            self._read_seeds()
        elif self._walk.stack:
            self._read_answers()
        else:
            self._end()

    def _read_seeds(self) -> None:
        wave, rest = self._walk.seeds[:WAVE], self._walk.seeds[WAVE:]
        pairs = [(id_, parent or self._story_id) for id_, parent in wave if id_ not in self._done]
        found = self._ask(pairs)
        self._ancestry.prepare(found)
        self._walk.seeds = rest
        self._take(pairs, found)

    def _read_answers(self) -> None:
        """The next answers of the items on top of the stack, as many as make a wave."""
        self._open_stack()
        pairs: list[tuple[int, int]] = []
        stack = [list(frame) for frame in self._walk.stack]
        for frame in reversed(stack):
            left = [kid for kid in self._kids.get(frame[0], ()) if kid > frame[1]]
            taken = left[: WAVE - len(pairs)]
            pairs += [(kid, frame[0]) for kid in taken if kid not in self._done]
            frame[1] = taken[-1] if taken else frame[1]
            if len(pairs) >= WAVE:
                break
        found = self._ask(pairs)
        self._ancestry.prepare(found)
        self._walk.stack = [frame for frame in stack if self._has_more(frame)]
        self._take(pairs, found)

    def _open_stack(self) -> None:
        """Ask again for the items on top of the stack, after another process put them there."""
        top = [frame[0] for frame in self._walk.stack[-WAVE:]]
        closed = [id_ for id_ in top if id_ not in self._kids]
        for id_, item in zip(closed, self._services.items(closed), strict=True):
            if isinstance(item, HTTPFailure):
                raise item
            self._kids[id_] = items.kids_of(item)
            self._ancestry.learn(id_, item)

    def _has_more(self, frame: Sequence[int]) -> bool:
        kids = self._kids.get(frame[0])
        if kids is None or (kids and kids[-1] > frame[1]):
            return True
        self._kids.pop(frame[0], None)
        return False

    def _ask(self, pairs: Sequence[tuple[int, int]]) -> list[Any]:
        """The items. Raises HTTPFailure if the service, not only some item, is what fails."""
        found = self._services.items(id_ for id_, _ in pairs)
        failures = [item for item in found if isinstance(item, HTTPFailure)]
        for failure in failures:
            if isinstance(failure, BadStatus) and failure.status in (429, 503):
                raise failure
        if len(failures) >= PROBE and len(failures) == len(found):
            raise failures[0]
        if failures:
            self._services.item(self._story_id)
        return found

    def _take(self, pairs: Sequence[tuple[int, int]], found: Iterable[Any]) -> None:
        self._walk.visited += len(pairs)
        for (id_, parent), item in zip(pairs, found, strict=True):
            self._done.add(id_)
            if item is None or isinstance(item, HTTPFailure):
                self._owe(id_, parent, item)
                continue
            self._state.owed.pop(str(id_), None)
            self._ancestry.learn(id_, item)
            if kids := items.kids_of(item):
                self._kids[id_] = kids
                self._walk.stack.append([id_, 0])
            self._take_item(id_, item)

    def _take_item(self, id_: int, item: Any) -> None:
        """Make a post of an item, or nothing of it if it says nothing, or keep it unreadable."""
        try:
            if not isinstance(item, Mapping) or whole(item.get("id")) != id_:
                raise ValueError(f"asked for item {id_}, something else came")
            if not self._is_post(item):
                return
            self.posts.append(items.item_post(item, self._root, self._context(item)))
        except ValueError as error:
            self.unreadable.append(items.unreadable(id_, item, error))
        else:
            self._walk.found += not item.get("deleted")
            self._walk.last_id = max(self._walk.last_id, id_)
            self._state.newest_at = max(self._state.newest_at, whole(item.get("time")) or 0)

    def _is_post(self, item: Mapping[str, Any]) -> bool:
        may_be_known = self._walk.kind == "whole" and self._state.walked_at > 0
        if item.get("deleted"):
            return may_be_known
        # A mark in place of the text must not overwrite what we hold.
        return items.is_live(item) and not (may_be_known and items.is_withheld(item))

    def _context(self, item: Mapping[str, Any]) -> str:
        return "" if whole(item.get("parent")) is None else self._ancestry.context(item)

    def _owe(self, id_: int, parent: int, failure: HTTPFailure | None) -> None:
        """Try an item again at later polls: listed before it can be read, or failing."""
        owed = self._state.owed
        _, since, tries = owed.get(str(id_), [parent, self._now, 0])
        is_late = self._now - since < LATE_SECONDS and self._may_be_new(id_, parent)
        if tries + 1 < TRIES if failure else is_late:
            if str(id_) not in owed:
                if len(owed) >= OWED:
                    raise failure or NoSuchItem(f"Hacker News does not have item {id_} yet.")
                self._walk.found += 1
            owed[str(id_)] = [parent, since, tries + bool(failure)]
            return
        owed.pop(str(id_), None)
        if failure:
            self.unreadable.append(items.unreadable(id_, {"id": id_, "parent": parent}, failure))

    def _may_be_new(self, id_: int, parent: int) -> bool:
        """Whether an item that is not there may be too young: ids count all of Hacker News."""
        before, at = parent, self._ancestry.posted_at(parent)
        if not at:
            before, at = self._story_id, whole(self._story.get("time")) or 0
        latest = at + max(0, id_ - before) / SLOWEST_IDS_A_DAY * 86_400
        return latest > self._now - LATE_SECONDS

    def _end(self) -> None:
        """All is read that this kind of walk reads: settle, or look further."""
        walk, expected = self._walk, self._walk.expected
        if walk.kind == "whole" or (expected is not None and 0 < expected <= walk.found):
            self._settle()
        elif not walk.hinted:
            self._ask_for_hints()
        elif walk.found >= (expected or 0):
            self._settle()
        elif self._state.size > BIG and self._now - self._state.walked_at < self._state.size / 4:
            self._state.walk = None  # too dear so soon: the next look begins where this one did
        else:
            self._state.walk = whole_walk(self._story, self._now)
            self._done.clear()
            self._begin_whole()

    def _ask_for_hints(self) -> None:
        self._walk.hinted = True
        hints = self._hints()
        if hints is None:
            self._walk.expected = self._walk.found + 1  # nobody can tell: read it all
        else:
            self._walk.seeds = [[id_, parent] for id_, parent in hints if id_ not in self._done]

    def _settle(self) -> None:
        walk, state = self._walk, self._state
        state.descendants, state.last_kid = walk.descendants, walk.last_kid
        state.last_id = max(state.last_id, walk.last_id)
        state.looked_at = walk.started_at
        if walk.kind == "whole":
            state.walked_at, state.size = walk.started_at, walk.visited
        state.walk = None

    def _hints(self) -> list[tuple[int, int]] | None:
        """Comments that Algolia saw since the last look, with parents; None if it cannot say."""
        since = self._state.looked_at - HINT_OVERLAP_SECONDS
        try:
            page = self._services.search({
                "tags": f"comment,story_{self._root.id}",
                "numericFilters": f"created_at_i>{since}",
                "hitsPerPage": HINTS,
            })  # fmt: skip
        except HTTPFailure:
            return None
        hits = [hit for hit in page["hits"] if isinstance(hit, Mapping)]
        pairs = [(whole(hit.get("objectID")), whole(hit.get("parent_id"))) for hit in hits]
        return [(id_, parent or 0) for id_, parent in pairs if id_ and id_ > self._state.last_id]
