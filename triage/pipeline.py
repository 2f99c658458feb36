"""From an item that came in to an item in the queue: read, route, start and meet clocks.

`Item.triage_due_at` says that there is something to read. A claim moves it ahead by LEASE; the
outcome is written only where it still stands there, so an item that changed meanwhile, or was
claimed by somebody else after we were late, is read again and nothing is written twice.
The classifier runs outside every transaction.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from feedback.models import HistoryEntry, Item, Kind, Message
from feedback.vocabulary import State
from triage import aboutness, bursts, clocks, conversation, outbox, playbook
from triage.classifier import Text, get_reader
from triage.learning import versions
from triage.models import Clock, Reading
from triage.playbook import Playbook
from triage.similar import packed
from triage.tracking import intents

if TYPE_CHECKING:
    from triage.classifier import Reading as Read

BATCH = 64
LEASE = timedelta(seconds=60)
READING_TEXT_LIMIT = 20_000  # characters that the classifier is given of one message

ITEM_FIELDS = (
    "category also sentiment severity p0_probability topic language confidence trusted responder "
    "state closed_as closed_at urgency playbook triage_due_at"
).split()
READING_COLUMNS = (
    "model category also sentiment severity topic language confidence trusted why scores embedding"
).split()

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Work:
    """What is new in one claimed item, and what the classifier made of it."""

    fresh: list[Message]
    first_id: int | None  # the message that began the item
    is_answered: bool
    readings: dict[int, "Read"] = field(default_factory=dict)  # by message id
    foreign_like: int | None = None  # the item, not about us, that this one is like


def triage_waiting(seconds: float = 5.0) -> bool:
    """Triage what waits for at most about `seconds`. Returns whether there may be more.

    Raises ModelError if the classifier cannot work; the items wait and come due again.
    """
    end = time.monotonic() + seconds
    while claimed := _claim(timezone.now()):
        _triage(*claimed)
        if time.monotonic() > end:
            return True
    return False


def _claim(now: datetime) -> tuple[list[int], datetime] | None:
    lease = now + LEASE
    with transaction.atomic():
        waiting = Item.objects.waiting_for_triage(now).select_for_update(skip_locked=True)
        ids = list(waiting.values_list("pk", flat=True)[:BATCH])
        Item.objects.filter(pk__in=ids).update(triage_due_at=lease)
    return (ids, lease) if ids else None


def _triage(ids: list[int], lease: datetime) -> None:
    rules = playbook.current()
    work = _load(ids)
    _read(ids, work, rules)
    with transaction.atomic():
        mine = Item.objects.filter(pk__in=ids, triage_due_at=lease).select_for_update()
        items = {item.pk: item for item in mine}
        boards = _boards(items)
        for item in items.values():
            _conclude(item, work[item.pk], boards[item.pk], rules)
        _write(items, work, boards, rules)


def _load(ids: Sequence[int]) -> dict[int, Work]:
    posts = Message.objects.filter(item__in=ids, kind=Kind.POST, ours=False)
    firsts: dict[int, int] = {}
    for item_id, pk in posts.order_by("created_at", "id").values_list("item_id", "pk"):
        firsts.setdefault(item_id, pk)
    fresh: dict[int, list[Message]] = {}
    untouched = Message.objects.filter(item__in=ids, triaged_at=None)
    for message in untouched.defer("raw").order_by("created_at", "id"):
        fresh.setdefault(message.item_id or 0, []).append(message)
    replies = Message.objects.filter(item__in=ids, kind=Kind.REPLY, triaged_at__isnull=False)
    answered = set(replies.values_list("item_id", flat=True))
    return {pk: Work(fresh.get(pk, []), firsts.get(pk), pk in answered) for pk in ids}


def _read(ids: Sequence[int], work: Mapping[int, Work], rules: Playbook) -> None:
    """One forward pass over every new word of every claimed item."""
    items = Item.objects.select_related("source").in_bulk(ids)
    asked = [
        (one, message, _text(items[pk], message, one.first_id))
        for pk, one in work.items()
        for message in one.fresh
        if not message.ours and message.kind == Kind.POST
    ]
    readings: list[Read] = []
    if asked:
        reader = get_reader()
        learnt = versions.active(reader.version)
        readings = reader.read([text for _, _, text in asked], rules, learnt)
    for (one, message, _), reading in zip(asked, readings, strict=True):
        one.readings[message.pk] = reading
    fresh = [
        bursts.Fresh(items[pk], message.text, one.readings[message.pk])
        for pk, one in work.items()
        for message in one.fresh
        if message.pk == one.first_id and message.pk in one.readings
    ]
    for pk, reading in bursts.raised(fresh, rules).items():
        work[pk].readings[work[pk].first_id or 0] = reading
    unseen = [one for one in fresh if one.item.state == State.NEW and not one.item.corrected]
    for pk, like in aboutness.foreign(unseen).items():
        work[pk].foreign_like = like


def _text(item: Item, message: Message, first_id: int | None) -> Text:
    context = item.context
    if message.pk != first_id:
        context = f"{context}\nparent: {item.first_words}".strip()
    return Text(
        text=message.text[:READING_TEXT_LIMIT],
        title=item.title if message.pk == first_id else "",
        context=context,
        channel=item.channel,
    )


def _boards(items: Mapping[int, Item]) -> dict[int, list[Clock]]:
    boards: dict[int, list[Clock]] = {pk: [] for pk in items}
    for clock in Clock.objects.filter(item__in=items):
        boards[clock.item_id].append(clock)
    return boards


def _conclude(item: Item, work: Work, board: list[Clock], rules: Playbook) -> None:
    """Follow an item's new messages in the order in which they were written."""
    is_answered = work.is_answered
    for message in work.fresh:
        reading = work.readings.get(message.pk)
        if message.kind == Kind.REPLY:
            conversation.we_answered(item, board, message.created_at)
            is_answered = True
        elif reading and message.pk == work.first_id:
            conversation.read_first(item, board, reading, rules, item.taken_in_at)
            if work.foreign_like and item.state == State.NEW:
                conversation.set_aside(item, board, timezone.now())
        elif reading:
            now = timezone.now()
            conversation.read_follow_up(item, board, reading, rules, now, is_answered=is_answered)
            conversation.author_wrote(item, board, rules, now, is_answered=is_answered)


