"""Tracked issues as they are written: filed, joined, left, told to GitHub. The caller has the turn.

Each function is a step within the caller's transaction; what GitHub must hear of it is an entry of
the outbox in the same transaction.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.db.models import Count, Max, Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import Substr

from feedback.hints import hint
from feedback.models import HistoryEntry, Item, Kind, Message
from feedback.vocabulary import Category, Severity
from triage.models import Delivery, OutboxEntry
from triage.tracking import telling, wording
from triage.tracking.models import (
    Example,
    IssueReport,
    ReportState,
    TrackedEvent,
    TrackedIssue,
    TrackedRepository,
    TrackedState,
)
from triage.tracking.wording import Told

EXAMPLES = 12  # of one issue; more would only say the same again
NEW_WORDS = 0.9  # score above which a report is told as an example was
GATHER = timedelta(seconds=20)  # reports that come within it are told to GitHub together
TEXT_LIMIT = 2_000  # characters of a report that are compared, or told of in a count
QUOTE_LIMIT = 20_000  # that are looked at for a quotation


def file(
    report: IssueReport,
    place: TrackedRepository,
    now: datetime,
    *,
    form: str,
    is_private: bool,
    by: User | None = None,
) -> TrackedIssue:
    """Begin a tracked issue with its first report; the outbox files it."""
    item = report.item
    tracked = TrackedIssue.objects.create(
        key=uuid4().hex,
        form=form,
        category=Category.FEATURE if item.category == Category.FEATURE else Category.BUG,
        is_private=is_private,
        repository=place,
        title="…",
        created_at=now,
    )
    join(report, tracked, now, score=None, by=by)
    subject = subject_of(tracked)
    TrackedIssue.objects.filter(pk=tracked.pk).update(
        title=wording.title(told_of(tracked, 1), subject)
    )
    tracked.refresh_from_db()
    OutboxEntry.objects.create(
        key=f"issue:{tracked.key}",
        kind="issue",
        tracked=tracked,
        channel="github",
        payload={"title": tracked.title},
        next_attempt_at=now,
        created_at=now,
    )
    note(tracked, "begun", now, by=by)
    hint("deliver")
    return tracked


def join(
    report: IssueReport,
    tracked: TrackedIssue,
    now: datetime,
    *,
    score: float | None,
    by: User | None = None,
) -> None:
    """Make an item a report of a tracked issue, and let GitHub hear of it."""
    tracked = TrackedIssue.objects.select_for_update().get(pk=tracked.pk)
    report.tracked, report.state, report.score = tracked, ReportState.JOINED, score
    report.candidates, report.reason, report.by, report.at = [], "", by, now
    report.save(update_fields=["tracked", "state", "score", "candidates", "reason", "by", "at"])
    _learn(report.item, tracked, score)
    _count_in(report.item, tracked)
    HistoryEntry.objects.create(
        item=report.item, at=now, by=by, event="tracked", detail={"tracked": tracked.pk}
    )
    if score is not None or by:
        note(tracked, "joined", now, by=by, item=report.item_id, score=score)
    telling.offer(report.item, tracked, now)
    renew(tracked, now)


def leave(
    report: IssueReport, state: str, now: datetime, *, reason: str = "", by: User | None = None
) -> None:
    """Take an item out of what it reported, if anything, and say what becomes of it."""
    tracked = report.tracked
    report.tracked, report.state, report.reason = None, state, reason[:200]
    report.by, report.at, report.score = by, now, None
    report.save(update_fields=["tracked", "state", "reason", "by", "at", "score"])
    if tracked is None:
        return
    Example.objects.filter(item=report.item_id).delete()
    recount(tracked)
    HistoryEntry.objects.create(
        item=report.item, at=now, by=by, event="untracked", detail={"tracked": tracked.pk}
    )
    note(tracked, "left", now, by=by, item=report.item_id)
    renew(tracked, now)


def _count_in(item: Item, tracked: TrackedIssue) -> None:
    """Count one report more. The others are not looked at: an issue may have thousands."""
    at = item.created_at
    tracked.reports += 1
    tracked.first_report_at = min(at, tracked.first_report_at or at)
    tracked.last_report_at = max(at, tracked.last_report_at or at)
    tracked.severity = _severity(tracked, item.severity)
    tracked.save(update_fields=["reports", "first_report_at", "last_report_at", "severity"])


def recount(tracked: TrackedIssue) -> None:
    """Count the reports anew: how many, the first, the last, the worst."""
    joined = tracked.issue_reports.filter(state=ReportState.JOINED)
    found = joined.aggregate(
        reports=Count("pk"),
        first=Min("item__created_at"),
        last=Max("item__created_at"),
    )
    worst = joined.exclude(item__severity="").aggregate(worst=Min("item__severity"))["worst"]
    TrackedIssue.objects.filter(pk=tracked.pk).update(
        reports=found["reports"],
        first_report_at=found["first"],
        last_report_at=found["last"],
        severity=_severity(tracked, worst),
    )
    tracked.refresh_from_db()


def renew(tracked: TrackedIssue, now: datetime) -> None:
    """Have the count and the labels on GitHub follow; what is not filed yet is filed with them."""
    if tracked.state == TrackedState.FILING or not tracked.is_live:
        return
    waiting = OutboxEntry.objects.filter(
        kind="update", tracked=tracked, state=Delivery.PENDING
    ).select_for_update()
    if waiting.exists():  # locked: whoever sends it reads the count after us
        return
    number = OutboxEntry.objects.filter(kind="update", tracked=tracked).count() + 1
    OutboxEntry.objects.create(
        key=f"update:{tracked.key}:{number}",
        kind="update",
        tracked=tracked,
        channel="github",
        next_attempt_at=now + GATHER,
        created_at=now,
    )


def note(
    tracked: TrackedIssue,
    event: str,
    at: datetime,
    /,
    *,
    by: User | None = None,
    is_theirs: bool = False,
    **detail: Any,
) -> None:
    """A line in the history of a tracked issue."""
    TrackedEvent.objects.create(
        tracked=tracked, at=at, event=event, by=by, is_theirs=is_theirs, detail=detail
    )


def told_of(tracked: TrackedIssue, at_most: int, *, newest: bool = False) -> list[Told]:
    """The reports of an issue as they may be told, oldest first unless `newest`."""
    order = ("-item__created_at", "-item_id") if newest else ("item__created_at", "item_id")
    # A count looks at many, a body at the first few.
    limit = TEXT_LIMIT if newest else QUOTE_LIMIT
    reports = with_text(tracked.issue_reports.filter(state=ReportState.JOINED), limit)
    return [told(report) for report in reports.order_by(*order)[:at_most]]


def with_text(reports: "QuerySet[IssueReport]", limit: int) -> "QuerySet[IssueReport]":
    """Reports with their item, its author and so much of its first message."""
    first = Message.objects.filter(item=OuterRef("item_id"), kind=Kind.POST, ours=False)
    first = first.order_by("created_at", "id").annotate(begin=Substr("text", 1, limit))
    return reports.select_related("item", "item__author").annotate(
        begin=Subquery(first.values("begin")[:1])
    )


def told(report: IssueReport) -> Told:
    """A report of `with_text` as it may be told."""
    item = report.item
    author = item.author
    return Told(
        channel=item.channel,
        title=item.title,
        text=report.begin or item.first_words,  # type: ignore[attr-defined]
        url=item.url,
        at=item.created_at,
        names=tuple(filter(None, (author.name, author.handle))) if author else (),
        may_quote=report.may_quote,
    )


def subject_of(tracked: TrackedIssue) -> wording.Subject:
    """A tracked issue as the words about it depend on it."""
    return wording.Subject(
        key=tracked.key,
        category=tracked.category,
        severity=tracked.severity,
        count=tracked.reports,
        is_public=not tracked.is_private,
    )


def examples_of(item: Item) -> dict[str, Any] | None:
    """What of an item is compared with later reports, None without a meaning."""
    reading = getattr(item, "reading", None)
    if reading is None or not reading.embedding:
        return None
    first = item.messages.filter(kind=Kind.POST, ours=False).order_by("created_at", "id").first()
    text = first.text[:TEXT_LIMIT] if first else ""
    return {
        "title": item.title,
        "text": text,
        "embedding": reading.embedding,
        "at": item.created_at,
    }


def _learn(item: Item, tracked: TrackedIssue, score: float | None) -> None:
    """Keep other words for the same as an example."""
    if score is not None and score >= NEW_WORDS:
        return
    if tracked.examples.count() < EXAMPLES and (values := examples_of(item)):
        Example.objects.filter(item=item).delete()  # its number must be a new one
        Example.objects.create(tracked=tracked, item=item, **values)


def _severity(tracked: TrackedIssue, worst: str | None) -> str:
    if tracked.category != Category.BUG:
        return ""
    known = [one for one in (worst, tracked.severity) if one in Severity.values]
    return str(min(known)) if known else ""


def people(tracked: TrackedIssue) -> int:
    """How many different people reported it; who is not known counts as one each."""
    joined = tracked.issue_reports.filter(state=ReportState.JOINED)
    known = joined.exclude(item__author=None).values("item__author").distinct().count()
    return int(known + joined.filter(item__author=None).count())
