"""The report in words, and in JSON for scripts."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from feedback.vocabulary import Category
from triage.report.values import Report

SPOKEN = {
    Category.BUG: "bugs",
    Category.FEATURE: "feature requests",
    Category.QUESTION: "questions",
    Category.SETUP: "setup trouble",
    Category.PRAISE: "praise",
    Category.CRITICISM: "criticism",
}
_DAY = 86_400  # seconds


def summary(report: Report) -> str:
    """The report in a few short sentences."""
    span = spoken(report.end - report.begin)
    bugs = f"{_count(report.sure_p0, 'P0 bug is', 'P0 bugs are')} open{_perhaps(report)}."
    if not report.items:
        return f"Nobody wrote in the last {span}. {bugs}"
    who = _count(report.people, "person wrote", "people wrote") if report.people else "People wrote"
    wrote = f"{who} {_count(report.items, 'item', 'items')} in the last {span}{_mostly(report)}."
    return " ".join(part for part in (wrote, _verdict(report), bugs) if part)


def as_json(report: Report) -> dict[str, Any]:
    """The report as scripts see it.

    `summary`, `meets_goal`, and the fields of `Report` under their own names: instants in
    ISO 8601 with offset, shares from 0 to 1 or null, lists of objects for `clocks`, `waiting`,
    `themes`, `praise` and `criticism`.
    """
    row: dict[str, Any] = _plain(asdict(report))
    return {"summary": summary(report), "meets_goal": report.meets_goal, **row}


def spoken(span: timedelta) -> str:
    """A period in words: "hour", "24 hours", "1 hour 30 minutes", "7 days"."""
    total = int(span.total_seconds())
    days = total // _DAY if total >= 2 * _DAY else 0  # a day is 24 hours: that is what it means
    hours, rest = divmod(total - days * _DAY, 3_600)
    minutes, seconds = divmod(rest, 60)
    sizes = {"day": days, "hour": hours, "minute": minutes, "second": seconds}
    parts = [_count(count, name, f"{name}s") for name, count in sizes.items() if count]
    return parts[0].removeprefix("1 ") if len(parts) == 1 else " ".join(parts)


def _mostly(report: Report) -> str:
    named = (SPOKEN[Category(name)] for name in report.by_category if name in SPOKEN)
    common = next(named, "")
    return f", most often {common}" if common else ""


def _perhaps(report: Report) -> str:
    return f"; {_count(report.doubted_p0, 'bug', 'bugs')} may be P0" if report.doubted_p0 else ""


def _verdict(report: Report) -> str:
    if report.positive is None:
        return ""
    side = "above" if report.meets_goal else "below"
    small = f" (a small sample: {_count(report.feedback, 'item', 'items')})"
    small = small if report.is_small else ""
    share = f"{report.positive:.0%} of the feedback was positive"
    return f"{share}, {side} the goal of {report.goal:.0%}{small}."


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case dict():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value
