"""How many automatic mails may leave: whatever detection misses, no robot talks with another.

Counted over everything that goes out by mail without a person's word, so that the limits hold
whoever writes such mails.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from triage import troubles
from triage.manners import DAY, Hold
from triage.models import OutboxEntry, PlaybookVersion

A_DAY = 10  # to one recipient
AN_HOUR = 100  # over all
TROUBLE = "automatic-mail"
HOUR = timedelta(hours=1)


def judge(entry: OutboxEntry, recipient: str) -> Hold | None:
    """Whether an automatic mail must wait for a person; the first that must is told to staff.

    One that may go is counted at once, under a lock, so that two deliverers do not both send the
    last one.
    """
    now, address = timezone.now(), recipient.casefold()
    with transaction.atomic():
        PlaybookVersion.objects.select_for_update().order_by("-pk").first()  # one at a time
        held = "" if entry.payload.get("released") else _over(entry, address, now)
        payload = {**entry.payload, "recipient": address, "counted": not held}
        OutboxEntry.objects.filter(pk=entry.pk).update(payload=payload)
    entry.payload = payload
    if held:
        troubles.begin(TROUBLE, f"{held} Further ones are held back: see the outbox for the cause.")
        return Hold(f"{held} It may be a robot. Send it anyway, or take it back.")
    troubles.end(TROUBLE)
    return None


def _over(entry: OutboxEntry, address: str, now: datetime) -> str:
    """Which limit another mail would break, or ""."""
    counted = OutboxEntry.objects.filter(channel=entry.channel, payload__counted=True)
    counted = counted.exclude(pk=entry.pk)
    theirs = counted.filter(payload__recipient=address).filter(_since(now - DAY)).count()
    if theirs >= A_DAY:
        return f"{address} was sent {theirs} automatic mails within a day."
    of_all = counted.filter(_since(now - HOUR)).count()
    if of_all >= AN_HOUR:
        return f"{of_all} automatic mails went out within an hour."
    return ""


def _since(begin: datetime) -> Q:
    """Sent since then, or on its way."""
    return Q(sent_at__gt=begin) | Q(sent_at=None, created_at__gt=begin - DAY)
