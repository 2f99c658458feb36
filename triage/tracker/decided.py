"""What was decided of an item before it was exported: its reading, responder, clocks and state.

An import reads every item anew; what its row says of it then goes before that, so that an export
that is taken in elsewhere comes out there as it was. What the row leaves open stays as it was read.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from feedback.models import HistoryEntry, Item
from feedback.vocabulary import Category, Sentiment, Severity, State, Topic
from triage import clocks, conversation
from triage.models import Clock, ClockKind
from triage.playbook import Playbook
from triage.routing import route

DONE = (State.CLOSED, State.SPAM)
KEPT = (State.NEW, State.OPEN, State.WAITING, *DONE)  # a snoozed item has no time to wake at
EVENTS = {State.CLOSED: "closed", State.SPAM: "marked_spam"}
FIELDS = (
    "category also sentiment severity p0_probability topic responder state closed_as closed_at "
    "urgency"
).split()


def take_over(rows: Mapping[int, Mapping[str, Any]], rules: Playbook) -> None:
    """Give the items of these ids, all new here, what their rows say of them."""
    now = timezone.now()
    with transaction.atomic():
        items = list(Item.objects.filter(pk__in=rows).select_for_update())
        boards: dict[int, list[Clock]] = {item.pk: [] for item in items}
        for clock in Clock.objects.filter(item__in=boards):
            boards[clock.item_id].append(clock)
        history: list[HistoryEntry] = []
        for item in items:
            row, board = rows[item.pk], boards[item.pk]
            _reading(item, board, row, rules)
            board[:] = list(_clocks(item, row, rules, now)) or board
            _state(item, board, row, now)
            item.urgency = clocks.urgency(board)
            if item.state in EVENTS:
                event = EVENTS[State(item.state)]
                history.append(HistoryEntry(item=item, at=now, event=event))
        Item.objects.bulk_update(items, FIELDS, batch_size=100)
        kept = [clock for board in boards.values() for clock in board]
        stale = Clock.objects.filter(item__in=boards)
        stale.exclude(pk__in=[clock.pk for clock in kept if clock.pk]).delete()
        clocks.save(kept)
        HistoryEntry.objects.bulk_create(history)


def _reading(item: Item, board: list[Clock], row: Mapping[str, Any], rules: Playbook) -> None:
    was = (item.category, item.severity, item.topic)
    item.category = _one_of(Category, row.get("category")) or item.category
    item.sentiment = _one_of(Sentiment, row.get("sentiment")) or item.sentiment
    item.topic = _one_of(Topic, row.get("topic")) or item.topic
    if row.get("category"):
        item.severity = _one_of(Severity, row.get("severity"))
        item.p0_probability = None
    if item.category != Category.BUG:
        item.severity, item.p0_probability = "", None
    if isinstance(row.get("also"), list):
        item.also = [one for one in row["also"] if one in Category.values]
    if was != (item.category, item.severity, item.topic):
        conversation.give_out(item, board, rules, item.taken_in_at)
    responder = str(row.get("responder") or "")
    if responder in rules.roles or ("responder" in row and row["responder"] is None):
        item.responder = responder


def _one_of(words: Any, value: Any) -> str:
    return value if isinstance(value, str) and value in words.values else ""


def _state(item: Item, board: Sequence[Clock], row: Mapping[str, Any], now: datetime) -> None:
    state = row.get("state")
    if state not in KEPT or (state == State.NEW and item.is_open):
        return  # our replies in its conversation may say more than "new"
    item.state = str(state)
    if state in DONE:
        clocks.stop(board, now)
        item.closed_at = item.closed_at or now
    else:
        item.closed_as, item.closed_at = "", None


def _clocks(item: Item, row: Mapping[str, Any], rules: Playbook, now: datetime) -> Iterator[Clock]:
    """The clocks of a row. Of two unmet ones of a kind only the later runs."""
    listed = row.get("clocks")
    told = [one for one in listed if _is_clock(one)] if isinstance(listed, list) else []
    respond = route(item.category, item.severity or None, item.topic, rules).respond
    promised = {one.kind: one for one in clocks.promises(item.severity, respond, rules)}
    last = {one["kind"]: n for n, one in enumerate(told) if not one.get("met_at")}
    for number, one in enumerate(told):
        due, promise = _instant(one["due_at"]), promised.get(one["kind"])
        assert due is not None
        begin = min(item.created_at, due)
        target = promise.target if promise else due - begin
        met, breached = _instant(one.get("met_at")), _instant(one.get("breached_at"))
        warn = due - target * (1 - rules.clocks.warn_at)
        runs = met is None and last[one["kind"]] == number
        yield Clock(
            item=item,
            kind=one["kind"],
            calendar=promise.calendar if promise else "always",
            target=target,
            started_at=begin,
            warn_at=warn,
            due_at=due,
            met_at=met,
            breached_at=breached,
            stopped_at=None if met or runs else now,
            next_event_at=(warn if warn > now else due) if runs and not breached else None,
        )


def _is_clock(one: Any) -> bool:
    return (
        isinstance(one, Mapping)
        and one.get("kind") in ClockKind.values
        and _instant(one.get("due_at")) is not None
    )


def _instant(told: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(told)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