def _write(
    items: Mapping[int, Item],
    work: Mapping[int, Work],
    boards: Mapping[int, list[Clock]],
    rules: Playbook,
) -> None:
    now = timezone.now()
    for item in items.values():
        board = boards[item.pk]
        for message in work[item.pk].fresh:
            if message.ours:
                outbox.meet_by_hand(item, board, message)
        item.urgency = clocks.urgency(board)
        item.triage_due_at, item.playbook_id = None, rules.version_id
        item.save(update_fields=ITEM_FIELDS)
    clocks.save([clock for board in boards.values() for clock in board])
    _save_readings(items, work, now)
    said = {item: _words(work[pk]) for pk, item in items.items() if work[pk].readings}
    intents.intend(said, rules, now)
    done = [message.pk for pk in items for message in work[pk].fresh]
    Message.objects.filter(pk__in=done).update(triaged_at=now)
    HistoryEntry.objects.bulk_create(
        [entry for pk, item in items.items() for entry in _history(item, work[pk], now)]
    )


def _words(work: Work) -> str:
    """What the author said that is new."""
    return "\n".join(message.text for message in work.fresh if not message.ours)


def _save_readings(items: Mapping[int, Item], work: Mapping[int, Work], now: datetime) -> None:
    """Keep the reading of each item's first message, in place of an older one."""
    rows = []
    for pk in items:
        reading = work[pk].readings.get(work[pk].first_id or 0)
        if reading:
            values = {name: getattr(reading, name) for name in READING_COLUMNS}
            values |= {"severity": reading.severity or "", "also": list(reading.also)}
            values |= {"why": list(reading.why), "embedding": packed(reading.embedding)}
            rows.append(Reading(item_id=pk, read_at=now, **values))
    Reading.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["item"],
        update_fields=[*READING_COLUMNS, "read_at"],
    )


def _history(item: Item, work: Work, now: datetime) -> Iterator[HistoryEntry]:
    for message in work.fresh:
        reading = work.readings.get(message.pk)
        if message.kind == Kind.REPLY:
            yield HistoryEntry(item=item, at=message.created_at, event="answered")
        elif reading and message.pk == work.first_id:
            detail = {"category": reading.category, "severity": reading.severity or ""}
            detail |= {"responder": item.responder, "model": reading.model}
            yield HistoryEntry(item=item, at=now, event="triaged", detail=detail)
            if work.foreign_like:
                like = {"like": work.foreign_like}
                yield HistoryEntry(item=item, at=now, event="not_about_us", detail=like)
        elif reading:
            yield HistoryEntry(item=item, at=now, event="author_wrote")
