"""What the table of a Hacker News source may say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=20 * 365)  # as old as Hacker News


@dataclass(frozen=True, slots=True)
class Config:
    """`queries`: words and phrases to search; `stories`: threads to follow, as ids or addresses;
    `backfill`: how far the first search looks back, as "12h" or in days.
    """

    queries: tuple[str, ...]
    stories: tuple[int, ...]
    backfill: timedelta

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Config":
        """Raises ValueError naming the key and what would be right."""
        queries = tuple(dict.fromkeys(map(_words, _list(table, "queries"))))
        stories = tuple(dict.fromkeys(map(story_id, _list(table, "stories"))))
        if not queries and not stories:
            raise ValueError('name words to search in "queries", or threads in "stories".')
        return cls(queries, stories, _span(table.get("backfill", "1d")))


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table.get(key) or []
    if not isinstance(value, list | tuple):
        raise ValueError(f'{key}: {value!r} is not a list. Write {key} = ["…"].')
    return list(value)


def _words(value: Any) -> str:
    words = " ".join(value.replace('"', " ").split()) if isinstance(value, str) else ""
    if not re.search(r"\w", words) or len(words) > 200:
        raise ValueError(f'queries: {value!r} is no word or phrase. Write "generic corp".')
    return words


def story_id(value: Any) -> int:
    """The number of an item, from it or from its address. Raises ValueError."""
    found = re.fullmatch(r"(?:https?://[\w.:-]+/item\?id=)?([1-9][0-9]{0,11})", str(value).strip())
    if not found or isinstance(value, bool):
        raise ValueError(f"stories: {value!r} is not the id of an item. Write 41129813.")
    return int(found[1])


def _span(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([smhdw]?)", str(value).strip())
    if not found or isinstance(value, bool):
        raise ValueError(f'backfill: {value!r} is not a duration. Write "12h" or "7d".')
    try:
        return min(timedelta(**{_UNITS[found[2] or "d"]: float(found[1])}), LONGEST)
    except OverflowError:
        return LONGEST
