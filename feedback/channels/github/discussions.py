"""Reading a repository's discussions by GraphQL, newest change first, with all their comments."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from feedback.channels.base import Post, TryLater
from feedback.channels.github.api import Api
from feedback.channels.github.posts import discussion_post, gone, moment
from feedback.channels.github.reading import Reading

SAID = "fragment said on DiscussionComment { id body url createdAt author { login } }"
REPLIES = "replies(first: 50) { pageInfo { endCursor hasNextPage } nodes { ...said } }"
COMMENTS = f"{{ pageInfo {{ endCursor hasNextPage }} nodes {{ ...said {REPLIES} }} }}"
CHANGED = f"""
query Discussions($owner: String!, $name: String!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    discussions(first: 25, after: $after, orderBy: {{field: UPDATED_AT, direction: DESC}}) {{
      pageInfo {{ endCursor hasNextPage }}
      nodes {{
        id number title body url createdAt updatedAt author {{ login }}
        comments(first: 50) {COMMENTS}
      }}
    }}
  }}
}}
{SAID}
"""
MORE_COMMENTS = f"""
query Comments($id: ID!, $after: String) {{
  node(id: $id) {{ ... on Discussion {{ comments(first: 50, after: $after) {COMMENTS} }} }}
}}
{SAID}
"""
MORE_REPLIES = f"""
query Replies($id: ID!, $after: String) {{
  node(id: $id) {{
    ... on DiscussionComment {{
      replies(first: 50, after: $after) {{
        pageInfo {{ endCursor hasNextPage }} nodes {{ ...said }}
      }}
    }}
  }}
}}
{SAID}
"""
PRESENT = f"""
query Present($ids: [ID!]!) {{
  nodes(ids: $ids) {{
    ... on Discussion {{
      id number title body url createdAt author {{ login }} repository {{ nameWithOwner }}
    }}
    ... on DiscussionComment {{
      ...said replyTo {{ id }} discussion {{ id number title repository {{ nameWithOwner }} }}
    }}
  }}
}}
{SAID}
"""


class Discussions:
    """One repository's discussions; `state` is its part of the cursor."""

    def __init__(self, api: Api, name: str, state: dict[str, Any]) -> None:
        self._api, self._name, self._state = api, name, state

    def read(self, reading: Reading) -> bool:
        """Those that changed, until there is no more (true) or it is enough.

        Raises TryLater, SourceStopped, Gone.
        """
        state = self._state.setdefault("discussions", {})
        since = moment(state["since"]) if state.get("since") else reading.begin
        while not reading.is_full:
            reading.room -= 1
            page = self._page(state.get("after"))
            nodes = _nodes(page)
            for node in nodes:
                state["newest"] = max(state.get("newest", ""), str(node.get("updatedAt") or ""))
                if _changed_at(node, since) >= since:
                    self._discussion(node, reading)
            info = page.get("pageInfo") or {}
            is_old = bool(nodes) and _changed_at(nodes[-1], since) < since
            if is_old or not info.get("hasNextPage"):
                begin = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                self._state["discussions"] = {"since": max(begin, state.get("newest", ""))}
                return True
            state["after"] = info.get("endCursor")
        return False

    def _page(self, after: str | None) -> Mapping[str, Any]:
        owner, _, name = self._name.partition("/")
        data = self._api.graphql(CHANGED, self._name, owner=owner, name=name, after=after)
        repository = data.get("repository")
        page = repository.get("discussions") if isinstance(repository, Mapping) else None
        if not isinstance(page, Mapping):
            raise TryLater("GitHub's answer about discussions cannot be read.")
        return page

    def _discussion(self, node: Mapping[str, Any], reading: Reading) -> None:
        reading.add(node, lambda: discussion_post(node, self._name, node, None))
        for top in self._all(node, "comments", MORE_COMMENTS, reading):
            self._add(top, node, str(node.get("id")), reading)
            for reply in self._all(top, "replies", MORE_REPLIES, reading):
                self._add(reply, node, str(top.get("id")), reading)

    def _all(
        self, node: Mapping[str, Any], key: str, query: str, reading: Reading
    ) -> list[Mapping[str, Any]]:
        """All comments of a discussion, or replies to a comment, however many pages."""
        page = node.get(key)
        found = _nodes(page)
        while (after := _after(page)) is not None:
            reading.room -= 1
            data = self._api.graphql(query, self._name, id=node.get("id"), after=after)
            inner = data.get("node")
            page = inner.get(key) if isinstance(inner, Mapping) else None
            found += _nodes(page)
            if _after(page) == after:
                break
        return found

    def _add(
        self, row: Mapping[str, Any], discussion: Mapping[str, Any], parent: str, reading: Reading
    ) -> None:
        reading.add(row, lambda: discussion_post(row, self._name, discussion, parent))


def present(api: Api, ids: Sequence[str], name: str) -> list[Post]:
    """Discussions and comments as they are now, those that are gone among them.

    Raises TryLater, SourceStopped.
    """
    if not ids:
        return []
    nodes = api.nodes(PRESENT, name, list(ids))
    found = []
    for id_, node in zip(ids, nodes, strict=True):
        if node is None:
            found.append(gone(id_, id_))
        elif node:  # a kind that we did not ask for is empty
            try:
                found.append(_as_it_is(node, name))
            except (ValueError, TypeError, AttributeError):
                continue
    return found


def _as_it_is(node: Mapping[str, Any], name: str) -> Post:
    discussion = node.get("discussion")
    root = discussion if isinstance(discussion, Mapping) else node
    name = str((root.get("repository") or {}).get("nameWithOwner") or name)
    if root is node:
        return discussion_post(node, name, node, None)
    parent = (node.get("replyTo") or {}).get("id") or root.get("id")
    return discussion_post(node, name, root, str(parent))


def _nodes(page: Any) -> list[Mapping[str, Any]]:
    nodes = page.get("nodes") if isinstance(page, Mapping) else None
    return [
        node for node in (nodes if isinstance(nodes, list) else []) if isinstance(node, Mapping)
    ]


def _after(page: Any) -> str | None:
    """Where the next page begins, None on the last."""
    info = page.get("pageInfo") if isinstance(page, Mapping) else None
    if not isinstance(info, Mapping) or not info.get("hasNextPage") or not info.get("endCursor"):
        return None
    return str(info["endCursor"])


def _changed_at(node: Mapping[str, Any], default: datetime) -> datetime:
    """When a discussion changed; one that does not say is read."""
    try:
        return moment(node.get("updatedAt"))
    except ValueError:
        return default
