"""Looking at posts again: what was edited or deleted at its source follows here.

`Message.look_again_at` says when; moved ahead by LEASE it is the claim of who looks.
"""

import logging
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from feedback.channels import make_channel
from feedback.channels.base import Metered, Post, SourceStopped, TryLater
from feedback.intake import add_posts, team_of
from feedback.looks import next_look
from feedback.models import Message, Source

BATCH = 100
LEASE = timedelta(minutes=10)
REST = timedelta(hours=6)  # when a month's posts are read

log = logging.getLogger(__name__)


def refresh_due(seconds: float = 5.0) -> bool:
    """Look at what is due for at most about `seconds`. Returns whether there may be more."""
    end = time.monotonic() + seconds
    while claimed := _claim(timezone.now()):
        source, messages = claimed
        _look(source, messages)
        if time.monotonic() > end:
            return True
    return False


def _claim(now: datetime) -> tuple[Source, list[Message]] | None:
    """Posts of one source that are due."""
    with transaction.atomic():
        due = Message.objects.filter(look_again_at__lte=now).order_by("look_again_at", "id")
        first = due.select_related("source").first()
        if first is None or first.source is None:
            return None
        rows = due.filter(source=first.source).select_for_update(skip_locked=True)
        messages = list(rows.only("pk", "external_id", "channel", "created_at")[:BATCH])
        _set([message.pk for message in messages], now + LEASE)
    return first.source, messages


def _look(source: Source, messages: list[Message]) -> None:
    asked = [message.external_id or "" for message in messages]
    try:
        posts = _ask(source, asked)
    except TryLater as error:
        _set([m.pk for m in messages], timezone.now() + max(error.wait or LEASE, LEASE))
        log.warning("refresh.later", extra={"source": source.name, "reason": str(error)})
        return
    except SourceStopped as error:  # the next poll tells staff
        log.warning("refresh.stopped", extra={"source": source.name, "reason": str(error)})
        posts = []
    known = set(asked)
    add_posts(source, [post for post in posts if post.external_id in known])
    now = timezone.now()
    for message in messages:
        _set([message.pk], next_look(message.channel, message.created_at, now))


def _ask(source: Source, asked: list[str]) -> list[Post]:
    channel = make_channel(source.channel, source.config, team_of(source))
    if not isinstance(channel, Metered):
        return channel.refresh(asked)
    if not channel.may_look(source.position()):
        raise TryLater("What may be read in this month is read.", REST)
    posts = channel.refresh(asked)
    billed = sum(not post.is_deleted for post in posts)
    Source.objects.filter(pk=source.pk).update(looks=F("looks") + billed)
    return posts


def _set(ids: list[int], at: datetime | None) -> None:
    Message.objects.filter(pk__in=ids).update(look_again_at=at)
