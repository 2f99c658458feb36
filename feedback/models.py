"""Sources, and what was read from them: items, their messages and the people who wrote them."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from feedback.vocabulary import (
    MISSED,
    Category,
    Channel,
    Closed,
    Sentiment,
    Severity,
    State,
    Topic,
)

NO_CLOCK = 2**62
"""`Item.urgency` of an item without a running clock: sorts after every instant."""

VIEW_RESTRICTED = "feedback.view_restricted"
FAILURES_TOLD = 4  # polls in a row
OPEN_STATES = (State.NEW, State.OPEN, State.WAITING, State.SNOOZED)


class SourceQuerySet(models.QuerySet["Source"]):
    def due(self, now: Any) -> "SourceQuerySet":
        """Sources whose next poll has come; read by the scheduler."""
        return self.filter(enabled=True, is_stopped=False, next_poll_at__lte=now)

    def in_trouble(self) -> "SourceQuerySet":
        """Sources that have stopped, that failed so often in a row that people should know, or of
        which something cannot be read any more.
        """
        fails = Q(is_stopped=True) | Q(failures__gte=FAILURES_TOLD)
        return self.filter(fails | Q(meter__has_key=MISSED), enabled=True)


class Source(models.Model):
    """One configured place that is polled; `next_poll_at` is also the lease of a running poll."""

    name = models.CharField(max_length=100, unique=True)
    channel = models.CharField(max_length=20, choices=Channel)
    config = models.JSONField(default=dict)  # the source's table in the playbook, with our handles
    every = models.DurationField(default=timedelta(minutes=5))
    enabled = models.BooleanField(default=True)
    account = models.CharField(max_length=320, blank=True)  # as which we are known there
    cursor = models.JSONField(default=dict, blank=True)
    meter = models.JSONField(default=dict, blank=True)  # what the service told of its limits
    looks = models.PositiveIntegerField(default=0)  # posts ever looked at again, where that costs
    next_poll_at = models.DateTimeField(null=True, db_index=True)
    last_polled_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    failures = models.PositiveIntegerField(default=0)
    is_stopped = models.BooleanField(default=False)
    is_polling = models.BooleanField(default=False)  # until `next_poll_at` at the latest

    objects = SourceQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def missed(self) -> str:
        """What its service no longer lists and nobody has read, if there is anything."""
        return str(self.meter.get(MISSED) or "")

    def position(self) -> dict[str, Any]:
        """What its channel reads on from."""
        return {**self.cursor, "looks": self.looks} if self.looks else dict(self.cursor)


class Person(models.Model):
    """Somebody who wrote on a channel."""

    channel = models.CharField(max_length=20, choices=Channel)
    handle = models.CharField(max_length=320)
    name = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "people"
        constraints = [models.UniqueConstraint(fields=["channel", "handle"], name="person_once")]

    def __str__(self) -> str:
        return self.name or self.handle


class ItemQuerySet(models.QuerySet["Item"]):
    def open(self) -> "ItemQuerySet":
        """Items that may still need somebody."""
        return self.filter(state__in=OPEN_STATES)

    def seen_by(self, user: Any) -> "ItemQuerySet":
        """Items that a user may see: security matters are for whom the permission was given."""
        return self if user.has_perm(VIEW_RESTRICTED) else self.filter(restricted_at=None)

    def waiting_for_triage(self, now: Any) -> "ItemQuerySet":
        """Items to be read, oldest wish first; read by the pipeline and the scheduler."""
        return self.filter(triage_due_at__lte=now).order_by("triage_due_at", "id")


class Item(models.Model):
    """One thing that may need an answer: a row of the queue with its conversation.

    `category` … `trusted` are the effective reading: the classifier's, as corrected by people.
    `triage_due_at` marks an item that must be read and, moved ahead, is the lease of who reads it.
    `urgency` is when its most urgent running clock is due, in microseconds of Unix time.
    """

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="items")
    channel = models.CharField(max_length=20, choices=Channel)
    author = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="items")
    title = models.CharField(max_length=500, blank=True)
    url = models.CharField(max_length=2000, blank=True)
    context = models.TextField(blank=True)
    first_words = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.NEW)
    closed_as = models.CharField(max_length=12, choices=Closed, blank=True)
    closed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    taken_in_at = models.DateTimeField()

    category = models.CharField(max_length=10, choices=Category, blank=True)
    also = models.JSONField(default=list, blank=True)
    sentiment = models.CharField(max_length=10, choices=Sentiment, blank=True)
    severity = models.CharField(max_length=2, choices=Severity, blank=True)
    p0_probability = models.FloatField(null=True)  # of a P0 by precaution alone
    topic = models.CharField(max_length=12, choices=Topic, blank=True)
    language = models.CharField(max_length=8, blank=True)
    confidence = models.FloatField(null=True)
    trusted = models.BooleanField(default=True)
    corrected = models.BooleanField(default=False)
    restricted_at = models.DateTimeField(null=True)  # since then shown to a few alone

    responder = models.CharField(max_length=100, blank=True)
    taken_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="items"
    )
    urgency = models.BigIntegerField(default=NO_CLOCK)
    triage_due_at = models.DateTimeField(null=True)
    playbook = models.ForeignKey("triage.PlaybookVersion", on_delete=models.PROTECT, null=True)

    objects = ItemQuerySet.as_manager()

    class Meta:
        permissions = [("view_restricted", "Can see restricted items")]
        indexes = [
            # The queue, most urgent first, open items alone.
            models.Index(
                fields=["urgency", "id"],
                condition=Q(state__in=OPEN_STATES),
                name="item_queue",
            ),
            models.Index(fields=["urgency", "id"], name="item_all"),
            models.Index(
                fields=["triage_due_at"],
                condition=Q(triage_due_at__isnull=False),
                name="item_triage_due",
            ),
            models.Index(
                fields=["confidence", "id"],
                condition=Q(trusted=False, corrected=False),
                name="item_unsure",  # the queue's tab of readings that a person should look at
            ),
            models.Index(fields=["created_at"], name="item_created"),  # reports
            models.Index(
                fields=["urgency", "id"],
                condition=Q(state__in=OPEN_STATES, severity__in=[Severity.P0, Severity.P1]),
                name="item_severe",  # the queue's tab of grave bugs
            ),
            models.Index(
                fields=["taken_by", "urgency", "id"],
                condition=Q(taken_by__isnull=False),
                name="item_taken",  # the queue's tab of what is mine
            ),
            models.Index(fields=["responder", "urgency", "id"], name="item_responder"),
        ]

    def __str__(self) -> str:
        return self.title or self.first_words or f"item {self.pk}"

    @property
    def is_open(self) -> bool:
        """Whether somebody may still have to act."""
        return self.state in OPEN_STATES

    @property
    def is_sample(self) -> bool:
        """Whether the item belongs to the sample launch."""
        return self.source.channel == Channel.SAMPLE


class Kind(models.TextChoices):
    """What a message is in its conversation."""

    POST = "post", "Post"
    REPLY = "reply", "Our reply"
    NOTE = "note", "Staff note"


class Message(models.Model):
    """One post of a conversation.

    `item` is empty for posts of our own team that answer nothing we hold (kept for context).
    `external_id` is empty for notes, and for replies until the service has named them.
    `triaged_at` is when the pipeline drew its consequences (a reading, a clock met).
    `look_again_at` is when the service is asked what became of the post.
    `automatic` says why a program wrote a mail; such a one belongs to no item.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, null=True, related_name="messages")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, null=True)
    channel = models.CharField(max_length=20, choices=Channel)
    external_id = models.CharField(max_length=300, null=True)
    parent_id = models.CharField(max_length=300, blank=True)
    thread_id = models.CharField(max_length=300, blank=True)
    author = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="messages")
    kind = models.CharField(max_length=5, choices=Kind, default=Kind.POST)
    ours = models.BooleanField(default=False)
    posted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    text = models.TextField(blank=True)
    url = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True)
    is_deleted = models.BooleanField(default=False)
    raw = models.JSONField(default=dict, blank=True)
    triaged_at = models.DateTimeField(null=True)
    look_again_at = models.DateTimeField(null=True)
    automatic = models.CharField(max_length=12, null=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            # NULLs are distinct: notes and unsent replies have no external id.
            models.UniqueConstraint(fields=["channel", "external_id"], name="message_once")
        ]
        indexes = [
            models.Index(fields=["item", "created_at"], name="message_conversation"),
            models.Index(
                fields=["look_again_at"],
                condition=Q(look_again_at__isnull=False),
                name="message_look_again",
            ),
            # Our own posts that wait for the post they answer; read by intake.
            models.Index(
                fields=["channel", "parent_id"],
                condition=Q(item__isnull=True),
                name="message_without_item",
            ),
            models.Index(
                fields=["-id"], condition=Q(automatic__isnull=False), name="message_automatic"
            ),  # the list of automatic mail
        ]

    def __str__(self) -> str:
        return self.text[:80]


