"""GitHub's side of the tracked issues, read by polls; a webhook only says that it is time to look.

So a delivery that comes twice, late or out of order changes nothing: what counts is what GitHub
says when it is asked. Issues that others opened become candidates for new reports.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from feedback.channels.base import SourceStopped, TryLater
from feedback.channels.github import discussion_tracker as discussions
from feedback.channels.github import tracker
from feedback.channels.github.api import Api, Gone
from feedback.channels.github.posts import is_own, issue_id, moment
from feedback.vocabulary import Category
from triage import playbook
from triage.classifier import ModelError, Text, get_reader
from triage.moves import Conflict
from triage.similar import packed
from triage.tracking import consequences, intents, moves, places, repositories
from triage.tracking.consequences import Said, Seen
from triage.tracking.models import (
    Example,
    Form,
    RepositoryState,
    TrackedIssue,
    TrackedRepository,
    TrackedState,
)
from triage.tracking.turn import turn

EVERY = timedelta(minutes=5)
LEASE = timedelta(seconds=120)
LOOKED_AT = 20  # issues of one round
BODY = 2_000  # characters of an issue that are compared
READ = 64  # issues of others that are read at once
WRITABLE = (RepositoryState.WELL, RepositoryState.FORBIDDEN)
REQUEST_LABELS = ("enhancement", "feature", "feature request", "feature-request", "idea")

log = logging.getLogger(__name__)


def is_due(now: datetime) -> bool:
    """Whether something is to be asked of GitHub; read by the scheduler."""
    if not intents.has_credential():
        return False
    rules = playbook.current()
    if not intents.is_on(rules):
        return False
    polled = TrackedRepository.objects.filter(next_poll_at__gt=now).values_list("name", flat=True)
    wanted = {rules.tracking.repository} - set(polled)
    return bool(wanted) or _due_repositories(now).exists() or _due_issues(now).exists()


def follow_due(seconds: float = 5.0) -> bool:
    """Ask for what is due, for at most about `seconds`. Returns whether there may be more."""
    rules, end = playbook.current(), time.monotonic() + seconds
    if not intents.is_on(rules):
        return False
    places.all_of(rules)
    now = timezone.now()
    for row in _due_repositories(now):
        claimed = TrackedRepository.objects.filter(pk=row.pk, next_poll_at=row.next_poll_at)
        if claimed.update(next_poll_at=now + EVERY):
            _safely(lambda row=row: _poll(row))
    for tracked in list(_due_issues(now).select_related("repository")[:LOOKED_AT]):
        taken = TrackedIssue.objects.filter(pk=tracked.pk, look_at=tracked.look_at)
        if taken.update(look_at=now + LEASE):
            _safely(lambda tracked=tracked: _look(tracked))
    return time.monotonic() > end or _due_issues(timezone.now()).exists()


def _due_repositories(now: datetime) -> Any:
    return TrackedRepository.objects.filter(Q(next_poll_at=None) | Q(next_poll_at__lte=now))


def _due_issues(now: datetime) -> Any:
    return TrackedIssue.objects.filter(look_at__lte=now).order_by("look_at")


def _safely(act: Any) -> None:
    """What GitHub cannot tell now is asked again at the next poll."""
    try:
        act()
    except (TryLater, SourceStopped, Gone, ModelError) as error:
        log.warning("tracking.later", extra={"reason": str(error)[:200]})


def _poll(row: TrackedRepository) -> None:
    """Everything that changed in a repository since the last time."""
    with Api() as api:
        if repositories.look(api, row) not in WRITABLE:
            return
        name = row.full_name
        cursor = dict(row.cursor)
        cursor["issues"] = _issues(api, row, str(cursor.get("issues") or ""))
        began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        cursor["comments"] = _comments(api, row, str(cursor.get("comments") or began))
        _discussions(row)
        cursor["release"] = _release(api, row, str(cursor.get("release") or ""))
    TrackedRepository.objects.filter(pk=row.pk).update(cursor=cursor)
    log.info("tracking.polled", extra={"repository": name})


def _issues(api: Api, row: TrackedRepository, since: str) -> str:
    """Issues that changed; returns the new cursor."""
    new: list[Mapping[str, Any]] = []
    for issue in tracker.changed_issues(api, row.full_name, since or "2000-01-01T00:00:00Z"):
        since = max(since, str(issue.get("updated_at") or ""))
        number = issue.get("number")
        if "pull_request" in issue or not isinstance(number, int):
            continue
        id_ = issue_id(row.repository_id or 0, number)
        known = TrackedIssue.objects.filter(external_id=id_).values_list("pk", flat=True).first()
        if known:
            consequences.follow(known, seen(issue), timezone.now())
        elif issue.get("state") == "open" and not is_own(issue.get("body")):
            new.append(issue)
    for start in range(0, len(new), READ):
        _adopt(row, new[start : start + READ])
    return since


def _comments(api: Api, row: TrackedRepository, since: str) -> str:
    """Comments that changed; those marked for the public become drafts."""
    for comment in tracker.changed_comments(api, row.full_name, since):
        since = max(since, str(comment.get("updated_at") or ""))
        number = str(comment.get("issue_url") or "").rsplit("/", 1)[-1]
        if is_own(comment.get("body")) or not number.isdecimal():
            continue
        id_ = issue_id(row.repository_id or 0, int(number))
        if known := TrackedIssue.objects.filter(external_id=id_).first():
            _heard(known, _said(comment), timezone.now())
    return since


def _discussions(row: TrackedRepository) -> None:
    """Tracked discussions that are open, the newest reported first."""
    tracked = row.issues.filter(form=Form.DISCUSSION, state=TrackedState.OPEN)
    tracked.filter(look_at=None).update(look_at=timezone.now())


def _look(tracked: TrackedIssue) -> None:
    """One tracked issue as it is now."""
    row = tracked.repository
    with Api() as api:
        name, now = row.full_name or row.name, timezone.now()
        try:
            if tracked.form == Form.DISCUSSION:
                _look_at_discussion(api, name, tracked, now)
            elif tracked.form == Form.ISSUE and tracked.number:
                issue = tracker.issue(api, name, tracked.number)
                consequences.follow(tracked.pk, seen(issue), now)
        except Gone:
            if repositories.look(api, row) in WRITABLE:
                consequences.gone(tracked.pk, "It was deleted on GitHub.", now)
        except SourceStopped:
            if repositories.look(api, row) in WRITABLE and (row.full_name or row.name) == name:
                consequences.gone(tracked.pk, "It was moved to another repository.", now)
    TrackedIssue.objects.filter(pk=tracked.pk).update(look_at=None)


def _look_at_discussion(api: Api, name: str, tracked: TrackedIssue, now: datetime) -> None:
    node = discussions.look(api, name, tracked.node_id)
    consequences.follow(tracked.pk, seen(node), now)
    for comment in (node.get("comments") or {}).get("nodes") or []:
        if not is_own(comment.get("body")):
            _heard(tracked, _said(comment), now)


def _heard(tracked: TrackedIssue, said: Said, now: datetime) -> None:
    """What the team says on GitHub for us to do: answer everyone, or merge ("Duplicate of #7")."""
    consequences.answered(tracked.pk, said, now)
    number = consequences.duplicate_of(said)
    if number is None:
        return
    with suppress(Conflict), turn():
        rows = TrackedIssue.objects.select_for_update().filter(repository=tracked.repository_id)
        into = rows.filter(number=number).exclude(pk=tracked.pk).first()
        current = rows.filter(pk=tracked.pk).first()
        if into and current and into.is_live and current.is_live:
            moves.merge_within(current, into, now)


def _release(api: Api, row: TrackedRepository, known: str) -> str:
    """A release that came after a fix without a milestone is the version that has it."""
    tag, published = tracker.latest_release(api, row.full_name)
    if not tag or tag == known:
        return known
    try:
        at = moment(published)
    except ValueError:
        return tag
    closed = row.issues.filter(state=TrackedState.CLOSED, version="", closed_at__lte=at)
    for tracked in closed.filter(state_reason__in=consequences.FIXED):
        consequences.versioned(tracked, tag)
    return tag


def seen(row: Mapping[str, Any]) -> Seen:
    """An issue by REST, or a discussion by GraphQL, as it is compared."""
    milestone = row.get("milestone")
    labels = row.get("labels")
    nodes = labels.get("nodes") if isinstance(labels, Mapping) else labels
    closed = row.get("closed_at") or row.get("closedAt")
    return Seen(
        is_open=row.get("state") != "closed" and not row.get("closed"),
        reason=str(row.get("state_reason") or row.get("stateReason") or "").casefold(),
        title=str(row.get("title") or ""),
        body=str(row.get("body") or ""),
        labels=tuple(str(one.get("name")) for one in nodes or [] if isinstance(one, Mapping)),
        milestone=str(milestone.get("title") or "") if isinstance(milestone, Mapping) else "",
        closed_at=moment(closed) if closed else None,
    )


def _said(row: Mapping[str, Any]) -> Said:
    author = row.get("user") or row.get("author")
    return Said(
        id=str(row.get("id")),
        body=str(row.get("body") or ""),
        rights=str(row.get("author_association") or row.get("authorAssociation") or ""),
        login=str(author.get("login")) if isinstance(author, Mapping) else "",
    )


def _adopt(row: TrackedRepository, issues: Sequence[Mapping[str, Any]]) -> None:
    """Make candidates of issues that others opened: read them, outside the turn."""
    rules = playbook.current()
    texts = [
        Text(
            text=str(i.get("body") or "")[:BODY], title=str(i.get("title") or ""), channel="github"
        )
        for i in issues
    ]
    readings = get_reader().read(texts, rules)
    is_private = row.name == rules.tracking.private_repository
    for issue, text, reading in zip(issues, texts, readings, strict=True):
        names = {str(label.get("name")).casefold() for label in issue.get("labels") or []}
        is_wish = bool(names & set(REQUEST_LABELS)) or (
            reading.category == Category.FEATURE and "bug" not in names
        )
        with turn():
            _candidate(row, issue, text, packed(reading.embedding), is_wish, is_private)


def _candidate(
    row: TrackedRepository,
    issue: Mapping[str, Any],
    text: Text,
    embedding: bytes | None,
    is_wish: bool,
    is_private: bool,
) -> None:
    now, number = timezone.now(), int(issue["number"])
    tracked, is_new = TrackedIssue.objects.get_or_create(
        external_id=issue_id(row.repository_id or 0, number),
        defaults={
            "key": uuid4().hex,
            "form": Form.ISSUE,
            "category": Category.FEATURE if is_wish else Category.BUG,
            "is_private": is_private,
            "is_ours": False,
            "repository": row,
            "number": number,
            "node_id": str(issue.get("node_id") or "")[:100],
            "url": str(issue.get("html_url") or "")[:500],
            "title": text.title[:300] or "(no title)",
            "state": TrackedState.OPEN,
            "created_at": now,
        },
    )
    if is_new and embedding:
        Example.objects.create(
            tracked=tracked, title=text.title[:500], text=text.text, embedding=embedding, at=now
        )


def wake(name: str, number: int | None, now: datetime) -> None:
    """It is time to look at a repository, and at one of its issues or discussions."""
    rows = TrackedRepository.objects.filter(Q(full_name__iexact=name) | Q(name__iexact=name))
    with transaction.atomic():
        if number is not None:
            TrackedIssue.objects.filter(repository__in=rows, number=number).update(look_at=now)
        rows.update(next_poll_at=now)
