"""GitHub's issues, discussions and comments made into posts.

An issue is `R<repository's id>#<number>`, its comment `…/c<id>`: a repository's id outlives its
name. Discussions and their comments go by their node ids.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from feedback.channels.base import Post

CHANNEL = "github"
MARKER = "<!-- feedback:"
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_NUMBER = re.compile(r"/issues/(\d+)$")
TITLE = 300


def marker(key: str) -> str:
    """What tells our own post from others, unseen by its readers."""
    return f"{MARKER}{key} -->"


def is_own(body: Any) -> bool:
    """Whether a body was written by this service."""
    return isinstance(body, str) and MARKER in body


def is_pull_request(issue: Mapping[str, Any]) -> bool:
    """Whether what is listed as an issue is a pull request; older servers name it with nulls."""
    told = issue.get("pull_request")
    if isinstance(told, Mapping) and told:
        return any(value is not None for value in told.values())
    return "pull_request" in issue


def issue_post(issue: Mapping[str, Any], repository: str, repository_id: int) -> Post:
    """The post of an issue. Raises ValueError if it cannot be one."""
    number = _whole(issue.get("number"))
    id_ = issue_id(repository_id, number)
    title = _line(issue.get("title"))
    text = _text(issue.get("body"))
    if not title and not text:
        raise ValueError("an issue that says nothing")
    return Post(
        channel=CHANNEL,
        external_id=id_,
        thread_id=id_,
        parent_id=None,
        author=_login(issue.get("user")),
        title=title,
        text=text or title,
        url=str(issue.get("html_url") or ""),
        created_at=moment(issue.get("created_at")),
        raw=_raw("issue", repository, number, issue),
    )


def comment_post(
    comment: Mapping[str, Any], repository: str, repository_id: int, title: str
) -> Post:
    """The post of a comment on an issue. Raises ValueError if it cannot be one."""
    number = issue_number(comment)
    parent = issue_id(repository_id, number)
    text = _text(comment.get("body"))
    if not text:
        raise ValueError("a comment that says nothing")
    return Post(
        channel=CHANNEL,
        external_id=f"{parent}/c{_whole(comment.get('id'))}",
        thread_id=parent,
        parent_id=parent,
        author=_login(comment.get("user")),
        title=title,
        text=text,
        url=str(comment.get("html_url") or ""),
        context=f"story: {title}" if title else "",
        created_at=moment(comment.get("created_at")),
        raw=_raw("issue", repository, number, comment),
    )


def discussion_post(
    node: Mapping[str, Any],
    repository: str,
    discussion: Mapping[str, Any],
    parent: str | None,
) -> Post:
    """The post of a discussion or of one of its comments; `discussion` is what it belongs to.

    Raises ValueError if it cannot be one.
    """
    id_, root = str(node.get("id") or node.get("node_id") or ""), _node(discussion)
    title = _line(discussion.get("title"))
    text = _text(node.get("body"))
    if not id_ or not root:
        raise ValueError("a discussion without an id")
    if not text and parent:
        raise ValueError("a comment that says nothing")
    number = _whole(discussion.get("number"))
    return Post(
        channel=CHANNEL,
        external_id=id_,
        thread_id=root,
        parent_id=parent,
        author=_login(node.get("author") or node.get("user")),
        title=title,
        text=text or title,
        url=str(node.get("url") or node.get("html_url") or ""),
        context=f"story: {title}" if parent and title else "",
        created_at=moment(node.get("createdAt") or node.get("created_at")),
        raw=_raw("discussion", repository, number, node)
        # An answer hangs below a comment of the first level, whatever it answers.
        | {"discussion": root, "top": parent and (id_ if parent == root else parent)},
    )


def gone(post_id: str, thread: str) -> Post:
    """A post that was deleted."""
    return Post(
        channel=CHANNEL,
        external_id=post_id,
        thread_id=thread,
        parent_id=None,
        author=None,
        text="",
        created_at=datetime.now(UTC),
        is_deleted=True,
    )


def issue_id(repository_id: int, number: int) -> str:
    """The external id of an issue."""
    return f"R{repository_id}#{number}"


def issue_number(comment: Mapping[str, Any]) -> int:
    """The issue that a comment belongs to. Raises ValueError."""
    found = _NUMBER.search(str(comment.get("issue_url") or ""))
    if not found:
        raise ValueError("a comment without its issue")
    return int(found[1])


def moment(value: Any) -> datetime:
    """An instant as GitHub writes it. Raises ValueError."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("a post without a time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _raw(kind: str, repository: str, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {"kind": kind, "repository": repository, "number": number}
    return kept | {"node_id": _node(row), "labels": row.get("labels") or []}


def _node(row: Mapping[str, Any]) -> str:
    return str(row.get("node_id") or row.get("id") or "")


def _login(user: Any) -> str | None:
    login = user.get("login") if isinstance(user, Mapping) else None
    return str(login) if login else None  # accounts may be deleted


def _line(value: Any) -> str:
    return " ".join(str(value or "").split())[:TITLE]


def _text(value: Any) -> str:
    """A body without what its template says in comments."""
    return _COMMENT.sub("", value).replace("\r\n", "\n").strip() if isinstance(value, str) else ""


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is no number of an issue or comment")
    return value
