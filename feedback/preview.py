"""What a source would take in, before it is saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback.channels import make_channel
from feedback.channels.base import ChannelError
from feedback.intake import is_about_us, said_about_us
from feedback.models import Kind, Message, Source

LOOKED_AT = 500  # newest posts of a source


@dataclass(frozen=True, slots=True)
class Line:
    """One post in short."""

    author: str
    text: str
    url: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """The posts that would become items, and those that the query leaves out; newest first."""

    about_us: tuple[Line, ...] = ()
    left_out: tuple[Line, ...] = ()
    error: str = ""


def of_service(channel: str, config: Mapping[str, Any]) -> Preview:
    """Read once what a new source would read first; nothing is stored."""
    try:
        posts = make_channel(channel, config, frozenset()).poll({}).posts
    except ChannelError as error:
        return Preview(error=str(error))
    lines = [
        (
            is_about_us(post, config),
            Line(post.author or "", post.text or post.title, post.url, post.created_at),
        )
        for post in posts
        if not post.is_deleted
    ]
    return _preview(lines)


def of_stored(source: Source, match: str) -> Preview:
    """What of the source's newest stored posts a query would have made items of.

    Raises ValueError if the query is wrong.
    """
    config = {**source.config, "match": match}
    posts = Message.objects.filter(source=source, kind=Kind.POST, ours=False, is_deleted=False)
    rows = posts.select_related("author", "item").defer("raw").order_by("-created_at")[:LOOKED_AT]
    lines = []
    for row in rows:
        author = row.author.handle if row.author else ""
        title = row.item.title if row.item else ""
        is_ours = said_about_us(f"{title}\n{row.text}", author, row.url, config)
        lines.append((is_ours, Line(author, row.text or title, row.url, row.created_at)))
    return _preview(lines)


def _preview(lines: list[tuple[bool, Line]]) -> Preview:
    newest = sorted(lines, key=lambda pair: pair[1].at, reverse=True)
    return Preview(
        tuple(line for is_ours, line in newest if is_ours),
        tuple(line for is_ours, line in newest if not is_ours),
    )
