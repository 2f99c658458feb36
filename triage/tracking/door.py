"""How issues, their counts and merges leave for GitHub: one write at a time, each once.

What cannot be written because of the repository's state waits, with that state for its reason.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from feedback.channels.base import Absent, Later, Refused, Sent, SourceStopped, TryLater, Unsure
from feedback.channels.github import discussion_tracker as discussions
from feedback.channels.github import tracker
from feedback.channels.github.api import Api, Gone
from feedback.channels.github.tracker import Doubtful, Filed, NewIssue, WriteRefused
from triage import playbook
from triage.models import OutboxEntry
from triage.outbox import NotYet, Outcome
from triage.tracking import records, repositories, wording
from triage.tracking.models import (
    Form,
    RepositoryState,
    TrackedIssue,
    TrackedRepository,
    TrackedState,
)

WAIT_FOR_STATE = timedelta(minutes=5)
NAP = timedelta(seconds=1.5)  # a turn that comes so soon is waited for
COUNTED = 1_000  # newest reports that the comment counts by channel
BODY_LIMIT = 65_000  # characters; GitHub's is 65,536


class _Door:
    """What all writes to GitHub have in common."""

    def __init__(self, entry: OutboxEntry) -> None:
        """Raises SourceStopped if the tracked issue is gone."""
        if entry.tracked is None:
            raise SourceStopped("The tracked issue is gone.")
        self.entry = entry
        self.tracked: TrackedIssue = entry.tracked
        self.place: TrackedRepository = self.tracked.repository
        self.trouble: list[str] = []

    def before(self) -> NotYet | None:
        """Whether the repository takes anything, and it is our turn."""
        if reason := self._not_ready():
            return NotYet(reason, WAIT_FOR_STATE)
        wait = repositories.take_turn(self.place, timezone.now())
        if wait and wait <= NAP:
            time.sleep(wait.total_seconds())
            wait = repositories.take_turn(self.place, timezone.now())
        return NotYet("GitHub takes one write at a time.", wait) if wait else None

    def send(self) -> Outcome:
        """Write once; the turn is given on whatever comes of it."""
        return self._with_api(self._send)

    def find(self) -> Sent | Absent:
        """Whether an earlier attempt has arrived. Raises TryLater."""
        try:
            with Api() as api:
                found = self._find(api, self._name(api))
        except (Gone, SourceStopped) as error:  # told by the repository's state at the write
            raise TryLater(str(error)) from error
        if found is None:
            return Absent()
        repositories.give_turn(self.place)
        return found

    def arrived(self, sent: Sent, now: datetime) -> None:
        """Nothing more by default."""

    def _not_ready(self) -> str:
        """Why it cannot be written now."""
        if self.place.state == RepositoryState.WELL:
            return ""
        with Api() as api:
            state = repositories.look(api, self.place)
        if state == RepositoryState.FORBIDDEN and self.entry.attempts % 2 == 0:
            return ""  # nothing but a write can tell whether the permission is there now
        return "" if state == RepositoryState.WELL else self.place.error

    def _send(self, api: Api, name: str) -> Outcome:
        raise NotImplementedError

    def _find(self, api: Api, name: str) -> Sent | None:
        """What is there of it; by default it can be sent again, for it changes nothing twice."""
        return None

    def _name(self, api: Api) -> str:
        """What the repository is called; asked for once."""
        if not self.place.repository_id:
            repositories.look(api, self.place)
        return self.place.full_name or self.place.name

    def _with_api(self, act: Callable[[Api, str], Outcome]) -> Outcome:
        limit: timedelta | None = None
        try:
            with Api() as api:
                try:
                    name = self._name(api)
                    if self.place.state not in (RepositoryState.WELL, RepositoryState.FORBIDDEN):
                        return NotYet(self.place.error, WAIT_FOR_STATE)
                    outcome = act(api, name)
                except WriteRefused as error:
                    return self._refused(api, error)
                if self.place.state == RepositoryState.FORBIDDEN:  # it went through
                    repositories.set_state(self.place, RepositoryState.WELL)
                return outcome
        except Doubtful as error:
            return Unsure(str(error))
        except TryLater as error:
            if error.wait:
                limit = repositories.limited(self.place, error.wait)
                return NotYet(str(error), limit)
            return Later(str(error))
        except SourceStopped as error:
            repositories.set_state(self.place, RepositoryState.CREDENTIAL, str(error))
            return NotYet(self.place.error, WAIT_FOR_STATE)
        except Gone as error:
            return Later(str(error), WAIT_FOR_STATE)
        finally:
            if limit is None:
                repositories.give_turn(self.place)

    def _refused(self, api: Api, error: WriteRefused) -> Outcome:
        """A refusal that the repository's state explains waits for it; any other is final."""
        was = self.place.full_name
        state = repositories.refused(api, self.place, error)
        if state != RepositoryState.WELL:
            return NotYet(self.place.error, WAIT_FOR_STATE)
        if self.place.full_name != was or error.status in (301, 302, 307, 308):
            return NotYet("The repository was renamed.", timedelta(seconds=1))
        return Refused(f"GitHub refuses it: {error.said}")

    def _labels(self, api: Api, name: str) -> list[str]:
        """The labels that it should have and the repository has or takes; others are told of."""
        rules = playbook.current()
        told = records.told_of(self.tracked, COUNTED)
        request_label = rules.tracking.request_label
        wanted = wording.labels(told, records.subject_of(self.tracked), request_label)
        known = dict(self.place.labels)
        for label in wanted:
            if label in known:
                continue
            try:
                known[label] = tracker.make_label(api, name, label)
            except WriteRefused as error:
                if error.status == 401:
                    raise
                self.trouble.append(f"The label “{label}” cannot be made: {error.said}")
        if known != self.place.labels:
            self.place.labels = known
            TrackedRepository.objects.filter(pk=self.place.pk).update(labels=known)
        return [label for label in wanted if label in known]

    def _tell(self, **values: object) -> None:
        """Write what was learnt of the tracked issue, whatever becomes of the entry."""
        if self.trouble:
            values["trouble"] = " ".join(self.trouble)
        if values:
            TrackedIssue.objects.filter(pk=self.tracked.pk).update(**values)


