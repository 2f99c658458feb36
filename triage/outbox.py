"""The one door out: what was decided to be sent is sent, once.

An entry is claimed by moving `next_attempt_at` ahead by LEASE. A claim that ran out means that a
deliverer died between sending and recording: the service is asked (`find`) before anything is
sent again, and where it cannot tell, a person is asked. How an entry of a kind leaves is its
door's to know (DOORS); a new kind adds one line there.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string

from feedback.channels.base import (
    Absent,
    ByHand,
    ChannelError,
    Later,
    Refused,
    Sent,
    SourceStopped,
    TryLater,
    Unknown,
    Unsure,
)
from feedback.models import Item, Message
from triage.manners import Hold
from triage.models import Clock, Delivery, OutboxEntry
from triage.replies import promise_update

BATCH = 20
LEASE = timedelta(minutes=2)
ASK_AFTER = timedelta(seconds=60)  # a lost request may still be running at the service
ATTEMPTS = 12
BACKOFF_FIRST = timedelta(seconds=30)
BACKOFF_LIMIT = timedelta(hours=1)
SIMILAR = 0.6  # share of our words that a reply met in a thread must contain


@dataclass(frozen=True, slots=True)
class NotYet:
    """Nothing was tried: it is not this entry's turn. Does not count as an attempt."""

    reason: str
    wait: timedelta


Outcome = Sent | Later | NotYet | ByHand | Refused | Unsure | Unknown | Hold


class Door(Protocol):
    """How the entries of one kind leave. Raises TryLater where the service cannot answer now."""

    def __init__(self, entry: OutboxEntry) -> None:
        """Raises SourceStopped where it can never be sent."""
        ...

    def before(self) -> Later | NotYet | Hold | None:
        """Why it must not leave now, if it must not; nothing is sent."""
        ...

    def send(self) -> Outcome:
        """Send once; never repeat a write."""
        ...

    def find(self) -> Sent | Absent | Unknown:
        """Whether an earlier attempt has arrived."""
        ...

    def arrived(self, sent: Sent, now: datetime) -> None:
        """Draw the consequences of its being there, in the transaction that records it."""
        ...


DOORS = {
    "reply": "triage.reply_door.ReplyDoor",
    "issue": "triage.tracking.door.FilingDoor",
    "update": "triage.tracking.door.UpdateDoor",
    "merge": "triage.tracking.door.MergeDoor",
    "like": "triage.kudos.LikeDoor",
    "share": "triage.kudos.ShareDoor",
    "alert": "triage.alerts.AlertDoor",
}

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
    door: Door | None = None
    outcome: Outcome
    try:
        door = import_string(DOORS[entry.kind])(entry)
        assert door is not None
        outcome = _attempt(entry, door)
    except TryLater as error:
        outcome = Later(str(error), error.wait)
    except SourceStopped as error:
        outcome = Refused(str(error))
    except Exception as error:  # nothing is known of what was sent
        log.exception("outbox.failed", extra={"entry": entry.pk})
        outcome = Unsure(f"{type(error).__name__}: {error}")
    _record(entry, door, outcome)


def _attempt(entry: OutboxEntry, door: Door) -> Outcome:
    """Send; where an earlier attempt may have arrived, only after the service said it has not."""
    if held := door.before():
        return held
    if entry.attempts > 0 and entry.state == Delivery.UNSURE:
        try:
            found = door.find()
        except ChannelError as error:  # it may be there all the same
            return Unsure(str(error))
        if not isinstance(found, Absent):
            return found
    return _send(entry, door)


def _send(entry: OutboxEntry, door: Door) -> Outcome:
    """Send, having written down before that we are about to.

    A door that knows better when that is says so itself: what dies before has sent nothing.
    """
    if not getattr(door, "begins_itself", False) and not begin(entry):
        return Later("Somebody else delivers this entry.")
    return door.send()


def begin(entry: OutboxEntry) -> bool:
    """Write down that an entry is about to be sent: after a crash we know to ask.

    False if the claim is no longer ours; nothing must be sent then.
    """
    mine = OutboxEntry.objects.filter(pk=entry.pk, next_attempt_at=entry.next_attempt_at)
    return bool(mine.update(state=Delivery.UNSURE))


def _record(entry: OutboxEntry, door: Door | None, outcome: Outcome) -> None:
    """Write what came of an attempt, if the claim is still ours."""
    now = timezone.now()
    with transaction.atomic():
        mine = OutboxEntry.objects.filter(pk=entry.pk, next_attempt_at=entry.next_attempt_at)
        match outcome:
            case Sent():
                sent = {"state": Delivery.SENT, "sent_at": now, "next_attempt_at": None}
                if mine.update(**sent, error="") and door:
                    door.arrived(outcome, now)
            case NotYet(reason, wait):  # an earlier attempt may still be unsure
                mine.update(error=reason, next_attempt_at=now + wait, attempts=entry.attempts)
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


def meet_by_hand(item: Item, board: list[Clock], met: Message) -> None:
    """A reply of ours was met in its thread: it is the one that a person posted by hand, if any.

    The draft's place in the conversation is taken by what really stands there, and what it
    promised begins there.
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
        entry.message = met
        promise_update(entry, item, board, met.created_at)
        return


def is_same_reply(drafted: str, posted: str) -> bool:
    """Whether what stands in the thread is our draft, perhaps edited while it was posted."""
    ours, theirs = set(drafted.casefold().split()), set(posted.casefold().split())
    return len(ours & theirs) >= SIMILAR * max(1, len(ours))
