"""What one poll reads of Reddit: pages of listings, newest first, back to what is known."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from feedback.channels.base import Batch, Post, TryLater, Unreadable
from feedback.channels.gaps import gap, still_told, told
from feedback.channels.reddit.api import Api
from feedback.channels.reddit.things import post_of, rows_of
from feedback.channels.rounds import Round

PAGES = 6  # of one poll
PAGE_SIZE = 100
OVERLAP = 120  # seconds; listings are not strictly in order
LISTED = 900  # things after which a listing that ends may have left some out; Reddit's is 1,000
RESTARTS = 3  # of one listing, when the post where its next page begins has vanished


class Reading:
    """What one poll has read so far, and the cursor that covers exactly this."""

    def __init__(self, cursor: Mapping[str, Any], begin: int) -> None:
        parts = cursor.get("parts")
        kept = {k: dict(v) for k, v in parts.items()} if isinstance(parts, Mapping) else {}
        self.parts: dict[str, dict[str, Any]] = kept
        self.begin = begin
        self.gaps = still_told(cursor)
        self.posts: dict[str, Post] = {}
        self.unreadable: list[Unreadable] = []
        self.pages = 0
        self.account = str(cursor.get("account") or "")

    @property
    def is_full(self) -> bool:
        """Whether this poll has read enough."""
        return self.pages >= PAGES

    def state(self, key: str) -> dict[str, Any]:
        """What the cursor has of a listing or tree."""
        return self.parts.setdefault(key, {"since": self.begin})

    def take(
        self, rows: list[Mapping[str, Any]], state: dict[str, Any], wanted: Callable[[Post], bool]
    ) -> int:
        """Keep what is new and wanted. Returns when the oldest row was written, in seconds."""
        oldest = int(time.time())
        for post in self._read(rows, "", state["since"]):
            at = int(post.created_at.timestamp())
            oldest = min(oldest, at)
            state["newest"] = max(state.get("newest", 0), at)
            state["oldest"] = min(state.get("oldest", at), at)
            if at >= state["since"] and wanted(post):
                self.posts.setdefault(post.external_id, post)
        return oldest

    def add(self, rows: list[Mapping[str, Any]], title: str) -> None:
        """Keep all things of a tree that are posts."""
        for post in self._read([row for row in rows if row.get("kind") != "more"], title):
            self.posts.setdefault(post.external_id, post)

    def _read(self, rows: list[Mapping[str, Any]], title: str, since: int = 0) -> list[Post]:
        posts = []
        for row in rows:
            try:
                posts.append(post_of(row, title))
            except (ValueError, TypeError, AttributeError) as error:
                data = row.get("data")
                data = data if isinstance(data, Mapping) else {}
                at = data.get("created_utc")
                if isinstance(at, int | float) and at < since:
                    continue  # set aside when it was new
                name = str(data.get("name") or repr(row)[:100])
                self.unreadable.append(Unreadable(external_id=name, raw=row, error=str(error)))
        return posts

    def batch(self, api: Api, parts: Round) -> Batch:
        """What was read. Raises TryLater if that is nothing and something failed."""
        parts.tell_failure(has_news=bool(self.posts or self.unreadable))
        pause = api.pause()
        return Batch(
            posts=tuple(self.posts.values()),
            unreadable=tuple(self.unreadable),
            cursor={
                "parts": self.parts,
                **parts.cursor(),
                "account": self.account,
                "gaps": self.gaps,
            },
            no_sooner=pause,
            more=parts.more and not pause,
            failure=parts.failure,
            meter=api.limits() | told(self.gaps),
            account=self.account,
        )


def read_listing(api: Api, reading: Reading, path: str, wanted: Callable[[Post], bool]) -> bool:
    """Pages of one listing until one reaches what was read before (true), or it is enough."""
    state = reading.state(path)
    while not reading.is_full:
        after = state.get("after")
        page = api.get(path, limit=PAGE_SIZE, **({"after": after} if after else {}))
        rows, token = listed(page), _next_page(page)
        oldest = reading.take(rows, state, wanted)
        reading.pages += 1
        state["rows"] = state.get("rows", 0) + len(rows)
        if not rows and after and state.get("restarts", 0) < RESTARTS:
            # The post after which this page was to begin has vanished: from the top again.
            state["restarts"] = state.get("restarts", 0) + 1
            state.pop("after")
        elif not token or not rows or oldest < state["since"]:
            _conclude(reading, path, state)
            return True
        else:
            state["after"] = token
    return False


def _conclude(reading: Reading, path: str, state: dict[str, Any]) -> None:
    """A listing was read to its end, or back to what was known. If neither, some is missing."""
    since, oldest = state["since"], state.get("oldest", 0)
    if state["rows"] >= LISTED and oldest > since + OVERLAP:
        ends = (datetime.fromtimestamp(at, UTC) for at in (since, oldest))
        reading.gaps.append(gap(path, *ends))
    newest = state.get("newest", 0)
    state.clear()
    state["since"] = max(since, newest - OVERLAP)


def listed(listing: Any) -> list[Mapping[str, Any]]:
    """A listing's things. Raises TryLater."""
    try:
        return rows_of(listing)
    except ValueError as error:
        raise TryLater("Reddit answers with what is no listing.") from error


def _next_page(listing: Any) -> str:
    return str(listing["data"].get("after") or "")
