"""Tracked issues, who reported them, and what was told to whom."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from feedback.models import Item
from feedback.vocabulary import Category, Severity


class RepositoryState(models.TextChoices):
    """Whether a repository can be written to; one clear word for what is wrong."""

    WELL = "well", "Works"
    CREDENTIAL = "credential", "The credential is refused"
    GONE = "gone", "Deleted, or out of our sight"
    ISSUES_OFF = "issues_off", "Its issues are switched off"
    READ_ONLY = "read_only", "Archived: read-only"
    FORBIDDEN = "forbidden", "A permission is missing"
    PUBLIC = "public", "It is public, and must be private"


class TrackedRepository(models.Model):
    """A repository of the playbook, as GitHub last told of it.

    `full_name` is what it is called now. `next_write_at` is the turn of the next write, and the
    lease of one that is under way: GitHub wants one at a time.
    """

    name = models.CharField(max_length=200, unique=True)
    full_name = models.CharField(max_length=200, blank=True)
    repository_id = models.BigIntegerField(null=True)
    node_id = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=12, choices=RepositoryState, default=RepositoryState.WELL)
    error = models.TextField(blank=True)
    is_private = models.BooleanField(null=True)
    has_discussions = models.BooleanField(default=False)
    labels = models.JSONField(default=dict, blank=True)  # name to node id
    cursor = models.JSONField(default=dict, blank=True)
    next_poll_at = models.DateTimeField(null=True, db_index=True)
    next_write_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "tracked repositories"

    def __str__(self) -> str:
        return self.full_name or self.name


class Form(models.TextChoices):
    """What a tracked issue is on GitHub."""

    ISSUE = "issue", "Issue"
    DISCUSSION = "discussion", "Discussion"
    ADVISORY = "advisory", "Draft security advisory"


class TrackedState(models.TextChoices):
    """Where a tracked issue stands."""

    FILING = "filing", "To be filed"
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"
    MERGED = "merged", "Merged into another"
    GONE = "gone", "Gone from GitHub"


class TrackedIssue(models.Model):
    """The issue or discussion that one or many items are about.

    `key` is in its body on GitHub and finds it there after a crash. `is_ours`: filed by this
    service, not found in the repository. `look_at` is when GitHub is asked how it does.
    """

    key = models.CharField(max_length=32, unique=True)
    form = models.CharField(max_length=10, choices=Form, default=Form.ISSUE)
    category = models.CharField(max_length=10, choices=Category, default=Category.BUG)
    is_private = models.BooleanField(default=False)
    is_ours = models.BooleanField(default=True)
    repository = models.ForeignKey(
        TrackedRepository, on_delete=models.PROTECT, related_name="issues"
    )
    external_id = models.CharField(max_length=200, null=True, unique=True)
    number = models.PositiveIntegerField(null=True)
    node_id = models.CharField(max_length=100, blank=True)
    url = models.CharField(max_length=500, blank=True)
    comment_id = models.CharField(max_length=100, blank=True)  # of the comment that counts
    title = models.CharField(max_length=300)
    severity = models.CharField(max_length=2, choices=Severity, blank=True)
    labels = models.JSONField(default=list, blank=True)  # ours, as they stand on GitHub
    state = models.CharField(max_length=8, choices=TrackedState, default=TrackedState.FILING)
    state_reason = models.CharField(max_length=20, blank=True)
    version = models.CharField(max_length=100, blank=True)  # that has the fix
    trouble = models.TextField(blank=True)  # what a person should know of it, in one line
    merged_into = models.ForeignKey("self", on_delete=models.SET_NULL, null=True)
    reports = models.PositiveIntegerField(default=0)
    first_report_at = models.DateTimeField(null=True)
    last_report_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    look_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["look_at"], condition=Q(look_at__isnull=False), name="tracked_look"
            ),
            models.Index(fields=["state", "-last_report_at"], name="tracked_list"),
            models.Index(fields=["repository", "number"], name="tracked_number"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.title}" if self.number else self.title

    @property
    def name(self) -> str:
        """What people call it."""
        return f"#{self.number}" if self.number else "not filed yet"

    @property
    def is_live(self) -> bool:
        """Whether reports may join it."""
        return self.state in (TrackedState.FILING, TrackedState.OPEN, TrackedState.CLOSED)


class ReportState(models.TextChoices):
    """What became of an item's wish to be tracked."""

    WAITING = "waiting", "To be decided"
    JOINED = "joined", "Tracked"
    OFFERED = "offered", "A person decides"
    SECURITY = "security", "Security: a person decides"
    APART = "apart", "Not tracked"


