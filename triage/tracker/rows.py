"""Items as the rows of an export."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from feedback.models import Item, Kind, Message, Person
from triage.models import Clock, Delivery

CHUNK = 500
OURS = "(our team)"
"""Who wrote an imported reply that staff sent from the tool: it has no handle on the channel."""
UNSENT = (
    Delivery.PENDING,
    Delivery.BY_HAND,
    Delivery.HELD,
    Delivery.UNSURE,
    Delivery.REFUSED,
    Delivery.CANCELLED,
)


def rows() -> Iterator[dict[str, Any]]:
    """Every item as the design's row, oldest first, a chunk in memory at a time.

    Its messages are what stands on the channel: no staff notes, no replies that are not out.
    """
    last = 0
    while items := list(_chunk(last)):
        last = items[-1].pk
        for item in items:
            yield _row(item)


def _chunk(after: int) -> QuerySet[Item]:
    messages = Message.objects.exclude(kind=Kind.NOTE).exclude(delivery__state__in=UNSENT)
    messages = messages.select_related("author").defer("raw").order_by("created_at", "id")
    # A promise that was taken back before it was broken is none.
    promises = Clock.objects.filter(Q(stopped_at=None) | Q(breached_at__isnull=False))
    promises = promises.order_by("started_at", "id")
    return (
        Item.objects.filter(pk__gt=after)
        .order_by("pk")
        .select_related("source", "author", "tracking__tracked")
        .prefetch_related(
            Prefetch("messages", messages, to_attr="said"),
            Prefetch("clocks", promises, to_attr="promises"),
        )[:CHUNK]
    )


def _row(item: Item) -> dict[str, Any]:
    said: list[Message] = item.said  # type: ignore[attr-defined]
    first = next((message for message in said if not message.ours), None)
    return {
        "channel": item.channel,
        "source": item.source.name,
        "external_id": first.external_id if first else None,
        "url": item.url,
        "author": _handle(item.author),
        "title": item.title,
        "text": first.text if first else "",
        "created_at": _iso(item.created_at),
        "category": item.category or None,
        "also": item.also,
        "sentiment": item.sentiment or None,
        "severity": item.severity or None,
        "topic": item.topic or None,
        "state": item.state,
        "responder": item.responder or None,
        "tracked_issue": _tracked(item),
        "messages": [_message(message) for message in said],
        "clocks": [_clock(clock) for clock in item.promises],  # type: ignore[attr-defined]
    }


def _tracked(item: Item) -> str | None:
    """Where the issue or discussion is that the item reports."""
    report = getattr(item, "tracking", None)
    return (report.tracked.url or None) if report and report.tracked else None


def _message(message: Message) -> dict[str, Any]:
    return {
        "external_id": message.external_id,
        "author": _handle(message.author),
        "ours": message.ours,
        "text": message.text,
        "created_at": _iso(message.created_at),
    }


def _clock(clock: Clock) -> dict[str, Any]:
    return {
        "kind": clock.kind,
        "due_at": _iso(clock.due_at),
        "met_at": _iso(clock.met_at),
        "breached_at": _iso(clock.breached_at),
    }


def _handle(person: Person | None) -> str | None:
    return None if person is None or person.handle == OURS else person.handle


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
