"""Replies: fill a template, decide to send, and say that one was posted by hand."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from feedback.channels import can_reply, reply_page
from feedback.hints import hint
from feedback.models import HistoryEntry, Item, Kind, Message
from feedback.vocabulary import Severity
from triage import clocks, playbook
from triage.conversation import we_answered
from triage.models import Clock, ClockKind, Delivery, OutboxEntry
from triage.moves import Conflict
from triage.playbook import Playbook
from triage.routing import route
from triage.tracking.links import facts_of

TEXT_LIMIT = 10_000
STOPPED = (Delivery.BY_HAND, Delivery.REFUSED, Delivery.HELD)  # nothing went out, nothing will
CHANGED = "This reply's state has changed meanwhile. Reload to see it."
VARIABLE = re.compile(r"\{(\w+)\}")


def fill(text: str, item: Item, rules: Playbook) -> str:
    """A template's text with its variables filled; an unknown one stays for the person to fill."""
    values = variables(item, rules)
    return VARIABLE.sub(lambda found: values.get(found[1]) or found[0], text)


def variables(item: Item, rules: Playbook) -> Mapping[str, str]:
    """What templates may name; an empty value is left for the person to fill."""
    author, tracked = item.author, facts_of(item)
    return {
        "name": (author.name or author.handle) if author else "there",
        "eta": eta(item, rules),
        "tracking": tracked["tracking"] or rules.tracking.status_url,
        "version": tracked["version"],
        "discussions": rules.tracking.discussions_url,
    }


def eta(item: Item, rules: Playbook) -> str:
    """When the author may expect an update, by severity, else by the response time."""
    target = _update_within(item, rules)
    return f"within {spoken(target)}" if target else "with one of the next releases"


def _update_within(item: Item, rules: Playbook) -> timedelta | None:
    if item.severity:
        rule = rules.severities.get(Severity(item.severity))
        return rule.fix if rule else None
    return route(item.category, None, item.topic, rules).respond


def spoken(span: timedelta) -> str:
    """A span in words: "15 minutes", "1 hour", "2 days"."""
    seconds = int(span.total_seconds())
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0 and (size < 86_400 or seconds > size):
            count = seconds // size
            return f"{count} {name}" + ("s" if count > 1 else "")
    return f"{max(1, round(seconds / 60))} minutes"


def reply_target(item: Item) -> Message | None:
    """The author's newest post, which a reply answers."""
    posts = item.messages.filter(kind=Kind.POST, ours=False, is_deleted=False)
    return posts.order_by("-created_at", "-id").first()


def reply_url(item: Item) -> str:
    """The page on which a person answers by hand."""
    target = reply_target(item)
    page = reply_page(item.channel, target.external_id or "") if target else ""
    return page or (target.url if target else "") or item.url


def is_by_hand(item: Item) -> bool:
    """Whether a person must post the reply because the service cannot."""
    return not can_reply(item.channel, item.source.channel)


def send(
    item: Item, text: str, by: User, *, token: str, seen: int = 0, template: str = ""
) -> OutboxEntry:
    """Decide to send a reply: it is in the conversation and in the outbox, or neither.

    `token` names this draft, so that pressing twice sends once; `seen` is the newest reply of
    ours that the person had before their eyes. Raises Conflict if somebody answered meanwhile,
    and ValueError if there is nothing to send.
    """
    text = text.strip()
    if not text or len(text) > TEXT_LIMIT:
        raise ValueError(f"A reply has 1 to {TEXT_LIMIT:,} characters; this one has {len(text):,}.")
    now = timezone.now()
    with transaction.atomic():
        item = Item.objects.select_for_update().get(pk=item.pk)
        key = f"reply:{item.pk}:{token}"
        if entry := OutboxEntry.objects.filter(key=key).first():
            return entry
        newer = item.messages.filter(kind=Kind.REPLY, pk__gt=seen).select_related("posted_by")
        if other := newer.order_by("-pk").first():
            who = other.posted_by or other.author or "Somebody"
            raise Conflict(f"{who} has answered meanwhile. Read that reply, then send yours.")
        message = _draft(item, text, by, now)
        by_hand = is_by_hand(item)
        entry = OutboxEntry.objects.create(
            key=key,
            kind="reply",
            item=item,
            message=message,
            channel=item.source.channel,
            payload={"template": template},
            state=Delivery.BY_HAND if by_hand else Delivery.PENDING,
            next_attempt_at=None if by_hand else now,
            created_at=now,
        )
        HistoryEntry.objects.create(
            item=item, at=now, by=by, event="reply_sent", detail={"template": template}
        )
        if not by_hand:
            hint("deliver")
    return entry


