"""What people decide of tracked issues: merge, split, move, and what a report belongs to.

Each is one transaction in which nobody else decides, with its line in both histories; GitHub hears
of it through the outbox.
"""

from contextlib import suppress
from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from feedback.hints import hint
from feedback.models import HistoryEntry, Item
from triage import playbook
from triage.models import OutboxEntry
from triage.moves import Conflict
from triage.tracking import intents, places, records
from triage.tracking.models import (
    Draft,
    DraftState,
    Example,
    IssueReport,
    ReportState,
    TrackedIssue,
    TrackedState,
)
from triage.tracking.turn import turn

NEVER_MIXED = "A security matter never joins a public issue, nor a public report a private one."


def join(item: Item, tracked_id: int, by: User) -> TrackedIssue:
    """A person says which tracked issue an item reports; it leaves the one that it was in."""
    with turn():
        now, report = timezone.now(), _report(item)
        tracked = _live(tracked_id)
        _same_secrecy(report, tracked)
        if report.tracked_id == tracked.pk:
            return tracked
        if report.tracked_id:
            records.leave(report, ReportState.WAITING, now, by=by)
        records.join(report, tracked, now, score=None, by=by)
        _done(report)
    hint("deliver")
    return tracked


def split(item: Item, by: User) -> TrackedIssue:
    """An item gets an issue of its own: it is none of the others."""
    rules = playbook.current()
    with turn():
        now, report = timezone.now(), _report(item)
        if not intents.is_on(rules):
            raise Conflict(
                "Nothing is tracked: the playbook names no repository, or no token is set."
            )
        was = report.tracked
        if was and was.reports < 2 and was.is_ours:
            raise Conflict("It is the only report of its issue already.")
        if report.state == ReportState.SECURITY or (was and was.is_private):
            where = places.private(rules)
            if where is None:
                raise Conflict("The playbook names no place for security matters.")
        else:
            place = places.public(rules)
            where = (place, places.form(item.category, place))
        if was:
            records.leave(report, ReportState.WAITING, now, by=by)
        is_private = bool(was and was.is_private) or report.state == ReportState.SECURITY
        tracked = records.file(report, where[0], now, form=where[1], is_private=is_private, by=by)
        _done(report)
    return tracked


def set_apart(item: Item, by: User) -> None:
    """A person says that an item is not tracked at all."""
    with turn():
        report = _report(item)
        records.leave(report, ReportState.APART, timezone.now(), reason="A person said so.", by=by)
        _done(report)


def harmless(item: Item, by: User) -> None:
    """A person says that an item is no security matter: it is decided on like any other."""
    with turn():
        now, report = timezone.now(), _report(item)
        if report.state != ReportState.SECURITY and not (
            report.tracked and report.tracked.is_private
        ):
            raise Conflict("It is not held as a security matter.")
        records.leave(report, ReportState.WAITING, now, by=by)
        Item.objects.filter(pk=item.pk).update(restricted_at=None)
        IssueReport.objects.filter(pk=report.pk).update(is_harmless=True, due_at=now, by=None)
        HistoryEntry.objects.create(item=item, at=now, by=by, event="no_security_matter")
        hint("track")


def may_quote(item: Item, by: User) -> None:
    """A person allows that a mail is quoted in public."""
    with turn():
        now, report = timezone.now(), _report(item)
        IssueReport.objects.filter(pk=report.pk).update(may_quote=True)
        HistoryEntry.objects.create(item=item, at=now, by=by, event="may_be_quoted")
        if report.tracked:
            records.renew(report.tracked, now)


def merge(tracked_id: int, into_id: int, by: User) -> TrackedIssue:
    """One issue goes into another with all its reports; on GitHub it says where, and closes."""
    with turn():
        now = timezone.now()
        if tracked_id == into_id:
            raise Conflict("An issue cannot be merged into itself.")
        into, tracked = _live(into_id), _live(tracked_id)
        merge_within(tracked, into, now, by)
    hint("deliver")
    return into


def merge_within(
    tracked: TrackedIssue, into: TrackedIssue, now: datetime, by: User | None = None
) -> None:
    """The same, in the caller's turn. Raises Conflict."""
    if tracked.is_private != into.is_private:
        raise Conflict(NEVER_MIXED)
    if tracked.category != into.category:
        raise Conflict("A bug and a feature request are not the same.")
    items = tracked.issue_reports.filter(state=ReportState.JOINED).values_list("item_id", flat=True)
    moved = list(items)
    tracked.issue_reports.update(tracked=into)
    _move_examples(tracked, into)
    Draft.objects.filter(telling__tracked=tracked, state=DraftState.OPEN).update(
        state=DraftState.DROPPED
    )
    tracked.state, tracked.merged_into, tracked.reports = TrackedState.MERGED, into, 0
    tracked.save(update_fields=["state", "merged_into", "reports"])
    records.recount(into)
    records.note(tracked, "merged", now, by=by, into=into.pk, name=into.name)
    records.note(into, "took_in", now, by=by, tracked=tracked.pk, name=tracked.name)
    HistoryEntry.objects.bulk_create(
        [
            HistoryEntry(item_id=pk, at=now, by=by, event="tracked", detail={"tracked": into.pk})
            for pk in moved
        ],
        batch_size=200,
    )
    OutboxEntry.objects.create(
        key=f"merge:{tracked.key}:{into.key}",
        kind="merge",
        tracked=tracked,
        channel="github",
        next_attempt_at=now,
        created_at=now,
    )
    records.renew(into, now)


def _move_examples(tracked: TrackedIssue, into: TrackedIssue) -> None:
    """The other words for the same are examples of the issue that they are now of."""
    room = max(0, records.EXAMPLES - into.examples.count())
    keep = list(tracked.examples.order_by("pk").values_list("pk", flat=True)[:room])
    Example.objects.filter(pk__in=keep).update(tracked=into)
    tracked.examples.all().delete()


def _report(item: Item) -> IssueReport:
    """The item's report, made where there was none, locked."""
    now = timezone.now()
    with suppress(IssueReport.DoesNotExist):
        rows = IssueReport.objects.select_for_update(of=("self",)).select_related("item", "tracked")
        return rows.get(item=item)
    return IssueReport.objects.create(item=item, at=now)


def _live(pk: int) -> TrackedIssue:
    found = TrackedIssue.objects.select_for_update().filter(pk=pk).first()
    if found is None or not found.is_live:
        raise Conflict("That issue is not tracked any more. Reload to see what became of it.")
    return found


def _same_secrecy(report: IssueReport, tracked: TrackedIssue) -> None:
    is_secret = report.state == ReportState.SECURITY or bool(
        report.tracked and report.tracked.is_private
    )
    if is_secret != tracked.is_private:
        raise Conflict(NEVER_MIXED)


def _done(report: IssueReport) -> None:
    IssueReport.objects.filter(pk=report.pk).update(due_at=None)
