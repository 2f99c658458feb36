"""Reading one repository: issues and their comments by REST, discussions by GraphQL."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from feedback.channels.base import Post, TryLater, Unreadable
from feedback.channels.github.api import Api, Gone
from feedback.channels.github.posts import (
    comment_post,
    discussion_post,
    is_own,
    issue_number,
    issue_post,
    moment,
)

PAGE = 100
PAGES = 10  # of one poll
TITLES = 30  # issues whose titles are asked for in one poll
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')

DISCUSSIONS = """
query Discussions($owner: String!, $name: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    discussions(first: 25, after: $after, orderBy: {field: UPDATED_AT, direction: DESC}) {
      pageInfo { endCursor hasNextPage }
      nodes {
        id number title body url createdAt updatedAt author { login }
        comments(first: 50) {
          pageInfo { endCursor hasNextPage }
          nodes { ...said replies(first: 50) { nodes { ...said } } }
        }
      }
    }
  }
}
fragment said on DiscussionComment { id body url createdAt author { login } }
"""
COMMENTS = """
query Comments($id: ID!, $after: String) {
  node(id: $id) {
    ... on Discussion {
      comments(first: 50, after: $after) {
        pageInfo { endCursor hasNextPage }
        nodes { ...said replies(first: 50) { nodes { ...said } } }
      }
    }
  }
}
fragment said on DiscussionComment { id body url createdAt author { login } }
"""


@dataclass(slots=True)
class Reading:
    """What one poll has read so far; `room` is how many pages it may still ask for."""

    begin: datetime
    posts: dict[str, Post] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    room: int = PAGES
    more: bool = False

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
            state["id"] = api.get(f"/repos/{name}", repository=name).value["id"]
        self.id: int = state["id"]

    def issues(self, reading: Reading) -> None:
        """Issues that changed, pull requests left out."""

        def take(row: Mapping[str, Any]) -> None:
            if "pull_request" in row:
                return
            reading.titles[f"{self.name}#{row.get('number')}"] = str(row.get("title") or "")
            reading.add(row, lambda: issue_post(row, self.name, self.id))

        self._changed(reading, "issues", f"/repos/{self.name}/issues", take, state="all")

    def comments(self, reading: Reading) -> None:
        """Comments on issues that changed, each with its issue's title."""

        def take(row: Mapping[str, Any]) -> None:
            if "/pull/" in str(row.get("html_url")):
                return
            reading.add(
                row, lambda: comment_post(row, self.name, self.id, self._title(row, reading))
            )

        self._changed(reading, "comments", f"/repos/{self.name}/issues/comments", take)

    def _changed(
        self,
        reading: Reading,
        part: str,
        path: str,
        take: Callable[[Mapping[str, Any]], None],
        **params: str,
    ) -> None:
        """Pages of what changed since the last poll, oldest change first."""
        state = self._state.setdefault(part, {})
        since = state.get("since") or reading.begin.strftime("%Y-%m-%dT%H:%M:%SZ")
        page = state.get("page", 1)
        while reading.room > 0:
            reading.room -= 1
            asked = {"since": since, "sort": "updated", "direction": "asc", **params}
            told = self._api.get(
                path,
                etag=state.get("etag", "") if page == 1 else "",
                repository=self.name,
                per_page=PAGE,
                page=page,
                **asked,
            )
            if told.status == 304:
                return
            rows = _rows(told.value)
            for row in rows:
                take(row)
            newest = max((str(row.get("updated_at") or "") for row in rows), default="")
            state["newest"] = max(state.get("newest", ""), newest)
            if not _NEXT.search(told.headers.get("link", "")):
                # The address changes with `since`, and with it what the ETag belongs to.
                moved = state.pop("newest") or since
                etag = told.headers.get("etag", "") if moved == since and page == 1 else ""
                self._state[part] = {"since": moved, "etag": etag}
                return
            page += 1
            state |= {"page": page, "since": since}
        reading.more = True

    def _title(self, comment: Mapping[str, Any], reading: Reading) -> str:
        number = issue_number(comment)
        key = f"{self.name}#{number}"
        if key not in reading.titles and len(reading.titles) < TITLES + PAGE * PAGES:
            try:
                told = self._api.get(f"/repos/{self.name}/issues/{number}", repository=self.name)
                reading.titles[key] = str(told.value.get("title") or "")
            except (Gone, TryLater, AttributeError):
                reading.titles[key] = ""
        return reading.titles.get(key, "")

    def discussions(self, reading: Reading) -> None:
        """Discussions that changed, with all their comments, newest change first."""
        state = self._state.setdefault("discussions", {})
        since = moment(state["since"]) if state.get("since") else reading.begin
        after = state.get("after")
        while reading.room > 0:
            reading.room -= 1
            page = self._discussions(after)
            nodes = _nodes(page)
            for node in nodes:
                at = str(node.get("updatedAt") or "")
                state["newest"] = max(state.get("newest", ""), at)
                if moment(at) >= since:
                    self._discussion(node, reading)
            info = page.get("pageInfo") or {}
            is_old = bool(nodes) and moment(nodes[-1].get("updatedAt")) < since
            if is_old or not info.get("hasNextPage"):
                begin = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                self._state["discussions"] = {"since": max(begin, state.get("newest", ""))}
                return
            after = state["after"] = info.get("endCursor")
        reading.more = True

    def _discussions(self, after: str | None) -> Mapping[str, Any]:
        owner, _, name = self.name.partition("/")
        data = self._api.graphql(DISCUSSIONS, self.name, owner=owner, name=name, after=after)
        repository = data.get("repository")
        page = repository.get("discussions") if isinstance(repository, Mapping) else None
        return page if isinstance(page, Mapping) else {}

    def _discussion(self, node: Mapping[str, Any], reading: Reading) -> None:
        reading.add(node, lambda: discussion_post(node, self.name, node, None))
        page = node.get("comments") or {}
        while True:
            for comment in _nodes(page):
                self._comment(comment, node, str(node.get("id")), reading)
                for reply in _nodes(comment.get("replies") or {}):
                    self._comment(reply, node, str(comment.get("id")), reading)
            info = page.get("pageInfo") or {}
            if not info.get("hasNextPage"):
                return
            after = info.get("endCursor")
            data = self._api.graphql(COMMENTS, self.name, id=node.get("id"), after=after)
            page = (data.get("node") or {}).get("comments") or {}

    def _comment(
        self, row: Mapping[str, Any], discussion: Mapping[str, Any], parent: str, reading: Reading
    ) -> None:
        reading.add(row, lambda: discussion_post(row, self.name, discussion, parent))


def _rows(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise TryLater("GitHub answers with what is no list.")
    return [row for row in value if isinstance(row, Mapping)]


def _nodes(page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    nodes = page.get("nodes")
    return [
        node for node in (nodes if isinstance(nodes, list) else []) if isinstance(node, Mapping)
    ]


def begin_of(config: Mapping[str, Any]) -> datetime:
    """How far the first poll looks back."""
    text = str(config.get("backfill") or "86400s").removesuffix("s")
    span = timedelta(seconds=int(text)) if text.isdecimal() else timedelta(days=1)
    return datetime.now(UTC) - span
