"""What one item of Hacker News is, in the words of either service, and the post made of it.

A missing key, null, an empty text and a marker such as `[deleted]` mean the same: nothing there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from feedback.channels.base import Post, Unreadable
from feedback.text import one_line, plain, storable

CHANNEL = "hackernews"
SITE = "https://news.ycombinator.com"
EXCERPT = 300  # characters of an ancestor's text in a context
MARKERS = frozenset({"[dead]", "[deleted]", "[flagged]", "[removed]", "[delayed]"})
NO_POSTS = frozenset({"pollopt"})


@dataclass(frozen=True, slots=True)
class Root:
    """The item that a thread hangs from."""

    id: int
    title: str = ""


@dataclass(slots=True)
class Progress:
    """What was read of one search or thread, with the state that covers exactly this."""

    state: dict[str, Any]
    posts: list[Post] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    more: bool = False


def whole(value: Any) -> int | None:
    """A whole number that came as one, or as its digits."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text_of(value: Any) -> str:
    """The plain text of a field, empty for a marker."""
    text = plain(value)
    return "" if text in MARKERS else text


def title_of(item: Mapping[str, Any]) -> str:
    """An item's title in one line, or an empty string."""
    return one_line(text_of(item.get("title") or item.get("story_title")), 500)


def is_live(item: Mapping[str, Any]) -> bool:
    """Whether the item stands in public and says something, were it only "[flagged]"."""
    if item.get("deleted") or item.get("dead") or item.get("type") in NO_POSTS:
        return False
    keys = ("text",) if item.get("type") == "comment" else ("text", "title", "url")
    return any(plain(item.get(key)) for key in keys)


def is_withheld(item: Mapping[str, Any]) -> bool:
    """Whether a mark stands where the text was: flagged, though not (yet) dead."""
    return plain(item.get("text")) in MARKERS


def kids_of(item: Any) -> list[int]:
    """Ids of the direct answers, oldest first (they come ranked, which changes all the time)."""
    kids = item.get("kids") if isinstance(item, Mapping) else None
    ids = {whole(kid) for kid in kids} if isinstance(kids, list) else set()
    return sorted(id_ for id_ in ids if id_ is not None and id_ > 0)


def item_post(item: Mapping[str, Any], root: Root, context: str = "") -> Post:
    """The post of an item of Firebase. Raises ValueError if it cannot be one."""
    id_ = _id(item.get("id"))
    parent = whole(item.get("parent"))
    if item.get("type") == "comment" and parent is None:
        raise ValueError('a comment without "parent"')
    deleted = bool(item.get("deleted"))
    if not deleted and not is_live(item):
        raise ValueError("it says nothing in public: dead, flagged, or without text")
    return Post(
        channel=CHANNEL,
        external_id=str(id_),
        thread_id=str(root.id),
        parent_id=None if parent is None else str(parent),
        author=_author(item.get("by")),
        text="" if deleted else _said(item.get("text"), item.get("url")) or plain(item.get("text")),
        title=title_of(item) or root.title,
        url=f"{SITE}/item?id={id_}",
        context=context,
        created_at=moment(item.get("time")),
        is_deleted=deleted,
        raw=storable({k: v for k, v in item.items() if k != "kids"}),
    )


def hit_post(hit: Mapping[str, Any], parents: Sequence[str] = ()) -> Post:
    """The post of a hit, or of an item of Algolia. Raises ValueError if it cannot be one."""
    id_ = _id(hit.get("objectID") or hit.get("id"))
    kind, story = hit_kind(hit), hit_story(hit) or id_
    if kind in NO_POSTS:
        raise ValueError("a poll's option is no post")
    parent = whole(hit.get("parent_id"))
    said = _said(_hit_text(hit), None if kind == "comment" else hit.get("url"))
    title = title_of(hit)
    if not said and (kind == "comment" or not title):
        raise ValueError("it says nothing")
    return Post(
        channel=CHANNEL,
        external_id=str(id_),
        thread_id=str(story),
        parent_id=None if parent is None or kind != "comment" else str(parent),
        author=_author(hit.get("author")),
        text=said,
        title=title,
        url=f"{SITE}/item?id={id_}",
        context=context_of(title, parents) if kind == "comment" else "",
        created_at=_hit_moment(hit),
        # Highlights are HTML with marks in it, and the answers below are posts of their own.
        raw=storable({k: v for k, v in hit.items() if k not in ("_highlightResult", "children")}),
    )


def hit_kind(hit: Mapping[str, Any]) -> str:
    """`comment`, `story`, `job`, `poll` or `pollopt`."""
    tags = _tags(hit)
    for kind in ("comment", "pollopt", "poll", "job", "story"):
        if kind in tags or hit.get("type") == kind:
            return kind
    return "comment" if hit.get("comment_text") else "story"


def hit_story(hit: Mapping[str, Any]) -> int | None:
    """The id of the story that a hit belongs to."""
    told = whole(hit.get("story_id"))
    if told is not None:
        return told
    tagged = (re.fullmatch(r"story_([0-9]{1,18})", tag) for tag in _tags(hit))
    return next((int(match[1]) for match in tagged if match), None)


def hit_own_words(hit: Mapping[str, Any]) -> list[str]:
    """What the hit itself says: a comment's text; a story's title, address and text."""
    if hit_kind(hit) == "comment":
        return [text_of(_hit_text(hit))]
    return [title_of(hit), text_of(_hit_text(hit)), *_addresses(hit)]


def context_of(title: str, parents: Sequence[str] = ()) -> str:
    """The lines that say what a comment is about, oldest first; `parents` are plain texts."""
    lines = [f"story: {title}"] if title else []
    lines += [f"parent: {one_line(text, EXCERPT)}" for text in parents if text]
    return "\n".join(lines)


def moment(seconds: Any) -> datetime:
    """The instant of Unix seconds. Raises ValueError."""
    number = whole(seconds)
    if number is None:
        raise ValueError(f'"time" is {one_line(repr(seconds), 50)}, not Unix seconds')
    try:
        return datetime.fromtimestamp(number, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f'"time" is {number}, which is no instant') from error


def unreadable(id_: Any, raw: Any, error: Exception | str) -> Unreadable:
    """What is kept of an item that is no post."""
    return Unreadable(external_id=one_line(str(id_), 300), raw=storable(raw), error=str(error))


def _id(value: Any) -> int:
    id_ = whole(value)
    if id_ is None or id_ <= 0:
        raise ValueError(f"its id is {one_line(repr(value), 50)}, not a number")
    return id_


def _author(value: Any) -> str | None:
    name = one_line(value, 320)
    return None if name in MARKERS else name or None


def _said(text: Any, address: Any) -> str:
    """The text; of a story that is only a link, its address."""
    return text_of(text) or one_line(plain(address), 2000)


def _hit_text(hit: Mapping[str, Any]) -> Any:
    return hit.get("comment_text") or hit.get("story_text") or hit.get("text")


def _addresses(hit: Mapping[str, Any]) -> list[str]:
    return [plain(hit.get(key)) for key in ("url", "story_url")]


def _tags(hit: Mapping[str, Any]) -> list[str]:
    tags = hit.get("_tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _hit_moment(hit: Mapping[str, Any]) -> datetime:
    if whole(hit.get("created_at_i")) is not None:
        return moment(hit["created_at_i"])
    try:
        told = datetime.fromisoformat(str(hit.get("created_at")))
    except ValueError:
        raise ValueError('neither "created_at_i" nor "created_at" is an instant') from None
    return told.replace(tzinfo=told.tzinfo or UTC).astimezone(UTC)
