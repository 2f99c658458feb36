"""Reading one repository by REST: issues and their comments, oldest change first."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from feedback.channels.base import Post, TryLater, Unreadable
from feedback.channels.github.api import Api, Gone
from feedback.channels.github.posts import (
    comment_post,
    is_own,
    is_pull_request,
    issue_number,
    issue_post,
)

PAGE = 100
PAGES = 10  # of one poll
TITLES = 300  # issues whose titles are asked for in one poll
PATIENCE = timedelta(seconds=60)  # after which a poll returns what it has
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


@dataclass(slots=True)
class Reading:
    """What one poll has read so far; `room` is how many pages it may still ask for."""

    begin: datetime
    posts: dict[str, Post] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    room: int = PAGES
    asked_titles: int = 0
    ends_at: float = field(default_factory=lambda: time.monotonic() + PATIENCE.total_seconds())

    @property
    def is_full(self) -> bool:
        """Whether this poll has read enough."""
        return self.room <= 0 or time.monotonic() > self.ends_at

    def add(self, row: Any, make: Callable[[], Post]) -> None:
        """Keep a row as a post, or set it aside; what we wrote ourselves is neither."""
        body = row.get("body") if isinstance(row, Mapping) else None
        if is_own(body):
            return
        try:
            post = make()
        except (ValueError, TypeError, AttributeError) as error:
            id_ = (
                str(row.get("node_id") or row.get("id")) if isinstance(row, Mapping) else repr(row)
            )
            self.unreadable.append(Unreadable(external_id=id_[:300], raw=row, error=str(error)))
            return
        self.posts[post.external_id] = post


class Repository:
    """One repository by its name; its id is asked for once and kept in `state`."""

    def __init__(self, api: Api, name: str, state: dict[str, Any]) -> None:
        """Raises TryLater, SourceStopped, Gone."""
        self._api, self.name, self._state = api, name, state
        if not isinstance(state.get("id"), int):
            told = api.get(f"/repos/{name}", repository=name).value
            id_ = told.get("id") if isinstance(told, Mapping) else None
            if not isinstance(id_, int):
                raise TryLater(f"GitHub's answer about {name} cannot be read.")
            state["id"] = id_
        self.id: int = state["id"]

    def issues(self, reading: Reading) -> bool:
        """Issues that changed, pull requests left out."""

        def take(row: Mapping[str, Any]) -> None:
            if is_pull_request(row):
                return
            reading.titles[f"{self.name}#{row.get('number')}"] = str(row.get("title") or "")
            reading.add(row, lambda: issue_post(row, self.name, self.id))

        return self._changed(reading, "issues", f"/repos/{self.name}/issues", take, state="all")

    def comments(self, reading: Reading) -> bool:
        """Comments on issues that changed, each with its issue's title."""

        def take(row: Mapping[str, Any]) -> None:
            if "/pull/" in str(row.get("html_url")):
                return
            reading.add(
                row, lambda: comment_post(row, self.name, self.id, self._title(row, reading))
            )

        return self._changed(reading, "comments", f"/repos/{self.name}/issues/comments", take)

    def _changed(
        self,
        reading: Reading,
        part: str,
        path: str,
        take: Callable[[Mapping[str, Any]], None],
        **params: str,
    ) -> bool:
        """What changed since the last poll, until there is no more (true) or it is enough.

        After each page `since` moves to its newest change: by page numbers, what changes
        while we read would move others over an edge and out of sight.
        """
        state = self._state.setdefault(part, {})
        while not reading.is_full:
            reading.room -= 1
            since = state.get("since") or reading.begin.strftime("%Y-%m-%dT%H:%M:%SZ")
            page = state.get("page", 1)
            asked = {"since": since, "sort": "updated", "direction": "asc", **params}
            etag = state.get("etag", "") if page == 1 else ""
            told = self._api.get(
                path, etag=etag, repository=self.name, per_page=PAGE, page=page, **asked
            )
            if told.status == 304:
                return True
            rows = _rows(told.value)
            for row in rows:
                take(row)
            newest = max((str(row.get("updated_at") or "") for row in rows), default="")
            is_last = not _NEXT.search(told.headers.get("link", ""))
            if newest > since:
                self._state[part] = state = {"since": newest}
            elif not is_last:  # a whole page of one second
                state |= {"since": since, "page": page + 1}
            else:
                # The address changes with `since`, and with it what the ETag belongs to.
                etag = told.headers.get("etag", "") if page == 1 else ""
                self._state[part] = {"since": since, "etag": etag}
            if is_last:
                return True
        return False

    def _title(self, comment: Mapping[str, Any], reading: Reading) -> str:
        number = issue_number(comment)
        key = f"{self.name}#{number}"
        if key not in reading.titles and reading.asked_titles < TITLES:
            reading.asked_titles += 1
            try:
                told = self._api.get(f"/repos/{self.name}/issues/{number}", repository=self.name)
                reading.titles[key] = str(told.value.get("title") or "")
            except (Gone, TryLater, AttributeError):
                reading.titles[key] = ""
        return reading.titles.get(key, "")


def _rows(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise TryLater("GitHub answers with what is no list.")
    return [row for row in value if isinstance(row, Mapping)]


def begin_of(config: Mapping[str, Any]) -> datetime:
    """How far the first poll looks back."""
    text = str(config.get("backfill") or "86400s").removesuffix("s")
    span = timedelta(seconds=int(text)) if text.isdecimal() else timedelta(days=1)
    return datetime.now(UTC) - span
