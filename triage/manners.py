"""How often we post on a channel, and what is too much of the same.

X and Reddit forbid one text to many people; an account that posts without a pause is taken for
a robot. The limits are the playbook's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from triage.playbook.schema import Manners

DAY = timedelta(days=1)
ALIKE = 0.8  # share of words in common from which two texts are nearly the same


@dataclass(frozen=True, slots=True)
class Posted:
    """A reply of ours that went out on the channel."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet; the reason is for staff."""

    span: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Not without a person's word."""

    reason: str


def judge(text: str, recent: Sequence[Posted], rule: Manners, now: datetime) -> Wait | Hold | None:
    """Whether `text` may be posted now, beside what was posted during the last day."""
    alike = sum(is_alike(text, posted.text) for posted in recent)
    if alike >= rule.alike:
        return Hold(
            f"{alike} people were sent nearly this text within a day, and the channel forbids "
            "more of the same. Say it in other words, or send it anyway."
        )
    if len(recent) >= rule.daily:
        oldest = min(posted.at for posted in recent)
        return Wait(oldest + DAY - now, f"The daily budget of {rule.daily} replies is used up.")
    latest = max((posted.at for posted in recent), default=None)
    if latest and latest + rule.pace > now:
        return Wait(latest + rule.pace - now, "One reply at a time on this channel.")
    return None


def is_alike(one: str, other: str) -> bool:
    """Whether two texts share most of their words (Jaccard's index)."""
    ours, theirs = set(one.casefold().split()), set(other.casefold().split())
    return len(ours & theirs) >= ALIKE * max(1, len(ours | theirs))
