"""What follows here from what happened on GitHub: closed, reopened, answered, edited, gone.

What GitHub says is compared with what is known, so that news that come twice or late change
nothing. Each function works in one transaction with the tracked issue's row locked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from feedback.models import HistoryEntry, Item, Kind, Message
from feedback.vocabulary import Closed, Severity, State
from triage import clocks, playbook
from triage.conversation import give_out
from triage.models import ClockKind
from triage.tracking import records, telling, wording
from triage.tracking.models import (
    Draft,
    Occasion,
    TrackedIssue,
    TrackedState,
)

FIXED = ("completed", "resolved", "")
TEAM = ("OWNER", "MEMBER", "COLLABORATOR")
ANSWER_LIMIT = 5_000
_ANSWER = re.compile(r"^\s*/reply\b[ \t]*\n?(.*)\Z", re.DOTALL | re.IGNORECASE)
_DUPLICATE = re.compile(r"^\s*duplicate of #(\d{1,9})\b", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A tracked issue as GitHub has it now."""

    is_open: bool
    reason: str
    title: str
    body: str
    labels: tuple[str, ...]
    milestone: str
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A comment on a tracked issue; `rights` is its author's place in the repository."""

    id: str
    body: str
    rights: str
    login: str


def follow(pk: int, seen: Seen, now: datetime) -> None:
    """Take over what GitHub has of a tracked issue, and draw the consequences once."""
    with transaction.atomic():
        tracked = TrackedIssue.objects.select_for_update().get(pk=pk)
        if tracked.state not in (TrackedState.OPEN, TrackedState.CLOSED):
            return
        _take_over(tracked, seen, now)
        if tracked.state == TrackedState.OPEN and not seen.is_open:
            _closed(tracked, seen, now)
        elif tracked.state == TrackedState.CLOSED and seen.is_open:
            _reopened(tracked, now)
        elif tracked.state == TrackedState.CLOSED and seen.milestone and not tracked.version:
            versioned(tracked, seen.milestone)


def gone(pk: int, why: str, now: datetime) -> None:
    """It is not there any more; its reports stay ours."""
    with transaction.atomic():
        tracked = TrackedIssue.objects.select_for_update().get(pk=pk)
        if tracked.state in (TrackedState.GONE, TrackedState.MERGED):
            return
        tracked.state, tracked.trouble = TrackedState.GONE, why
        tracked.save(update_fields=["state", "trouble"])
        records.note(tracked, "gone", now, is_theirs=True, why=why)
        _tell_items(tracked, "tracked_gone", now)


def answered(pk: int, said: Said, now: datetime) -> bool:
    """Make drafts of a comment that the team marked for the public (`/reply …`)."""
    found = _ANSWER.match(_COMMENT.sub("", said.body))
    if found is None or said.rights not in TEAM:
        return False
    text = found[1].strip()[:ANSWER_LIMIT]
    if not text:
        return False
    with transaction.atomic():
        tracked = TrackedIssue.objects.select_for_update().get(pk=pk)
        key = f"answer:{tracked.key}:{said.id}"
        if tracked.tellings.filter(key=key).exists():
            return False
        telling.tell(tracked, Occasion.ANSWER, text, now, key=key)
        records.note(tracked, "answered", now, is_theirs=True, login=said.login)
    return True


def duplicate_of(said: Said) -> int | None:
    """The issue that the team calls this one a duplicate of, in GitHub's own words for it."""
    found = _DUPLICATE.match(said.body)
    return int(found[1]) if found and said.rights in TEAM else None


def versioned(tracked: TrackedIssue, version: str) -> None:
    """The version that has the fix is known: the open drafts say so."""
    TrackedIssue.objects.filter(pk=tracked.pk).update(version=version[:100])
    for one in tracked.tellings.filter(occasion=Occasion.RESOLVED, is_over=False):
        telling.rewrite(one, {"version": version[:100]})


