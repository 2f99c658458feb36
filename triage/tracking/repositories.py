"""How a tracked repository does, in one clear state; what is wrong is told until it is over."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from feedback.channels.base import SourceStopped
from feedback.channels.github import tracker
from feedback.channels.github.api import Api, Gone
from feedback.channels.github.tracker import About, WriteRefused
from triage import troubles
from triage.tracking.models import RepositoryState, TrackedRepository

WRITE_LEASE = timedelta(seconds=30)  # longer than any request may take
PACE = timedelta(seconds=1)  # between two writes, as GitHub asks
LIMIT_FIRST, LIMIT_LONGEST = timedelta(seconds=60), timedelta(hours=1)

WHAT_TO_DO = {
    RepositoryState.CREDENTIAL: "Set GITHUB_TOKEN anew.",
    RepositoryState.GONE: "Give the credential access to it, or name another in the playbook.",
    RepositoryState.ISSUES_OFF: "Switch them on in its settings, or name another in the playbook.",
    RepositoryState.READ_ONLY: "Unarchive it, or name another in the playbook.",
    RepositoryState.FORBIDDEN: "Give the token or the app that permission.",
    RepositoryState.PUBLIC: "Make it private, or name another in the playbook.",
}


def look(api: Api, row: TrackedRepository) -> str:
    """Ask GitHub for a repository, and take over what it is. Raises TryLater.

    Returns its state. A missing permission shows itself at a write alone, so that it stays until
    one has gone through.
    """
    try:
        told = tracker.about(api, row.full_name or row.name, row.repository_id)
    except Gone as error:
        return set_state(row, RepositoryState.GONE, str(error))
    except SourceStopped as error:
        return set_state(row, RepositoryState.CREDENTIAL, str(error))
    _take_over(row, told)
    if told.is_archived:
        return set_state(row, RepositoryState.READ_ONLY)
    if not told.has_issues:
        return set_state(row, RepositoryState.ISSUES_OFF)
    if row.state == RepositoryState.FORBIDDEN:
        return row.state
    return set_state(row, RepositoryState.WELL)


def refused(api: Api, row: TrackedRepository, error: WriteRefused) -> str:
    """What a refused write says of the repository. Raises TryLater. Returns its state."""
    if error.status == 401:
        return set_state(row, RepositoryState.CREDENTIAL, error.said)
    state = look(api, row)
    if state not in (RepositoryState.WELL, RepositoryState.FORBIDDEN):
        return state
    if error.status == 410 and "disabled" in error.said.casefold():
        return set_state(row, RepositoryState.ISSUES_OFF, error.said)
    if error.status == 403:
        needs = f" It needs: {error.needs}." if error.needs else ""
        return set_state(row, RepositoryState.FORBIDDEN, error.said + needs)
    return state


def set_state(row: TrackedRepository, state: str, error: str = "") -> str:
    """Write a repository's state, and tell staff of it or that it is over."""
    key = f"tracking-{row.pk}"
    if state == RepositoryState.WELL:
        error = ""
        troubles.end(key)
    else:
        word = RepositoryState(state)
        error = " ".join(f"{word.label}. {error} {WHAT_TO_DO[word]}".split())
        troubles.begin(key, f"Nothing is filed in {row}: {error}")
    if (row.state, row.error) != (state, error):
        row.state, row.error = state, error
        TrackedRepository.objects.filter(pk=row.pk).update(state=state, error=error)
    return state


def take_turn(row: TrackedRepository, now: datetime) -> timedelta | None:
    """Take the turn to write; how long to wait where somebody else has it."""
    rows = TrackedRepository.objects.filter(pk=row.pk)
    free = rows.filter(Q(next_write_at=None) | Q(next_write_at__lte=now))
    if free.update(next_write_at=now + WRITE_LEASE):
        return None
    until = rows.values_list("next_write_at", flat=True).get()
    return max(until - now, timedelta(milliseconds=50)) if until else timedelta(milliseconds=50)


def give_turn(row: TrackedRepository) -> None:
    """The write is over: the next may follow after a moment."""
    cursor = {name: value for name, value in row.cursor.items() if name != "limits"}
    TrackedRepository.objects.filter(pk=row.pk).update(next_write_at=timezone.now() + PACE)
    if cursor != row.cursor:
        row.cursor = cursor
        TrackedRepository.objects.filter(pk=row.pk).update(cursor=cursor)


def limited(row: TrackedRepository, wait: timedelta | None) -> timedelta:
    """GitHub wants fewer writes: nobody writes for as long as it says, doubling from a minute."""
    times = int(row.cursor.get("limits") or 0)
    pause = max(wait or LIMIT_FIRST, min(LIMIT_FIRST * 2**times, LIMIT_LONGEST) if times else PACE)
    row.cursor = {**row.cursor, "limits": times + 1}
    TrackedRepository.objects.filter(pk=row.pk).update(
        next_write_at=timezone.now() + pause, cursor=row.cursor
    )
    return pause


def _take_over(row: TrackedRepository, told: About) -> None:
    was = (row.full_name, row.is_private)
    row.full_name, row.repository_id, row.node_id = told.full_name, told.id, told.node_id
    row.is_private, row.has_discussions = told.is_private, told.has_discussions
    fields = ["full_name", "repository_id", "node_id", "is_private", "has_discussions"]
    row.save(update_fields=fields)
    if row.full_name.casefold() != row.name.casefold():
        line = f"{row.name} is now called {row.full_name}. Write that in the playbook."
        troubles.begin(f"tracking-name-{row.pk}", line)
    else:
        troubles.end(f"tracking-name-{row.pk}")
    if was[1] is False and row.is_private:
        line = f"{row.full_name} was made private: reporters cannot open links to its issues."
        troubles.begin(f"tracking-private-{row.pk}", line)
    elif row.is_private is False:
        troubles.end(f"tracking-private-{row.pk}")
