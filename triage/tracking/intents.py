"""Which items are to be tracked: written in the transaction that reads or corrects them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from feedback.credentials import credential
from feedback.hints import hint
from feedback.models import Item, Source
from feedback.vocabulary import Category, Channel, Closed, State
from triage.playbook import Playbook
from triage.tracking.models import IssueReport
from triage.tracking.security import looks_secure_matter


def is_on(rules: Playbook) -> bool:
    """Whether anything is tracked: the playbook names a repository, and we may speak to GitHub."""
    return bool(rules.tracking.repository) and has_credential()


def has_credential() -> bool:
    """Whether we may speak to GitHub at all."""
    return bool(credential("GITHUB_TOKEN") or credential("GITHUB_APP_ID"))


def is_wanted(item: Item, rules: Playbook) -> bool:
    """Whether an item is a bug or a wish that belongs on GitHub."""
    if item.state == State.SPAM or item.closed_as == Closed.NO_FEEDBACK:
        return False
    if item.category == Category.BUG:
        return bool(item.severity)
    return item.category == Category.FEATURE and bool(rules.tracking.request_label)


def intend(items: Mapping[Item, str], rules: Playbook, now: datetime) -> None:
    """Have these items decided on, each with what its author now said; the caller's transaction.

    An item that was decided on before is looked at again: its reading or its words have changed.
    """
    if not items or not is_on(rules):
        return
    again = look_again([item.pk for item in items], now)
    played = set(Source.objects.filter(channel=Channel.SAMPLE).values_list("pk", flat=True))
    fresh = [
        IssueReport(item=item, at=now, due_at=now)
        for item, said in items.items()
        if item.source_id not in played and _is_for_tracking(item, said, rules)
    ]
    IssueReport.objects.bulk_create(fresh, ignore_conflicts=True)
    if fresh or again:
        hint("track")


def look_again(items: Sequence[int], now: datetime) -> int:
    """Have what was decided of these items looked at again; returns of how many."""
    return IssueReport.objects.filter(item__in=items).update(due_at=now)


def _is_for_tracking(item: Item, said: str, rules: Playbook) -> bool:
    """Wanted, or a security matter: whatever it was read as, that stays private."""
    return is_wanted(item, rules) or (
        item.state != State.SPAM and bool(looks_secure_matter(f"{item.title}\n{said}"))
    )