class IssueReport(models.Model):
    """An item as a report of a tracked issue, or on its way to one.

    `due_at` says that there is something to decide and, moved ahead, is the lease of who does.
    """

    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="tracking")
    tracked = models.ForeignKey(
        TrackedIssue, on_delete=models.PROTECT, null=True, related_name="issue_reports"
    )
    state = models.CharField(max_length=8, choices=ReportState, default=ReportState.WAITING)
    reason = models.CharField(max_length=200, blank=True)
    score = models.FloatField(null=True)
    candidates = models.JSONField(default=list, blank=True)  # pairs of tracked issue and score
    is_harmless = models.BooleanField(default=False)  # a person: this is no security matter
    may_quote = models.BooleanField(default=False)  # a person: this mail may be quoted in public
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(due_at__isnull=False), name="issue_report_due"
            ),
            models.Index(
                fields=["state"],
                condition=Q(state__in=["offered", "security"]),
                name="issue_report_asks",  # what a person is to decide
            ),
        ]

    def __str__(self) -> str:
        return f"item {self.item_id}: {self.state}"


class Example(models.Model):
    """One way in which a tracked issue was told; new reports are compared with these.

    Rows are made by one writer at a time, so that a reader knows what is new by their numbers.
    """

    tracked = models.ForeignKey(TrackedIssue, on_delete=models.CASCADE, related_name="examples")
    item = models.OneToOneField(Item, on_delete=models.CASCADE, null=True, related_name="example")
    title = models.CharField(max_length=500, blank=True)
    text = models.TextField(blank=True)
    embedding = models.BinaryField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.title or self.text[:80]


class TrackedEvent(models.Model):
    """What happened to a tracked issue, here or on GitHub, when and by whom."""

    tracked = models.ForeignKey(TrackedIssue, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    event = models.CharField(max_length=40)
    detail = models.JSONField(default=dict, blank=True)
    is_theirs = models.BooleanField(default=False)  # on GitHub
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.event


class Occasion(models.TextChoices):
    """Why everyone who reported an issue is told something."""

    KNOWN = "known", "Known issue"
    RESOLVED = "resolved", "Resolved"
    ANSWER = "answer", "Answer from GitHub"


class Telling(models.Model):
    """What all reporters of an issue are to hear; later reports are offered the newest."""

    tracked = models.ForeignKey(TrackedIssue, on_delete=models.CASCADE, related_name="tellings")
    key = models.CharField(max_length=120, unique=True)  # telling it twice is impossible
    occasion = models.CharField(max_length=10, choices=Occasion)
    text = models.TextField()  # with the variables that differ from reporter to reporter
    template = models.CharField(max_length=60, blank=True)
    is_over = models.BooleanField(default=False)  # not offered any more
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.get_occasion_display()}: {self.text[:60]}"


class DraftState(models.TextChoices):
    """Where a draft stands."""

    OPEN = "open", "Drafted"
    SENT = "sent", "Sent"
    DROPPED = "dropped", "Dropped"


class DraftQuerySet(models.QuerySet["Draft"]):
    def open(self) -> "DraftQuerySet":
        """Drafts that wait for a person to send them."""
        return self.filter(state=DraftState.OPEN)


class Draft(models.Model):
    """A text that is ready to be sent to one reporter."""

    telling = models.ForeignKey(Telling, on_delete=models.CASCADE, related_name="drafts")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="drafts")
    text = models.TextField()
    state = models.CharField(max_length=8, choices=DraftState, default=DraftState.OPEN)
    entry = models.OneToOneField("triage.OutboxEntry", on_delete=models.SET_NULL, null=True)
    created_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField()

    objects = DraftQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["telling", "item"], name="told_once"),
        ]

    def __str__(self) -> str:
        return self.text[:80]