class AutomaticMail(Message):
    """A mail that a program wrote: kept apart, never answered."""

    class Meta:
        proxy = True
        verbose_name = "automatic mail"
        verbose_name_plural = "automatic mail"


class RejectedPost(models.Model):
    """A post that could not be parsed, kept raw until it can be taken in again."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="rejected")
    channel = models.CharField(max_length=20, choices=Channel)
    external_id = models.CharField(max_length=300)
    raw = models.JSONField(null=True)
    error = models.TextField()
    at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="rejected_once")
        ]

    def __str__(self) -> str:
        return f"{self.external_id}: {self.error[:80]}"


class StoryFigures(models.Model):
    """How a followed story did at one moment; no rank: it was on no front page."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="figures")
    story = models.CharField(max_length=300)
    title = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()
    score = models.IntegerField()
    comments = models.PositiveIntegerField()
    rank = models.PositiveIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["source", "story", "at"], name="story_figures")]

    def __str__(self) -> str:
        return f"{self.story}: {self.score}"

    def values(self) -> dict[str, int | None]:
        """What was counted."""
        return {"score": self.score, "comments": self.comments, "rank": self.rank}


class HistoryEntry(models.Model):
    """What happened to an item, when, and by whom (nobody: the service itself)."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="history")
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    event = models.CharField(max_length=40)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["at", "id"]
        verbose_name_plural = "history"

    def __str__(self) -> str:
        return self.event