def mark_posted(entry: OutboxEntry, by: User) -> None:
    """A person says that they have posted a reply by hand; the poller will meet it there.

    Raises Conflict if it is not waiting for that.
    """
    now = timezone.now()
    with transaction.atomic():
        waiting = OutboxEntry.objects.filter(pk=entry.pk, state=Delivery.BY_HAND)
        if not waiting.update(state=Delivery.POSTED, sent_at=now):
            raise Conflict("This reply is not waiting to be posted. Reload to see its state.")
        record_answer(entry, now)
        _note(entry, now, by=by, event="posted_by_hand")


def cancel(entry: OutboxEntry, by: User) -> None:
    """Take back a reply that has not gone out. Raises Conflict if it has."""
    now = timezone.now()
    with transaction.atomic():
        waiting = OutboxEntry.objects.filter(pk=entry.pk, state__in=STOPPED)
        if not waiting.update(state=Delivery.CANCELLED, next_attempt_at=None):
            raise Conflict("This reply has gone out already. Reload to see its state.")
        message = entry.message
        OutboxEntry.objects.filter(pk=entry.pk).update(
            message=None, payload={**entry.payload, "text": message.text if message else ""}
        )
        if message:
            message.delete()
        _note(entry, now, by=by, event="reply_cancelled")


def send_again(entry: OutboxEntry, by: User) -> None:
    """Try a reply again that was refused, or send one that was held back.

    Raises Conflict if it is neither.
    """
    now = timezone.now()
    with transaction.atomic():
        stopped = OutboxEntry.objects.filter(
            pk=entry.pk, state__in=[Delivery.REFUSED, Delivery.HELD]
        )
        _resend(entry, stopped, now)
        _note(entry, now, by=by, event="reply_sent_again")


def settle(entry: OutboxEntry, by: User, *, arrived: bool) -> None:
    """A person has looked whether a reply arrived that the service could not tell of.

    Raises Conflict if nobody was asked.
    """
    now = timezone.now()
    with transaction.atomic():
        asked = OutboxEntry.objects.filter(pk=entry.pk, state=Delivery.UNSURE, next_attempt_at=None)
        if not arrived:
            _resend(entry, asked, now)
        elif asked.update(state=Delivery.SENT, sent_at=now, error=""):
            record_answer(entry, now)
        else:
            raise Conflict(CHANGED)
        _note(entry, now, by=by, event="reply_arrived" if arrived else "reply_sent_again")


def _resend(entry: OutboxEntry, rows: QuerySet[OutboxEntry], now: datetime) -> None:
    payload = {**entry.payload, "released": True}
    if not rows.update(state=Delivery.PENDING, next_attempt_at=now, error="", payload=payload):
        raise Conflict(CHANGED)
    hint("deliver")


def _note(entry: OutboxEntry, at: datetime, *, by: User, event: str) -> None:
    if entry.item:
        HistoryEntry.objects.create(item=entry.item, at=at, by=by, event=event)


def record_answer(entry: OutboxEntry, at: datetime) -> None:
    """Draw the consequences of a reply that is out. The caller holds the transaction."""
    if entry.item_id is None:
        return
    item = Item.objects.select_for_update().get(pk=entry.item_id)
    board = list(item.clocks.all())
    we_answered(item, board, at)
    promise_update(entry, item, board, at)
    clocks.save(board)
    item.urgency = clocks.urgency(board)
    item.save(update_fields=["state", "urgency"])


def promise_update(entry: OutboxEntry, item: Item, board: list[Clock], at: datetime) -> None:
    """A reply that still says by when its template promises an update starts that promise's clock.

    It was said to a person in hours of the clock on the wall, so no calendar stretches it.
    """
    rules = playbook.current()
    template = rules.templates.get(str(entry.payload.get("template", "")))
    span = _update_within(item, rules)
    if not (template and "{eta}" in template.text and span and entry.message and item.is_open):
        return
    if f"within {spoken(span)}" in entry.message.text:
        promise = clocks.Promise(ClockKind.PROMISED_UPDATE, span)
        clocks.start(board, item, promise, rules, at)


def _draft(item: Item, text: str, by: User, now: datetime) -> Message:
    target = reply_target(item)
    return Message.objects.create(
        item=item,
        channel=item.channel,
        parent_id=target.external_id or "" if target else "",
        thread_id=target.thread_id if target else "",
        kind=Kind.REPLY,
        ours=True,
        posted_by=by,
        text=text,
        created_at=now,
        triaged_at=now,
    )
