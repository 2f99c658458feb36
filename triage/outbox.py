"""The one door out: what was decided to be sent is sent, once.

An entry is claimed by moving `next_attempt_at` ahead by LEASE. A claim that ran out means that a
deliverer died between sending and recording: the channel is asked (`find`) before anything is
sent again, and where it cannot tell, a person is asked.
"""

import logging
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from feedback.channels import make_channel
from feedback.channels.base import (
    Absent,
    ByHand,
    ChannelError,
    Later,
    Refused,
    Reply,
    Sent,
    SourceStopped,
    TryLater,
    Unknown,
    Unsure,
)
from feedback.intake import team_of
from feedback.models import Item, Message
from triage import automatic, playbook
from triage.manners import DAY, Hold, Posted, Wait, judge
from triage.models import Delivery, OutboxEntry
from triage.replies import record_answer

BATCH = 20
LEASE = timedelta(minutes=2)
ASK_AFTER = timedelta(seconds=60)  # a lost request may still be running at the service
ATTEMPTS = 12
BACKOFF_FIRST = timedelta(seconds=30)
BACKOFF_LIMIT = timedelta(hours=1)
SIMILAR = 0.6  # share of our words that a reply met in a thread must contain

Outcome = Sent | Later | ByHand | Refused | Unsure | Unknown | Hold

log = logging.getLogger(__name__)


def deliver_waiting(seconds: float = 5.0) -> bool:
    """Deliver what is due for at most about `seconds`. Returns whether there may be more."""
    end = time.monotonic() + seconds
    while claimed := _claim(timezone.now()):
        for entry in claimed:
            _deliver(entry)
        if time.monotonic() > end:
            return True
    return False


def _claim(now: datetime) -> list[OutboxEntry]:
    with transaction.atomic():
        due = OutboxEntry.objects.due(now).select_for_update(skip_locked=True)
        taken = list(due[:BATCH])
        OutboxEntry.objects.filter(pk__in=[entry.pk for entry in taken]).update(
            next_attempt_at=now + LEASE, attempts=F("attempts") + 1
        )
    for entry in taken:
        entry.next_attempt_at = now + LEASE
    return taken


def _deliver(entry: OutboxEntry) -> None:
    """One attempt. `entry.attempts` is what it was before this one."""
    item, message = entry.item, entry.message
    if item is None or message is None:
        _record(entry, Refused("The reply or its item is gone."))
        return
    try:
        channel = make_channel(entry.channel, item.source.config, team_of(item.source))
        outcome = _attempt(entry, channel, _reply(entry, item, message))
    except TryLater as error:
        outcome = Later(str(error), error.wait)
    except SourceStopped as error:
        outcome = Refused(str(error))
    except Exception as error:  # nothing is known of what was sent
        log.exception("outbox.failed", extra={"entry": entry.pk})
        outcome = Unsure(f"{type(error).__name__}: {error}")
    _record(entry, outcome)


def _attempt(entry: OutboxEntry, channel: object, reply: Reply) -> Outcome:
    """Send; where an earlier attempt may have arrived, only after the channel said it has not."""
    if impolite := _impolite(entry, reply):
        return impolite
    if entry.attempts > 0 and entry.state == Delivery.UNSURE:
        try:
            found: Sent | Absent | Unknown = channel.find(reply)  # type: ignore[attr-defined]
        except ChannelError as error:  # it may be there all the same
            return Unsure(str(error))
        if not isinstance(found, Absent):
            return found
    return _send(entry, channel, reply)


def _impolite(entry: OutboxEntry, reply: Reply) -> Later | Hold | None:
    """Why a reply that was never tried must wait: pace, daily budget, too much of the same."""
    if reply.is_automatic and entry.state != Delivery.UNSURE:
        to = str(reply.parent.get("reply_to") or reply.parent.get("from") or "")
        if held := automatic.judge(entry, to):
            return held
    rule = playbook.current().manners.get(entry.channel)  # type: ignore[call-overload]
    if rule is None or entry.state == Delivery.UNSURE:
        return None
    now = timezone.now()
    sent = OutboxEntry.objects.filter(
        kind="reply", channel=entry.channel, state=Delivery.SENT, sent_at__gt=now - DAY
    )
    rows = sent.values_list("sent_at", "message__text")
    recent = [Posted(at, text or "") for at, text in rows if at]
    match judge(reply.text, recent, rule, now):
        case Hold() as hold if not entry.payload.get("released"):
            return hold
        case Wait(span, reason):
            return Later(reason, span)
    return None


