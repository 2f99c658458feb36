"""Tracked issues as a page shows them: who reported on which channel, and whether it grows."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

from feedback.vocabulary import Channel
from triage.tracking.models import IssueReport, ReportState, TrackedIssue, TrackedState

DAYS = 14  # that the trend shows
BAR_WIDTH, BAR_GAP, HEIGHT = 4, 2, 18


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of a trend, as it is drawn."""

    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Row:
    """A tracked issue with its reporters by channel and its reports of the last days."""

    tracked: TrackedIssue
    channels: Sequence[tuple[str, str, int]]  # channel, its label, reports
    bars: Sequence[Bar]
    today: int
    before: int

    @property
    def trend(self) -> str:
        """Whether more was reported in the last day than in the one before it, in words."""
        if self.today == self.before:
            return "as before" if self.today else "quiet"
        return f"{self.today} a day, {'more' if self.today > self.before else 'fewer'} than before"


TABS = {
    "open": ("Open", (TrackedState.OPEN, TrackedState.FILING)),
    "closed": ("Closed", (TrackedState.CLOSED,)),
    "gone": ("Merged and gone", (TrackedState.MERGED, TrackedState.GONE)),
}


def listed(tab: str, *, with_private: bool) -> "QuerySet[TrackedIssue]":
    """The tracked issues of a tab that somebody reported, the one reported last first."""
    rows = TrackedIssue.objects.filter(state__in=TABS[tab][1]).select_related("repository")
    if tab != "gone":
        rows = rows.filter(reports__gt=0)
    if not with_private:
        rows = rows.filter(is_private=False)
    return rows.order_by("-last_report_at", "-pk")


def rows_of(issues: Sequence[TrackedIssue], now: datetime) -> list[Row]:
    """The issues as rows; two queries for all of them."""
    reports = IssueReport.objects.filter(tracked__in=issues, state=ReportState.JOINED).order_by()
    by_channel: dict[int, Counter[str]] = defaultdict(Counter)
    counted = reports.values_list("tracked", "item__channel").annotate(count=Count("pk"))
    for tracked, channel, count in counted:
        by_channel[tracked][channel] = count
    begin = (now - timedelta(days=DAYS - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    by_day: dict[int, Counter[date]] = defaultdict(Counter)
    recent = reports.filter(item__created_at__gte=begin)
    days = recent.values_list("tracked", TruncDate("item__created_at")).annotate(count=Count("pk"))
    for tracked, day, count in days:
        by_day[tracked][day] = count
    return [_row(one, by_channel[one.pk], by_day[one.pk], now.date()) for one in issues]


def _row(tracked: TrackedIssue, channels: Counter[str], days: Counter[date], today: date) -> Row:
    counts = [days[today - timedelta(days=ago)] for ago in reversed(range(DAYS))]
    most = max([*counts, 1])
    heights = [max(2 if count else 0, round(HEIGHT * count / most)) for count in counts]
    bars = [
        Bar(place * (BAR_WIDTH + BAR_GAP), HEIGHT - height, height)
        for place, height in enumerate(heights)
    ]
    labels = dict(Channel.choices)
    named = [(name, str(labels.get(name, name)), count) for name, count in channels.most_common()]
    return Row(tracked, named, bars, counts[-1], counts[-2])
