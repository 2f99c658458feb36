"""The sample launch: a day of posts, written for it, that comes in as if it happened now.

Nothing is fetched and nothing leaves the machine: posts are read from `sample_launch/`, replies
are answered as if the service had taken them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from feedback import search
from feedback.channels.base import Batch, Health, Post, Reply, Sent, SourceStopped
from feedback.hints import hint
from feedback.models import Item, Message, Person, Source
from feedback.text import one_line
from feedback.vocabulary import Channel

NAME = "sample"
SPEED = 288.0  # times real time: a day in five minutes
SLOWEST, FASTEST = 1.0, 86_400.0  # as it was; a day in a second
TEAM = (
    "genericcorp",
    "support@genericcorp.com",
    "product-1",
    "eng-2",
    "eng-3",
    "devops-manager-2",
)

FOLDER = Path(__file__).with_name("sample_launch")
EXCERPT = 500  # characters of a parent that its answer carries along
SOONEST = timedelta(seconds=1)
OVER = timedelta(hours=1)  # nothing more will come
TAKEN_AT_ONCE = 200  # posts a batch: a day may be due at once after a pause
REMOVED_AT_ONCE = 100  # items a transaction, so that other writers get their turn

PAGES = MappingProxyType(
    {
        "hackernews": "https://news.example.com/item?id={id}",
        "twitter": "https://social.example.com/{author}/status/{id}",
        "reddit": "https://forum.example.com/r/{place}/comments/{thread}/{id}",
        "email": "https://mail.example.com/threads/{thread}#{id}",
        "github": "https://code.example.com/genericcorp/dashboard/issues/{thread}#{id}",
    }
)
BEGINNINGS = MappingProxyType({"email": "subject", "github": "issue"})  # else a story


@dataclass(frozen=True, slots=True)
class Written:
    """One written post: `minute` after the launch at 8:00 PT, `row` as it stands in its file.

    `place` is the subreddit. A row's `truth` is for tests: what a person would read in the post.
    """

    channel: str
    minute: float
    context: str
    title: str
    place: str
    row: Mapping[str, Any]


class Sample:
    """The channel that plays the sample launch as if its posts came in now."""

    can_reply = True

    def __init__(self, config: Mapping[str, Any], *, team: frozenset[str]) -> None:
        del team  # intake knows our own posts by it
        try:
            self.started_at = datetime.fromisoformat(config["started_at"])
            self.speed = checked_speed(config.get("speed", SPEED))
        except (KeyError, TypeError, ValueError) as error:
            raise SourceStopped(
                f"The sample launch cannot be played ({error}). Remove it and play it again."
            ) from error

    def poll(self, cursor: Mapping[str, Any]) -> Batch:
        """The posts whose time has come since the last poll."""
        launch, played, now = written(), int(cursor.get("played", 0)), timezone.now()
        come = played
        while come < len(launch) and self._comes_at(launch[come]) <= now:
            come += 1
        read = min(come, played + TAKEN_AT_ONCE)
        over = come >= len(launch)
        return Batch(
            posts=tuple(self._post(entry) for entry in launch[played:read]),
            cursor={"played": read},
            wait=OVER if over else max(SOONEST, self._comes_at(launch[come]) - now),
            more=read < come,
        )

    def parse(self, raw: Any) -> Post:
        """A post of the launch again, by its id. Raises ValueError if there is none."""
        id_ = raw.get("id") if isinstance(raw, Mapping) else None
        for entry in written():
            if entry.row["id"] == id_:
                return self._post(entry)
        raise ValueError(f"the sample launch has no post {one_line(str(id_), 50)!r}")

    def check(self) -> Health:
        """It can always be played: it is part of the service."""
        return Health(ok=True, message=f"{len(written())} posts, part of the service.")

    def refresh(self, external_ids: Sequence[str]) -> list[Post]:
        """What is written is never edited."""
        del external_ids
        return []

    def reply(self, reply: Reply) -> Sent:
        """As if it were posted."""
        return Sent(f"sample-reply-{reply.key}")

    def find(self, reply: Reply) -> Sent:
        """As if it had been posted."""
        return self.reply(reply)

    def _comes_at(self, entry: Written) -> datetime:
        return self.started_at + timedelta(minutes=entry.minute) / self.speed

    def _post(self, entry: Written) -> Post:
        row, parent = entry.row, entry.row["parent"]
        return Post(
            channel=entry.channel,
            external_id=f"sample-{row['id']}",
            thread_id=f"sample-{row['thread']}",
            parent_id=f"sample-{parent}" if parent else None,
            author=row["author"],
            author_name=row.get("name", ""),
            text=row["text"],
            title=entry.title,
            url=PAGES[entry.channel].format_map({**row, "place": entry.place}),
            context=entry.context,
            created_at=self._comes_at(entry),
            raw={key: value for key, value in row.items() if key != "truth"},
        )


def play(speed: float = SPEED) -> Source:
    """Begin the sample launch now, `speed` times as fast as a real day.

    Raises ValueError if the speed is none or a source called "sample" is there.
    """
    now = timezone.now()
    config = {"started_at": now.isoformat(), "speed": checked_speed(speed), "team": list(TEAM)}
    try:
        with transaction.atomic():
            source = Source.objects.create(
                name=NAME, channel=Channel.SAMPLE, config=config, next_poll_at=now
            )
            hint("poll", source.pk)
    except IntegrityError as error:
        raise ValueError("The sample launch is there already. Remove it first.") from error
    return source


def remove() -> int:
    """Remove the sample launch and all that hangs on it. Returns the number of messages gone.

    It goes in bounded steps, the source last: interrupted, it is finished by the next call.
    """
    gone = 0
    for source in Source.objects.filter(channel=Channel.SAMPLE):
        # A poll that runs has lost its claim by this and writes nothing more.
        Source.objects.filter(pk=source.pk).update(enabled=False, next_poll_at=None)
        while source.items.exists():
            gone += _remove_items(source)
        while Message.objects.filter(source=source).exists():
            gone += _remove_messages(source)
        source.delete()
    if gone:
        search.forget_deleted()
    return gone


def checked_speed(speed: Any) -> float:
    """A speed that can be played. Raises ValueError."""
    number = float(speed)
    if not math.isfinite(number) or not SLOWEST <= number <= FASTEST:
        raise ValueError(f"Speed must be a number from {SLOWEST:.0f} to {FASTEST:.0f}.")
    return number


@cache
def written() -> tuple[Written, ...]:
    """The whole launch in the order of its minutes, parents before their answers."""
    entries = [entry for channel in PAGES for entry in _written_in(channel)]
    return tuple(sorted(entries, key=lambda entry: entry.minute))


def _written_in(channel: str) -> list[Written]:
    lines = (FOLDER / f"{channel}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    return [_entry(channel, row, rows) for row in rows.values()]


def _entry(channel: str, row: Mapping[str, Any], rows: Mapping[str, Any]) -> Written:
    top = rows[row["thread"]]
    context = _context(channel, row, rows) if row["parent"] else ""
    return Written(
        channel=channel,
        minute=row["minute"],
        context=context,
        title=row["title"] or top["title"],
        place=top.get("place", "selfhosted"),
        row=row,
    )


def _context(channel: str, row: Mapping[str, Any], rows: Mapping[str, Any]) -> str:
    """The lines that say what an answer is about, oldest first."""
    above = []
    parent = rows.get(row["parent"])
    while parent:
        above.append(f"parent: {one_line(parent['text'], EXCERPT)}")
        parent = rows.get(parent["parent"])
    title = rows[row["thread"]]["title"]
    first = [f"{BEGINNINGS.get(channel, 'story')}: {title}"] if title else []
    return "\n".join(first + above[::-1])


def _remove_items(source: Source) -> int:
    """Remove the next items with all that hangs on them. Returns the number of messages gone."""
    with transaction.atomic():
        # Locked, so that nobody hangs something on an item while it goes.
        items = Item.objects.filter(source=source).select_for_update()[:REMOVED_AT_ONCE]
        ids = [item.pk for item in items]
        people = set(Person.objects.filter(items__in=ids).values_list("pk", flat=True))
        gone = _delete_messages(Message.objects.filter(item__in=ids))
        Item.objects.filter(pk__in=ids).delete()
        _remove_people(people)
    return gone


def _remove_messages(source: Source) -> int:
    """Remove the next messages that belong to no item: posts of our own team."""
    with transaction.atomic():
        ours = Message.objects.filter(source=source)
        ids = list(ours.values_list("pk", flat=True)[:REMOVED_AT_ONCE])
        return _delete_messages(Message.objects.filter(pk__in=ids))


def _delete_messages(messages: QuerySet[Message]) -> int:
    """Delete messages and their authors who wrote nothing else. Returns how many were deleted."""
    people = set(messages.exclude(author=None).values_list("author", flat=True))
    _, gone = messages.delete()
    _remove_people(people)
    return gone.get("feedback.Message", 0)


def _remove_people(ids: set[int]) -> None:
    Person.objects.filter(pk__in=ids, items=None, messages=None).delete()