def _take_over(tracked: TrackedIssue, seen: Seen, now: datetime) -> None:
    """Title, mark and severity as others have edited them."""
    if seen.title and seen.title[:300] != tracked.title:
        records.note(
            tracked, "renamed", now, is_theirs=True, was=tracked.title, now=seen.title[:300]
        )
        tracked.title = seen.title[:300]
        tracked.save(update_fields=["title"])
    mark = wording.issue_mark(tracked.key)
    is_gone = tracked.is_ours and mark not in seen.body
    if is_gone and not tracked.events.filter(event="mark_gone").exists():
        records.note(tracked, "mark_gone", now, is_theirs=True)
        tracked.trouble = "Its mark was edited away on GitHub; it is known by its number."
        tracked.save(update_fields=["trouble"])
    theirs = [label for label in seen.labels if label in Severity.values]
    if len(theirs) == 1 and (not tracked.severity or theirs[0] < tracked.severity):
        records.note(tracked, "severity", now, is_theirs=True, was=tracked.severity, now=theirs[0])
        ours = [label for label in tracked.labels if label not in Severity.values]
        tracked.severity, tracked.labels = theirs[0], [*ours, theirs[0]]
        tracked.save(update_fields=["severity", "labels"])


def _closed(tracked: TrackedIssue, seen: Seen, now: datetime) -> None:
    tracked.state, tracked.state_reason = TrackedState.CLOSED, seen.reason
    tracked.closed_at, tracked.version = seen.closed_at or now, seen.milestone[:100]
    tracked.save(update_fields=["state", "state_reason", "closed_at", "version"])
    records.note(tracked, "closed", now, is_theirs=True, reason=seen.reason)
    if seen.reason not in FIXED:
        _tell_items(tracked, "tracked_not_planned", now)
        return
    for item in telling.reporters(tracked):
        _keep_promise(item, now)
    _tell_items(tracked, "tracked_fixed", now)
    for known in tracked.tellings.filter(occasion=Occasion.KNOWN):
        telling.drop(known.drafts.open())
    template = playbook.current().templates.get(telling.RESOLVED)
    if template:
        values = {"version": tracked.version}
        # Closed again after it was reopened is another occasion.
        key = f"resolved:{tracked.key}:{tracked.events.filter(event='closed').count()}"
        telling.tell(
            tracked,
            Occasion.RESOLVED,
            template.text,
            now,
            key=key,
            template=telling.RESOLVED,
            values=values,
        )


def _keep_promise(item: Item, now: datetime) -> None:
    """The fix is there: its clock is met."""
    locked = Item.objects.select_for_update().get(pk=item.pk)
    board = list(locked.clocks.all())
    clocks.meet(board, [ClockKind.FIX, ClockKind.ACKNOWLEDGE], now)
    clocks.save(board)
    locked.urgency = clocks.urgency(board)
    locked.save(update_fields=["urgency"])


def _reopened(tracked: TrackedIssue, now: datetime) -> None:
    """It was not fixed after all: whoever answers for its items hears of it."""
    tracked.state, tracked.state_reason, tracked.closed_at = TrackedState.OPEN, "reopened", None
    tracked.version = ""
    tracked.save(update_fields=["state", "state_reason", "closed_at", "version"])
    records.note(tracked, "reopened", now, is_theirs=True)
    resolved = tracked.tellings.filter(occasion=Occasion.RESOLVED)
    resolved.update(is_over=True)
    telling.drop(Draft.objects.filter(telling__in=resolved))
    for item in telling.reporters(tracked):
        _promise_again(item, now)
    _tell_items(tracked, "tracked_reopened", now)
    records.renew(tracked, now)


def _promise_again(item: Item, now: datetime) -> None:
    """The item is back in the queue, its clocks run, and a note says why."""
    item = Item.objects.select_for_update().get(pk=item.pk)
    if item.state == State.CLOSED and item.closed_as not in (Closed.FIXED, Closed.ANSWERED):
        return
    board = list(item.clocks.all())
    item.state, item.closed_as, item.closed_at = State.OPEN, "", None
    give_out(item, board, playbook.current(), now, is_answered=True)
    clocks.save(board)
    item.urgency = clocks.urgency(board)
    item.save(update_fields=["state", "closed_as", "closed_at", "urgency", "responder"])
    Message.objects.create(
        item=item,
        channel=item.channel,
        kind=Kind.NOTE,
        ours=True,
        text="The tracked issue was reopened on GitHub: it is not fixed after all.",
        created_at=now,
        triaged_at=now,
    )


def _tell_items(tracked: TrackedIssue, event: str, now: datetime) -> None:
    items: Sequence[Item] = telling.reporters(tracked)
    detail = {"tracked": tracked.pk, "name": tracked.name}
    HistoryEntry.objects.bulk_create(
        [HistoryEntry(item=item, at=now, event=event, detail=detail) for item in items],
        batch_size=200,
    )