class FilingDoor(_Door):
    """Files a tracked issue as what it is: an issue, a discussion, a draft advisory."""

    def _not_ready(self) -> str:
        if waits := super()._not_ready():
            return waits
        if self.tracked.is_private and self.tracked.form == Form.ISSUE:
            with Api() as api:  # asked each time: what is secret must not go to a public place
                repositories.look(api, self.place)
            if not self.place.is_private:
                repositories.set_state(self.place, RepositoryState.PUBLIC)
                return self.place.error
        return ""

    def _send(self, api: Api, name: str) -> Outcome:
        tracked = self.tracked
        if tracked.form == Form.ADVISORY:
            return tracker.create_advisory(api, name, self._new([]))
        if tracked.form == Form.DISCUSSION and (filed := self._discuss(api, name)):
            return filed
        labels = self._labels(api, name)
        self._tell(labels=labels)
        return tracker.create_issue(api, name, self.place.repository_id or 0, self._new(labels))

    def _discuss(self, api: Api, name: str) -> Filed | None:
        """File a discussion; None where the repository has none any more."""
        node_id, found = discussions.categories(api, name)
        if not found:
            TrackedIssue.objects.filter(pk=self.tracked.pk).update(form=Form.ISSUE)
            self.tracked.form = Form.ISSUE
            return None
        wanted = playbook.current().tracking.request_category.casefold()
        named = [row for row in found if str(row.get("name")).casefold() == wanted]
        category = str((named or found)[0]["id"])
        return discussions.create(api, name, node_id, category, self._new([]))

    def _find(self, api: Api, name: str) -> Sent | None:
        new = self._new([])
        if self.tracked.form == Form.ADVISORY:
            return tracker.find_advisory(api, name, new.mark)
        if self.tracked.form == Form.DISCUSSION:
            return discussions.find(api, name, new.mark)
        others = TrackedIssue.objects.filter(repository=self.place, number__isnull=False)
        taken = list(others.filter(title=self.tracked.title).values_list("number", flat=True))
        return tracker.find_issue(
            api, name, self.place.repository_id or 0, new, [number or 0 for number in taken]
        )

    def _new(self, labels: list[str]) -> NewIssue:
        tracked = self.tracked
        tracked.refresh_from_db(fields=["title", "severity", "reports"])
        subject = records.subject_of(tracked)
        told = records.told_of(tracked, wording.QUOTED)
        return NewIssue(
            title=tracked.title,
            body=wording.body(told, subject)[:BODY_LIMIT],
            labels=labels,
            mark=wording.issue_mark(tracked.key),
            decided_at=self.entry.created_at,
        )

    def arrived(self, sent: Sent, now: datetime) -> None:
        """It is open; what was reported meanwhile, and a discussion's labels, follow."""
        tracked = TrackedIssue.objects.select_for_update().get(pk=self.tracked.pk)
        tracked.external_id, tracked.url = sent.external_id, sent.url
        if isinstance(sent, Filed):
            tracked.number, tracked.node_id = sent.number, sent.node_id
        tracked.state = TrackedState.OPEN
        tracked.save(update_fields=["external_id", "url", "number", "node_id", "state"])
        records.note(tracked, "filed", now, is_theirs=True, url=sent.url)
        if tracked.reports > 1 or tracked.form == Form.DISCUSSION:
            records.renew(tracked, now)


