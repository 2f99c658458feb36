"""Short ways to what tests need."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from feedback.channels.base import Post
from feedback.models import Item, Message, Person, Source

LAUNCH = datetime(2026, 1, 27, 16, 0, tzinfo=UTC)
_numbers = count(1)


def make_source(name: str = "hn", **values: Any) -> Source:
    return Source.objects.create(name=name, **{"channel": "hackernews", **values})


def make_post(external_id: str = "", **values: Any) -> Post:
    """A post by ann on Hacker News, a minute younger than the one made before."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "channel": "hackernews",
        "external_id": external_id or f"made-{number}",
        "thread_id": "1",
        "parent_id": None,
        "author": "ann",
        "text": f"The task board does not load, try {number}.",
        "created_at": LAUNCH + timedelta(minutes=number),
    }
    return Post(**defaults | values)


def make_item(source: Source | None = None, text: str = "It is broken.", **values: Any) -> Item:
    """An item that was read, with its first message, made without the door or the pipeline."""
    number = next(_numbers)
    source = source or Source.objects.first() or make_source()
    author, _ = Person.objects.get_or_create(channel=source.channel, handle=f"person{number}")
    defaults: dict[str, Any] = {
        "source": source,
        "channel": source.channel,
        "author": author,
        "first_words": text[:200],
        "created_at": LAUNCH,
        "taken_in_at": LAUNCH,
        "category": "bug",
        "severity": "P2",
        "sentiment": "neutral",
        "topic": "engineering",
        "confidence": 0.9,
        "language": "en",
    }
    item = Item.objects.create(**defaults | values)
    Message.objects.create(
        item=item,
        source=source,
        channel=item.channel,
        external_id=f"made-{number}",
        thread_id="1",
        author=author,
        text=text,
        created_at=item.created_at,
        triaged_at=LAUNCH,
    )
    return item
