"""The playbook's versions, readings, clocks and the outbox."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from feedback.models import Item, Message, Source
from feedback.vocabulary import Category, Sentiment, Severity, Topic


class PlaybookVersion(models.Model):
    """One version of the rules, as the text that was loaded; the newest is in force."""

    text = models.TextField()
    loaded_at = models.DateTimeField()
    loaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    note = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"version {self.pk}"


class Reading(models.Model):
    """What the classifier made of an item; people's corrections stand beside it, on the item."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="reading")
    model = models.CharField(max_length=60)
    category = models.CharField(max_length=10, choices=Category)
    also = models.JSONField(default=list)
    sentiment = models.CharField(max_length=10, choices=Sentiment)
    severity = models.CharField(max_length=2, choices=Severity, blank=True)
    topic = models.CharField(max_length=12, choices=Topic)
    language = models.CharField(max_length=8)
    confidence = models.FloatField()
    trusted = models.BooleanField()
    why = models.JSONField(default=list)
    scores = models.JSONField(default=dict)
    embedding = models.BinaryField(null=True)
    read_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.category} {self.severity}".strip()


class Correction(models.Model):
    """A reading that a person put right; it trains the next model."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="corrections")
    field = models.CharField(max_length=12)
    was = models.CharField(max_length=12, blank=True)
    now = models.CharField(max_length=12, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.field}: {self.was} → {self.now}"


class ModelVersion(models.Model):
    """An adjustment of the shipped model `base`, learnt from corrections; one may be in force."""

    base = models.CharField(max_length=60)
    weights = models.BinaryField()
    figures = models.JSONField(default=dict)  # held-out scores before and after, the verdict
    corrections = models.PositiveIntegerField()
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    is_active = models.BooleanField(default=False)
    activated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_active"], condition=Q(is_active=True), name="one_model_in_force"
            )
        ]

    def __str__(self) -> str:
        return f"{self.base}+{self.pk}"

    def is_in_force(self) -> bool:
        """Whether it is the one that reads now, asked of the database."""
        return ModelVersion.objects.filter(pk=self.pk, is_active=True).exists()


class NotAboutUs(models.Model):
    """A person's word that an item is not about us; its source learns from it."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="not_about_us")
    source = models.ForeignKey(Source, on_delete=models.CASCADE)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"item {self.item_id}"


class ClockKind(models.TextChoices):
    """What a clock promises."""

    ACKNOWLEDGE = "acknowledge", "Acknowledge"
    RESPOND = "respond", "Respond"
    FIX = "fix", "Fix"
    NEXT_RESPONSE = "next_response", "Next response"
    PROMISED_UPDATE = "promised_update", "Promised update"


class ClockQuerySet(models.QuerySet["Clock"]):
    def running(self) -> "ClockQuerySet":
        """Promises that are still open, breached ones included."""
        return self.filter(met_at__isnull=True, stopped_at__isnull=True)

    def due(self, now: datetime) -> "ClockQuerySet":
        """Clocks with something to do; the only thing that the sweep reads."""
        return self.filter(next_event_at__lte=now).order_by("next_event_at")


class Clock(models.Model):
    """A running promise about an item.

    `met_at`: kept, in time or late; `stopped_at`: no longer promised. Neither: it runs.
    `next_event_at` is when it does something next (warn, breach); empty when it never will.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="clocks")
    kind = models.CharField(max_length=16, choices=ClockKind)
    calendar = models.CharField(max_length=60, default="always")
    target = models.DurationField()  # of the calendar's working time
    started_at = models.DateTimeField()
    warn_at = models.DateTimeField()
    due_at = models.DateTimeField()
    next_event_at = models.DateTimeField(null=True)
    warned_at = models.DateTimeField(null=True)
    breached_at = models.DateTimeField(null=True)
    met_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)

    objects = ClockQuerySet.as_manager()

    class Meta:
        ordering = ["due_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["item", "kind"],
                condition=Q(met_at__isnull=True, stopped_at__isnull=True),
                name="clock_runs_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["next_event_at"],
                condition=Q(next_event_at__isnull=False),
                name="clock_next_event",  # read by the sweep
            ),
            models.Index(fields=["due_at"], name="clock_due"),  # read by reports
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} by {self.due_at:%Y-%m-%d %H:%M}"


class Delivery(models.TextChoices):
    """Where an outbox entry stands."""

    PENDING = "pending", "To be sent"
    BY_HAND = "by_hand", "To be posted by hand"
    POSTED = "posted", "Posted by hand, not yet met"
    SENT = "sent", "Sent"
    HELD = "held", "Held back"
    UNSURE = "unsure", "Unsure"
    REFUSED = "refused", "Refused"
    CANCELLED = "cancelled", "Cancelled"


class OutboxQuerySet(models.QuerySet["OutboxEntry"]):
    def due(self, now: datetime) -> "OutboxQuerySet":
        """Entries whose next attempt has come; read by the deliverer and the scheduler."""
        return self.filter(next_attempt_at__lte=now).order_by("next_attempt_at", "id")


class OutboxEntry(models.Model):
    """One thing to be sent, exactly once; `key` makes deciding it twice impossible."""

    key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=20)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, null=True, related_name="outbox")
    message = models.OneToOneField(
        Message, on_delete=models.CASCADE, null=True, related_name="delivery"
    )
    tracked = models.ForeignKey(
        "triage.TrackedIssue", on_delete=models.CASCADE, null=True, related_name="outbox"
    )
    channel = models.CharField(max_length=20)
    payload: Any = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=Delivery, default=Delivery.PENDING)
    next_attempt_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "outbox"
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(next_attempt_at__isnull=False),
                name="outbox_due",  # read by the deliverer
            ),
            models.Index(fields=["channel", "sent_at"], name="outbox_sent"),  # read by manners
        ]

    def __str__(self) -> str:
        return self.key


class Trouble(models.Model):
    """What staff must know while it lasts, shown on every page."""

    key = models.CharField(max_length=60, unique=True)
    message = models.TextField()
    since = models.DateTimeField()

    def __str__(self) -> str:
        return self.message[:80]


# The tables of tracked issues; Django looks for models here alone.
from triage.tracking import models as tracking_models  # noqa: E402, F401