class UpdateDoor(_Door):
    """Has the comment that counts, and the labels, say what is so now."""

    def _not_ready(self) -> str:
        if self.tracked.state == TrackedState.FILING:
            return "It is not filed yet."
        return super()._not_ready()

    def _send(self, api: Api, name: str) -> Outcome:
        tracked = self.tracked
        tracked.refresh_from_db()
        if tracked.state in (TrackedState.MERGED, TrackedState.GONE):
            return Sent("")
        try:
            if tracked.form == Form.ADVISORY:
                tracker.edit_advisory(api, name, tracked.external_id or "", self._advisory())
            else:
                self._count(api, name)
                self._label(api, name)
        except WriteRefused as error:
            if error.status not in (404, 410) or not self._is_gone(api, name):
                raise
            _lost(tracked)
            return Refused("The issue was deleted on GitHub.")
        self._tell()
        return Sent(tracked.comment_id)

    def _count(self, api: Api, name: str) -> None:
        """Edit the comment that counts, or make it where there is none, or none any more."""
        tracked, body = self.tracked, self._body()
        if tracked.comment_id:
            try:
                self._edit(api, name, body)
            except WriteRefused as error:
                if error.status not in (404, 410) and not _is_unknown(error):
                    raise
                self.trouble.append("The comment that counts was deleted; it was made anew.")
            else:
                return
        elif tracked.reports < 2:
            return  # the issue itself says that it was reported once
        mark = wording.count_mark(tracked.key)
        if tracked.form == Form.DISCUSSION:
            found = discussions.find_comment(api, name, tracked.node_id, mark)
            id_ = found or discussions.comment(api, name, tracked.node_id, body)
        else:
            number = tracked.number or 0
            found = tracker.find_comment(api, name, number, mark)
            id_ = found or tracker.comment(api, name, number, body)
        tracked.comment_id = id_
        self._tell(comment_id=id_)
        if found:  # of an attempt whose answer was lost: it may say an older count
            self._edit(api, name, body)

    def _edit(self, api: Api, name: str, body: str) -> None:
        if self.tracked.form == Form.DISCUSSION:
            discussions.edit_comment(api, name, self.tracked.comment_id, body)
        else:
            tracker.edit_comment(api, name, self.tracked.comment_id, body)

    def _label(self, api: Api, name: str) -> None:
        """Bring our labels into line; those of others stay."""
        tracked = self.tracked
        wanted = self._labels(api, name)
        add = [label for label in wanted if label not in tracked.labels]
        remove = [label for label in tracked.labels if label not in wanted]
        if not add and not remove:
            return
        if tracked.form == Form.DISCUSSION:
            ids = self.place.labels
            discussions.label(
                api,
                name,
                tracked.node_id,
                [ids[label] for label in add if ids.get(label)],
                [ids[label] for label in remove if ids.get(label)],
            )
        else:
            tracker.set_labels(api, name, tracked.number or 0, add, remove)
        self._tell(labels=wanted)

    def _body(self) -> str:
        tracked = self.tracked
        told = records.told_of(tracked, COUNTED, newest=True)
        people = records.people(tracked)
        return wording.counter(told, records.subject_of(tracked), people)[:BODY_LIMIT]

    def _advisory(self) -> str:
        told = records.told_of(self.tracked, wording.QUOTED)
        return wording.body(told, records.subject_of(self.tracked))[:BODY_LIMIT]

    def _is_gone(self, api: Api, name: str) -> bool:
        try:
            if self.tracked.form == Form.DISCUSSION:
                discussions.look(api, name, self.tracked.node_id)
            else:
                tracker.issue(api, name, self.tracked.number or 0)
        except Gone:
            return repositories.look(api, self.place) == RepositoryState.WELL
        return False


class MergeDoor(_Door):
    """Says on a merged issue where it went, and closes it if it is one of ours."""

    def _not_ready(self) -> str:
        into = self.tracked.merged_into
        if into is None or not into.url:
            return "The issue that it was merged into is not filed yet."
        return super()._not_ready()

    def _send(self, api: Api, name: str) -> Outcome:
        tracked, into = self.tracked, self.tracked.merged_into
        assert into is not None
        mark = wording.merge_mark(tracked.key, into.key)
        same = into.repository_id == tracked.repository_id
        where = f"#{into.number}" if same and into.number else into.url
        body = f"This is tracked in {where}; its reports were moved there.\n\n{mark}"
        if tracked.form == Form.DISCUSSION:
            if not discussions.find_comment(api, name, tracked.node_id, mark):
                discussions.comment(api, name, tracked.node_id, body)
            if tracked.is_ours:
                discussions.close(api, name, tracked.node_id)
        elif tracked.number:
            if not tracker.find_comment(api, name, tracked.number, mark):
                tracker.comment(api, name, tracked.number, body)
            if tracked.is_ours:
                tracker.close_issue(api, name, tracked.number)
        return Sent(tracked.external_id or "", tracked.url)


def _lost(tracked: TrackedIssue) -> None:
    now = timezone.now()
    TrackedIssue.objects.filter(pk=tracked.pk).update(
        state=TrackedState.GONE, trouble="It was deleted on GitHub."
    )
    records.note(tracked, "gone", now, is_theirs=True)


def _is_unknown(error: WriteRefused) -> bool:
    """GraphQL's way of saying that a comment is not there."""
    return "could not resolve" in error.said.casefold()