def _reply(entry: OutboxEntry, item: Item, message: Message) -> Reply:
    parent = Message.objects.filter(
        channel=message.channel, external_id=message.parent_id, ours=False
    ).first()
    return Reply(
        key=entry.key,
        parent_id=message.parent_id,
        text=message.text,
        thread_id=message.thread_id,
        title=item.title,
        parent=parent.raw if parent else {},
        decided_at=entry.created_at,
        is_automatic=bool(entry.payload.get("automatic")),
    )


def _send(entry: OutboxEntry, channel: object, reply: Reply) -> Outcome:
    """Send, having written down before that we are about to: after a crash we know to ask.

    A channel that knows better when that is says so itself: what dies before has sent nothing.
    """
    mine = OutboxEntry.objects.filter(pk=entry.pk, next_attempt_at=entry.next_attempt_at)

    def begins() -> bool:
        return bool(mine.update(state=Delivery.UNSURE))

    if hasattr(channel, "reply_id"):  # what comes back may be quicker than our record
        Message.objects.filter(delivery=entry).update(external_id=channel.reply_id(reply))
    if hasattr(channel, "send"):
        told: Outcome = channel.send(reply, begins)
        return told
    if not begins():
        return Later("Somebody else delivers this entry.")
    outcome: Outcome = channel.reply(reply)  # type: ignore[attr-defined]
    return outcome


def _record(entry: OutboxEntry, outcome: Outcome) -> None:
    """Write what came of an attempt, if the claim is still ours."""
    now = timezone.now()
    with transaction.atomic():
        mine = OutboxEntry.objects.filter(pk=entry.pk, next_attempt_at=entry.next_attempt_at)
        match outcome:
            case Sent(external_id, url):
                if mine.update(state=Delivery.SENT, sent_at=now, next_attempt_at=None, error=""):
                    Message.objects.filter(delivery=entry).update(
                        external_id=external_id, url=url, created_at=now
                    )
                    record_answer(entry, now)
            case Later(reason, wait):
                mine.update(
                    state=Delivery.PENDING, error=reason, next_attempt_at=now + _pause(entry, wait)
                )
            case ByHand(reason):
                mine.update(state=Delivery.BY_HAND, error=reason, next_attempt_at=None)
            case Hold(reason):
                mine.update(state=Delivery.HELD, error=reason, next_attempt_at=None)
            case Refused(reason):
                mine.update(state=Delivery.REFUSED, error=reason, next_attempt_at=None)
            case Unknown(reason):
                mine.update(state=Delivery.UNSURE, error=reason, next_attempt_at=None)
            case Unsure(reason):
                asked_enough = entry.attempts + 1 >= ATTEMPTS
                again = None if asked_enough else now + max(ASK_AFTER, _pause(entry, None))
                mine.update(state=Delivery.UNSURE, error=reason, next_attempt_at=again)
    log.info("outbox.attempt", extra={"entry": entry.pk, "outcome": type(outcome).__name__})


def _pause(entry: OutboxEntry, wait: timedelta | None) -> timedelta:
    return wait or min(BACKOFF_FIRST * 2**entry.attempts, BACKOFF_LIMIT)


def meet_by_hand(item: Item, met: Message) -> None:
    """A reply of ours was met in its thread: it is the one that a person posted by hand, if any.

    The draft's place in the conversation is taken by what really stands there.
    """
    waiting = OutboxEntry.objects.filter(
        item=item, state__in=[Delivery.BY_HAND, Delivery.POSTED], message__isnull=False
    ).select_related("message")
    for entry in waiting.order_by("pk"):
        draft = entry.message
        if draft is None or draft.pk == met.pk or not is_same_reply(draft.text, met.text):
            continue
        OutboxEntry.objects.filter(pk=entry.pk).update(
            message=met, state=Delivery.SENT, sent_at=met.created_at
        )
        Message.objects.filter(pk=met.pk).update(posted_by=draft.posted_by)
        draft.delete()
        return


def is_same_reply(drafted: str, posted: str) -> bool:
    """Whether what stands in the thread is our draft, perhaps edited while it was posted."""
    ours, theirs = set(drafted.casefold().split()), set(posted.casefold().split())
    return len(ours & theirs) >= SIMILAR * max(1, len(ours))
