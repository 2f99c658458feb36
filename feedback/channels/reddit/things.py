"""Reddit's things made into posts: t1 comments, t3 submissions, t4 private messages."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from feedback.channels.base import Post

CHANNEL = "reddit"
SITE = "https://www.reddit.com"
MARKERS = {"[deleted]", "[removed]", "[ Removed by Reddit ]"}
DEEPEST = 100  # levels of answers in one tree
TITLE = 300
_THREAD = re.compile(r"/r/\w+/comments/([0-9a-z]{2,12})/")


def rows_of(listing: Any) -> list[Mapping[str, Any]]:
    """The things of a listing. Raises ValueError if it is none."""
    data = listing.get("data") if isinstance(listing, Mapping) else None
    children = data.get("children") if isinstance(data, Mapping) else None
    if not isinstance(children, list):
        raise ValueError("not a listing")
    return [row for row in children if isinstance(row, Mapping)]


def tree_of(rows: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every thing of a tree of comments, `more` objects among them."""
    level = rows
    for _ in range(DEEPEST):
        below: list[Mapping[str, Any]] = []
        for row in level:
            yield row
            data = row.get("data")
            replies = data.get("replies") if isinstance(data, Mapping) else None
            if isinstance(replies, Mapping):  # an empty string where there are none
                with suppress(ValueError):
                    below += rows_of(replies)
        if not below:
            return
        level = below


def post_of(thing: Mapping[str, Any], title: str = "") -> Post:
    """The post of a thing; `title` is its submission's. Raises ValueError if it is none."""
    kind, data = thing.get("kind"), thing.get("data")
    if kind not in ("t1", "t3", "t4") or not isinstance(data, Mapping):
        raise ValueError(f"a thing of kind {kind!r} is no post")
    name = str(data.get("name") or (f"{kind}_{data['id']}" if data.get("id") else ""))
    if not name:
        raise ValueError("a thing without a name")
    text, author = _text(data), _word(data.get("author"))
    is_deleted = not text and _is_marked(data)
    link = _word(data.get("link_id")) or _link_of(data)
    own_title = _word(data.get("title")) or _word(data.get("subject"))
    story = title or _word(data.get("link_title"))
    if not text and not own_title and not is_deleted:
        raise ValueError("it says nothing")
    return Post(
        channel=CHANNEL,
        external_id=name,
        thread_id=link or _word(data.get("first_message_name")) or name,
        parent_id=_word(data.get("parent_id")) or None,
        author=author or None,
        text=text or ("" if is_deleted else own_title),
        title=own_title[:TITLE] if kind != "t1" else story[:TITLE],
        url=_address(data),
        context=f"story: {story[:TITLE]}" if kind == "t1" and story else "",
        created_at=_moment(data),
        is_deleted=is_deleted,
        raw={"kind": kind, "data": {k: v for k, v in data.items() if k != "replies"}},
    )


def _text(data: Mapping[str, Any]) -> str:
    for key in ("body", "selftext"):
        if text := _word(data.get(key)):
            return text
    is_link = data.get("is_self") is False and data.get("url")
    return str(data["url"]) if is_link and not _is_marked(data) else ""


def _word(value: Any) -> str:
    """A field's text; a marker, null and an absent key are all nothing."""
    text = value.strip() if isinstance(value, str) else ""
    return "" if text in MARKERS else text


def _is_marked(data: Mapping[str, Any]) -> bool:
    return any(data.get(key) in MARKERS for key in ("body", "selftext")) or bool(
        data.get("removed_by_category")
    )


def _address(data: Mapping[str, Any]) -> str:
    path = data.get("permalink") or data.get("context") or ""
    return SITE + str(path) if str(path).startswith("/") else ""


def _link_of(data: Mapping[str, Any]) -> str:
    """The submission that a comment in the inbox stands under: told only in its address."""
    found = _THREAD.match(str(data.get("context") or ""))
    return f"t3_{found[1]}" if found else ""


def _moment(data: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(float(data["created_utc"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise ValueError("a thing without a time") from None
