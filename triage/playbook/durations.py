"""Spans of time as people write them: "15m", "1h30m", "2d"."""

import re
from datetime import timedelta

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SPAN = re.compile(r"(?:\d+[dhms])+")
_PART = re.compile(r"(\d+)([dhms])")
LONGEST = timedelta(days=366)
NO_CLOCK = ("best effort", "backlog")


def duration(value: object, longest: timedelta = LONGEST) -> timedelta:
    """The span that a text names. Raises ValueError saying what to write instead."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _SPAN.fullmatch(value):
        raise ValueError(f'{_shown(value)} is not a duration. Write "15m" or "2h"')
    parts = {unit: int(count) for count, unit in _PART.findall(value)}
    if max(parts.values()) > 10_000_000:
        raise ValueError(f"{_shown(value)} is too long. Write at most {longest.days}d")
    span = timedelta(**{_UNITS[unit]: count for unit, count in parts.items()})
    if not timedelta(0) < span <= longest:
        raise ValueError(f"{_shown(value)} is out of range. Write between 1s and {longest.days}d")
    return span


def target(value: object) -> timedelta | None:
    """The span of a promise; "best effort" and "backlog" mean that nothing is promised."""
    return None if value is None or value in NO_CLOCK else duration(value)


def _shown(value: object) -> str:
    text = str(value)
    return f'"{text[:40]}"'
