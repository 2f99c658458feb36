"""The posts of a row's conversation, for intake."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feedback.channels.base import Post
from feedback.vocabulary import Channel
from triage.tracker.files import BadRow
from triage.tracker.rows import OURS

ID_LIMIT = 300  # characters


@dataclass(frozen=True, slots=True)
class Said:
    """One post, whether it is ours, and whether the row named its id on the channel."""

    post: Post
    is_ours: bool
    is_named: bool = True


def posts_of(row: Mapping[str, Any]) -> list[Said]:
    """The posts of a row, the one that began it first. Raises BadRow."""
    channel = row.get("channel")
    if channel not in Channel.values or channel == Channel.SAMPLE:
        raise BadRow(f'"{str(channel)[:40]}" is not a channel')
    first_id = _text(row, "external_id")
    if not first_id:
        raise BadRow("external_id is missing")
    said = row.get("messages") or []
    if not isinstance(said, list) or not all(isinstance(message, Mapping) for message in said):
        raise BadRow("messages is not a list of objects")
    others = [message for message in said if _text(message, "external_id") != first_id]
    return [_first(row, first_id), *(_other(row, message, first_id) for message in others)]


def _first(row: Mapping[str, Any], first_id: str) -> Said:
    return Said(
        Post(
            channel=str(row["channel"]),
            external_id=first_id,
            thread_id=first_id,
            parent_id=None,
            author=_text(row, "author") or None,
            text=_text(row, "text"),
            title=_text(row, "title"),
            url=_text(row, "url"),
            created_at=_instant(row),
        ),
        is_ours=False,
    )


def _other(row: Mapping[str, Any], message: Mapping[str, Any], first_id: str) -> Said:
    is_ours = message.get("ours") is True
    named = _text(message, "external_id")
    author = _text(message, "author") or (OURS if is_ours else None)
    return Said(
        Post(
            channel=str(row["channel"]),
            external_id=named or _made_id(message, first_id),
            thread_id=first_id,
            parent_id=first_id,
            author=author,
            text=_text(message, "text"),
            created_at=_instant(message),
        ),
        is_ours=is_ours,
        is_named=bool(named),
    )


def _made_id(message: Mapping[str, Any], first_id: str) -> str:
    """The same id each time for a reply that the channel has not named, as one posted by hand."""
    told = "\0".join((first_id, _text(message, "created_at"), _text(message, "text")))
    return f"import-{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return text[:ID_LIMIT] if name == "external_id" else text


def _instant(row: Mapping[str, Any]) -> datetime:
    """When it was said. A time without a zone is taken as UTC."""
    told = _text(row, "created_at")
    try:
        found = datetime.fromisoformat(told)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRow(f'created_at "{told[:40]}" is not a time like 2026-01-27T16:00:00Z') from None
