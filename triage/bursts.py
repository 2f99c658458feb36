"""Several people report the same within minutes: how many, for each item that comes in.

Reports are compared as they are read; nothing is kept between batches but what the database has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from feedback.models import Item
from feedback.vocabulary import Category, Channel, Severity, State
from triage.playbook import Playbook
from triage.playbook.schema import ClusterRule
from triage.severity import raised_by_reports
from triage.similar import Said, comparable, said

if TYPE_CHECKING:
    from triage.classifier import Reading as Read

LOOKED_AT = 200  # newest bugs of the time; more than that are a flood whatever they say


@dataclass(frozen=True, slots=True)
class Fresh:
    """An item that is read now, with its first text and what was read of it."""

    item: Item
    text: str
    reading: "Read"


def raised(fresh: Sequence[Fresh], rules: Playbook) -> "dict[int, Read]":
    """New readings, by item, of bugs that many people report at once; the reason is in `why`."""
    rule = rules.clusters
    new = {one.item.pk: one for one in fresh if one.reading.category == Category.BUG}
    # The sample launch plays a day in minutes: there, all of it is within minutes.
    new = {pk: one for pk, one in new.items() if one.item.source.channel != Channel.SAMPLE}
    if rule is None or not new:
        return {}
    bugs = [_said(one) for one in new.values()]
    bugs = [*_earlier(bugs, rule.within), *bugs]
    if len({bug.author for bug in bugs}) < rule.reports:
        return {}
    found = {}
    for key, people in reporters(bugs, list(new), rule).items():
        reading = new[key].reading
        # Many who say the same make a P0 by precaution a sure one, as they make one of a P1.
        was = Severity.P1 if reading.p0_probability is not None else reading.severity or ""
        severity, reason = raised_by_reports(was, people, rule)
        if reason:
            why = (*reading.why, reason)
            found[key] = replace(reading, severity=severity, p0_probability=None, why=why)
    return found


def reporters(bugs: Sequence[Said], keys: Sequence[int], rule: ClusterRule) -> dict[int, int]:
    """How many different people reported the same as each bug of `keys`, its author included.

    Who is not known is nobody: nothing says that they are somebody else.
    """
    from triage.duplicates.index import Index

    by_key = {bug.report.key: bug for bug in bugs}
    index = Index(limit=len(bugs))
    index.add(bug.report for bug in bugs)
    found = {}
    for key in keys:
        bug = by_key[key]
        same = [m.key for m in index.find(bug.report, len(bugs)) if m.score >= rule.alike]
        authors = {by_key[one].author for one in same if _near(by_key[one], bug, rule.within)}
        found[key] = len((authors | {bug.author}) - {None})
    return found


def _near(one: Said, other: Said, within: timedelta) -> bool:
    assert one.report.at
    assert other.report.at
    return abs(one.report.at - other.report.at) <= within


def _said(one: Fresh) -> Said:
    values = (one.item.pk, one.item.title, one.text, one.reading.embedding, one.item.created_at)
    return Said(comparable(*values), one.item.author_id)


def _earlier(new: Sequence[Said], within: timedelta) -> list[Said]:
    """The newest bugs that were read before and may be of the same minutes."""
    instants = [bug.report.at for bug in new if bug.report.at]
    span = (min(instants) - within, max(instants) + within)
    items = Item.objects.filter(created_at__range=span, category=Category.BUG)
    items = items.exclude(state=State.SPAM).exclude(source__channel=Channel.SAMPLE)
    items = items.exclude(pk__in=[bug.report.key for bug in new])
    return said(items.order_by("-created_at", "-pk"), LOOKED_AT)
