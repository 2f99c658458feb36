"""What a service no longer lists when it is asked again: it cannot be read, so staff are told.

Gaps are kept in a source's cursor for a few days and shown with its limits and as a trouble.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from feedback.vocabulary import MISSED

TOLD_FOR = timedelta(days=3)


def gap(where: str, begin: datetime, end: datetime) -> dict[str, Any]:
    """What was written `where` between two instants and cannot be read any more."""
    words = f"{where} from {begin:%d %b %H:%M} to {end:%d %b %H:%M} UTC"
    return {"words": words, "until": (datetime.now(UTC) + TOLD_FOR).timestamp()}


def still_told(cursor: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gaps of a cursor that are not old yet."""
    kept, now = cursor.get("gaps"), datetime.now(UTC).timestamp()
    return [one for one in kept if one["until"] > now] if isinstance(kept, list) else []


def told(gaps: list[dict[str, Any]]) -> dict[str, str | int]:
    """The gaps for a source's meter."""
    return {MISSED: "; ".join(one["words"] for one in gaps)} if gaps else {}
