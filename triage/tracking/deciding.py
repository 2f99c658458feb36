"""From an item that is to be tracked to its tracked issue: joined, offered to a person, or filed.

The likely issues are looked up before the turn is taken; within it only what was added meanwhile
is compared too. So two workers that read the same bug in the same second make one issue of it.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from feedback.models import Item, Kind, Message
from feedback.vocabulary import Category
from triage import playbook
from triage.duplicates.traits import Report
from triage.playbook import Playbook
from triage.similar import comparable, unpacked
from triage.tracking import intents, places, records, threads
from triage.tracking.matching import (
    WINDOW_OF_EXAMPLES,
    Among,
    Candidate,
    Nothing,
    Perhaps,
    Same,
    verdict,
)
from triage.tracking.models import IssueReport, ReportState, TrackedIssue
from triage.tracking.security import looks_secure_matter
from triage.tracking.turn import turn

BATCH = 20
LEASE = timedelta(seconds=60)
MESSAGES = 50  # of an item that are looked through for security matters

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is decided on: how the item compares, what its author said, whether it is secret."""

    report: Report
    among: Among
    secure: str  # why it looks like a security matter


def track_waiting(seconds: float = 5.0) -> bool:
    """Decide on what waits for at most about `seconds`. Returns whether there may be more."""
    end = time.monotonic() + seconds
    while claimed := _claim(timezone.now()):
        ids, lease = claimed
        for pk in ids:
            decide(pk, lease)
        if time.monotonic() > end:
            return True
    return False


def _claim(now: datetime) -> tuple[list[int], datetime] | None:
    with transaction.atomic():
        waiting = IssueReport.objects.filter(due_at__lte=now).select_for_update(skip_locked=True)
        ids = list(waiting.order_by("due_at", "id").values_list("pk", flat=True)[:BATCH])
        IssueReport.objects.filter(pk__in=ids).update(due_at=now + LEASE)
    return (ids, now + LEASE) if ids else None


def decide(pk: int, lease: datetime) -> None:
    """Decide on one item, unless it changed meanwhile or somebody else does."""
    rules = playbook.current()
    report = IssueReport.objects.select_related("item__reading").get(pk=pk)
    facts = _facts(report)
    found = WINDOW_OF_EXAMPLES.find(facts.report, facts.among)
    with turn():
        mine = IssueReport.objects.filter(pk=pk, due_at=lease).select_for_update(of=("self",))
        current = mine.select_related("item__source").first()
        if current is None:
            return
        if WINDOW_OF_EXAMPLES.is_behind():
            found = WINDOW_OF_EXAMPLES.find(facts.report, facts.among)
        now = timezone.now()
        _conclude(current, facts, found, rules, now)
        IssueReport.objects.filter(pk=pk).update(due_at=None)
    log.info("tracking.decided", extra={"item": report.item_id})


def _facts(report: IssueReport) -> Facts:
    item = report.item
    posts = Message.objects.filter(item=item, kind=Kind.POST, ours=False)
    texts = list(posts.order_by("created_at", "id").values_list("text", flat=True)[:MESSAGES])
    reading = getattr(item, "reading", None)
    stored = reading.embedding if reading else None
    compared = comparable(
        item.pk,
        item.title,
        texts[0] if texts else item.first_words,
        unpacked(stored) if stored else None,
        item.created_at,
    )
    secure = "" if report.is_harmless else looks_secure_matter("\n".join([item.title, *texts]))
    category = Category.FEATURE if item.category == Category.FEATURE else Category.BUG
    return Facts(compared, Among(category, is_private=bool(secure)), secure)


def _conclude(
    report: IssueReport, facts: Facts, found: list[Candidate], rules: Playbook, now: datetime
) -> None:
    """Write what becomes of one report; the caller has the turn."""
    if report.state == ReportState.APART and report.by_id:
        return  # a person said so
    if facts.secure:
        _keep_private(report, facts, found, rules, now)
    elif not intents.is_wanted(report.item, rules):
        if not (report.state == ReportState.JOINED and report.by_id):
            records.leave(report, ReportState.APART, now, reason="It is no bug and no request.")
    elif report.state == ReportState.JOINED and report.tracked:
        _look_again(report.tracked, now)
    else:
        _place(report, found, rules, now)


def _look_again(tracked: TrackedIssue, now: datetime) -> None:
    """A report was read anew: its severity may have changed."""
    was = tracked.severity
    records.recount(tracked)
    if tracked.severity != was:
        records.note(tracked, "severity", now, was=was, now=tracked.severity)
        records.renew(tracked, now)


def _place(report: IssueReport, found: list[Candidate], rules: Playbook, now: datetime) -> None:
    """Join, offer or file what may stand in public."""
    item, tracking = report.item, rules.tracking
    own = threads.tracked_thread(item)
    match verdict(found, tracking.sure, tracking.unsure):
        case _ if own:
            records.join(report, own, now, score=1.0)
        case Same(candidate):
            tracked = TrackedIssue.objects.get(pk=candidate.tracked)
            records.join(report, tracked, now, score=candidate.score)
        case _ if adopted := threads.adopt_thread(item, places.public(rules), now):
            records.join(report, adopted, now, score=None)
        case Perhaps(candidates):
            _offer(report, "It may be one of these.", candidates, now)
        case Nothing():
            _file(report, rules, now)


def _file(report: IssueReport, rules: Playbook, now: datetime) -> None:
    """File what is new, where the playbook files its like and the reading can be trusted."""
    item = report.item
    if item.category == Category.BUG and item.severity not in rules.tracking.file_severities:
        reason = f"The playbook files no {item.severity} by itself."
        records.leave(report, ReportState.APART, now, reason=reason)
    elif not item.trusted and not item.corrected:
        _offer(report, "It is not sure what it is: confirm its reading to file it.", (), now)
    else:
        place = places.public(rules)
        form = places.form(item.category, place)
        records.file(report, place, now, form=form, is_private=False)


def _offer(
    report: IssueReport, reason: str, candidates: tuple[Candidate, ...], now: datetime
) -> None:
    report.candidates = [[one.tracked, one.score] for one in candidates]
    report.state, report.reason, report.at = ReportState.OFFERED, reason, now
    report.save(update_fields=["state", "candidates", "reason", "at"])


def _keep_private(
    report: IssueReport, facts: Facts, found: list[Candidate], rules: Playbook, now: datetime
) -> None:
    """Restrict the item; it joins private issues alone, and is filed privately or held."""
    item = report.item
    if item.restricted_at is None:
        Item.objects.filter(pk=item.pk).update(restricted_at=now)
    if report.tracked and report.tracked.is_private:
        return
    if report.tracked:
        records.leave(report, ReportState.SECURITY, now, reason=facts.secure)
    place = places.private(rules)
    best = verdict(found, rules.tracking.sure, rules.tracking.unsure)
    if isinstance(best, Same):
        tracked = TrackedIssue.objects.get(pk=best.candidate.tracked)
        records.join(report, tracked, now, score=best.candidate.score)
    elif place and item.category == Category.BUG:
        records.file(report, place[0], now, form=place[1], is_private=True)
    else:
        report.candidates = []
        report.state, report.reason, report.at = ReportState.SECURITY, facts.secure[:200], now
        report.save(update_fields=["state", "candidates", "reason", "at"])
