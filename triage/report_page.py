"""The report as a page and as a file of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone

from feedback.vocabulary import Category, Channel, State
from triage import playbook, report
from triage.playbook.durations import duration

PERIODS = ("6h", "24h", "7d", "30d")
STYLE = "report/report.css"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart: a share of the longest, in whole percent."""

    label: str
    count: int
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the sentiment bar, which is 100 wide."""

    name: str
    percent: int
    begins: float
    width: float
    count: int


@staff_member_required(login_url="admin:login")
def report_page(request: HttpRequest) -> HttpResponse:
    """The report of the period that `since` asks for."""
    if not request.user.has_perm("feedback.view_item"):
        raise PermissionDenied
    since = request.GET.get("since", "24h")
    try:
        span = duration(since)
    except ValueError:
        since, span = "24h", timedelta(hours=24)
    end = timezone.now()
    context = _context(end - span, end) | {"since": since, "periods": PERIODS, "is_page": True}
    return render(request, "report/page.html", context)


def as_html(begin: datetime, end: datetime) -> str:
    """The report as one HTML file that needs nothing beside it."""
    found = finders.find(STYLE)
    style = Path(found).read_text(encoding="utf-8") if isinstance(found, str) else ""
    return render_to_string("report/page.html", _context(begin, end) | {"style": style})


def _context(begin: datetime, end: datetime) -> dict[str, object]:
    made = report.make(begin, end, playbook.current())
    change = _percent(made.positive) - _percent(made.before)
    return {
        "report": made,
        "summary": report.summary(made),
        "span": report.spoken(end - begin),
        "channels": _bars(made.by_channel, dict(Channel.choices)),
        "categories": _bars(made.by_category, dict(Category.choices)),
        "shares": _shares(made),
        "goal": _percent(made.goal),
        "bugs": _bugs(made),
        "of_opinions": _percent(made.positive_of_opinions),
        "before": _percent(made.before),
        "change": change,
        "fall": -change,
    }


def _bars(counts: Mapping[str, int], labels: Mapping[str, str]) -> list[Bar]:
    longest = max(counts.values(), default=0)
    return [
        Bar(str(labels.get(name, name)), count, round(100 * count / longest))
        for name, count in counts.items()
    ]


def _shares(made: report.Report) -> list[Part]:
    parts, begins = [], 0.0
    for name, share in (
        ("positive", made.positive),
        ("neutral", made.neutral),
        ("negative", made.negative),
    ):
        width = 100 * (share or 0)
        parts.append(
            Part(
                name=name,
                percent=_percent(share),
                begins=round(begins, 2),
                width=round(width, 2),
                count=made.sentiment[name],
            )
        )
        begins += width
    return parts


def _bugs(made: report.Report) -> list[tuple[str, int, int, int]]:
    """Severity; how many were reported in the period and closed of these; all that are open."""
    names = dict.fromkeys([*made.bugs, *made.open_bugs])
    return [
        (
            name,
            sum(made.bugs.get(name, {}).values()),
            made.bugs.get(name, {}).get(State.CLOSED, 0),
            made.open_bugs.get(name, 0),
        )
        for name in names
    ]


def _percent(share: float | None) -> int:
    return round(100 * (share or 0))
