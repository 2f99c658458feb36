"""What people do to items. Each move is one transaction with its line in the history.

A move that the item's state forbids raises Conflict, with what happened and what to do.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from feedback.models import HistoryEntry, Item, Kind, Message
from feedback.vocabulary import Category, Closed, Sentiment, Severity, State, Topic
from triage import clocks, conversation, playbook
from triage.conversation import give_out
from triage.models import Clock, ClockKind, Correction, NotAboutUs
from triage.tracking import intents

NOTE_LIMIT = 10_000
CORRECTABLE = {
    "category": Category,
    "sentiment": Sentiment,
    "severity": Severity,
    "topic": Topic,
}


class Conflict(Exception):
    """The item is not in a state that allows this; the message tells a person what to do."""


def take(item: Item, by: User) -> None:
    """Make a person the item's own; this acknowledges it."""
    with transaction.atomic():
        item, board, now = _open(item)
        if item.taken_by_id not in (None, by.pk):
            raise Conflict(f"{item.taken_by} has taken this item. Ask them, or assign it anew.")
        item.taken_by = by
        if item.state == State.NEW:
            item.state = State.OPEN
        clocks.meet(board, [ClockKind.ACKNOWLEDGE], now)
        _save(item, board, now, by, "taken")


def assign(item: Item, responder: str, by: User) -> None:
    """Give an item to a role or person of the playbook; an empty one leaves it unassigned."""
    rules = playbook.current()
    if responder and responder not in rules.roles:
        raise Conflict(f'The playbook has no role "{responder}".')
    with transaction.atomic():
        item, board, now = _open(item)
        was, item.responder, item.taken_by = item.responder, responder, None
        _save(item, board, now, by, "assigned", {"was": was, "now": responder})


def add_note(item: Item, text: str, by: User) -> None:
    """Leave a note that staff alone can see."""
    text = text.strip()
    if not text or len(text) > NOTE_LIMIT:
        raise Conflict(f"A note has 1 to {NOTE_LIMIT:,} characters.")
    now = timezone.now()
    with transaction.atomic():
        Message.objects.create(
            item=item,
            channel=item.channel,
            kind=Kind.NOTE,
            ours=True,
            posted_by=by,
            text=text,
            created_at=now,
            triaged_at=now,
        )
        HistoryEntry.objects.create(item=item, at=now, by=by, event="note_added")


def close(item: Item, as_: str, by: User) -> None:
    """Close an item. Answered and fixed keep their promises; the other ways take them back."""
    if as_ not in Closed.values:
        raise Conflict("Say how it was closed: " + ", ".join(Closed.values) + ".")
    with transaction.atomic():
        item, board, now = _open(item)
        if as_ == Closed.FIXED:
            clocks.meet(board, [ClockKind.FIX, ClockKind.ACKNOWLEDGE], now)
        elif as_ == Closed.ANSWERED:
            clocks.meet(board, [ClockKind.ACKNOWLEDGE], now)
        clocks.stop(board, now)
        item.state, item.closed_as, item.closed_at = State.CLOSED, as_, now
        _save(item, board, now, by, "closed", {"as": as_})


def not_about_us(item: Item, by: User) -> None:
    """Close an item that is about somebody else; its source learns to leave the like of it out."""
    with transaction.atomic():
        item, board, now = _open(item)
        NotAboutUs.objects.update_or_create(
            item=item, defaults={"source_id": item.source_id, "by": by, "at": now}
        )
        conversation.set_aside(item, board, now)
        _save(item, board, now, by, "not_about_us")
        intents.look_again([item.pk], now)


def about_us(item: Item, by: User) -> None:
    """Take back that an item is not about us, whoever said so."""
    with transaction.atomic():
        NotAboutUs.objects.filter(item=item).delete()
        reopen(item, by)


def mark_spam(item: Item, by: User) -> None:
    """Take an item out of the queue as spam; its clocks stop unmet."""
    with transaction.atomic():
        item, board, now = _open(item)
        clocks.stop(board, now)
        item.state, item.closed_at = State.SPAM, now
        _save(item, board, now, by, "marked_spam")
        intents.look_again([item.pk], now)


def reopen(item: Item, by: User) -> None:
    """Bring an item back into the queue; what it still promises starts anew."""
    with transaction.atomic():
        item = Item.objects.select_for_update().get(pk=item.pk)
        if item.is_open:
            raise Conflict("This item is open already. Reload to see who opened it.")
        board, now = list(item.clocks.all()), timezone.now()
        item.state, item.closed_as, item.closed_at = State.OPEN, "", None
        give_out(item, board, playbook.current(), now)
        _save(item, board, now, by, "reopened")


def correct(item: Item, by: User, **values: str) -> None:
    """Put a reading right. Who answers and by when follows from it; a person has now seen it.

    `values`: any of category, sentiment, severity (empty for none), topic.
    """
    _check(values)
    with transaction.atomic():
        item = Item.objects.select_for_update().get(pk=item.pk)
        board, now = list(item.clocks.all()), timezone.now()
        if values.get("category", item.category) != Category.BUG:
            values["severity"] = ""
        changes = {name: (getattr(item, name), new) for name, new in values.items()}
        changes = {name: (was, new) for name, (was, new) in changes.items() if was != new}
        Correction.objects.bulk_create(
            [
                Correction(item=item, field=name, was=was, now=new, by=by, at=now)
                for name, (was, new) in changes.items()
            ]
        )
        for name, (_, new) in changes.items():
            setattr(item, name, new)
        item.corrected, item.p0_probability = True, None
        clocks.meet(board, [ClockKind.ACKNOWLEDGE], now)
        if item.is_open:
            give_out(item, board, playbook.current(), now, is_acknowledged=True)
        intents.intend({item: item.first_words}, playbook.current(), now)
        event = "corrected" if changes else "confirmed"
        _save(item, board, now, by, event, {n: [was, new] for n, (was, new) in changes.items()})


def _check(values: dict[str, str]) -> None:
    for name, value in values.items():
        choices = CORRECTABLE.get(name)
        allowed = [*choices.values, *([""] if name == "severity" else [])] if choices else []
        if value not in allowed:
            raise Conflict(f'"{value}" is not a {name}. Choose one of: {", ".join(allowed)}.')


def _open(item: Item) -> tuple[Item, list[Clock], datetime]:
    """The item locked, as it stands now, with its clocks. Raises Conflict if it is closed."""
    item = Item.objects.select_for_update().get(pk=item.pk)
    if not item.is_open:
        raise Conflict("Somebody closed this item. Reload to see who, or reopen it.")
    return item, list(item.clocks.all()), timezone.now()


def _save(
    item: Item,
    board: list[Clock],
    now: datetime,
    by: User,
    event: str,
    detail: dict[str, object] | None = None,
) -> None:
    clocks.save(board)
    item.urgency = clocks.urgency(board)
    item.save(update_fields=MOVED_FIELDS)
    HistoryEntry.objects.create(item=item, at=now, by=by, event=event, detail=detail or {})


MOVED_FIELDS = (
    "state closed_as closed_at urgency responder taken_by "
    "category sentiment severity p0_probability topic corrected"
).split()
