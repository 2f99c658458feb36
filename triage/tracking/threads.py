"""Items that were read on GitHub itself: each is, or stands under, an issue that is there."""

import re
from datetime import datetime
from typing import Any
from uuid import uuid4

from feedback.models import Item, Kind, Message
from feedback.vocabulary import Category, Channel
from triage.tracking.models import Form, TrackedIssue, TrackedRepository, TrackedState

_ISSUE = re.compile(r"R\d+#(\d+)")


def tracked_thread(item: Item) -> TrackedIssue | None:
    """The public tracked issue that an item is, or was written under."""
    first = _first(item)
    if first is None:
        return None
    tracked = TrackedIssue.objects.filter(external_id=first.thread_id, is_private=False).first()
    return tracked if tracked and tracked.is_live else None


def adopt_thread(item: Item, place: TrackedRepository, now: datetime) -> TrackedIssue | None:
    """Track the issue that an item is or was written under; nothing is filed beside it."""
    first = _first(item)
    raw: dict[str, Any] = first.raw if first and isinstance(first.raw, dict) else {}
    name = str(raw.get("repository") or "").casefold()
    if first is None or name not in (place.name.casefold(), place.full_name.casefold()):
        return None
    is_issue, number = _ISSUE.fullmatch(first.thread_id), raw.get("number")
    is_root = first.external_id == first.thread_id
    title = item.title if is_root else item.context.removeprefix("story: ")
    tracked, _ = TrackedIssue.objects.get_or_create(
        external_id=first.thread_id,
        defaults={
            "key": uuid4().hex,
            "form": Form.ISSUE if is_issue else Form.DISCUSSION,
            "category": Category.FEATURE if item.category == Category.FEATURE else Category.BUG,
            "is_ours": False,
            "repository": place,
            "number": number if isinstance(number, int) else None,
            "node_id": str(raw.get("node_id") or "")[:100] if is_root else first.thread_id[:100],
            "url": item.url.split("#")[0][:500],
            "title": (title or item.first_words)[:300],
            "state": TrackedState.OPEN,
            "created_at": now,
        },
    )
    return tracked


def _first(item: Item) -> Message | None:
    """The item's first message, if it was written on GitHub."""
    if item.channel != Channel.GITHUB:
        return None
    posts = item.messages.filter(kind=Kind.POST, ours=False)
    first = posts.order_by("created_at", "id").first()
    return first if first and first.thread_id else None
