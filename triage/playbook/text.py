"""From the text of a playbook to its typed value, with errors that name the line."""

import re
import tomllib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from feedback.vocabulary import Channel
from triage.playbook.lines import line_index
from triage.playbook.schema import Playbook

SIZE_LIMIT = 1_000_000  # characters
CHANNEL_NAMES = frozenset(Channel.values)
_PLACE = re.compile(r"(.*) \(at line (\d+), column \d+\)$")


class PlaybookError(Exception):
    """A playbook is refused whole; `problems` are lines for a person, each with its place."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def parse(text: str, name: str = "launch.toml") -> Playbook:
    """Parse and check a playbook. Raises PlaybookError with every mistake and its line."""
    if len(text) > SIZE_LIMIT:
        raise PlaybookError([f"{name}: it has more than {SIZE_LIMIT:,} characters. Shorten it."])
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = _PLACE.match(str(error))
        what, where = (found[1], f"line {found[2]}") if found else (str(error), "at its end")
        raise PlaybookError([f"{name}, {where}: this is not TOML: {what}."]) from None
    try:
        return Playbook.model_validate(data)
    except ValidationError as error:
        lines = line_index(text)
        problems = sorted({_problem(details, lines) for details in error.errors()})
        raise PlaybookError(
            f"{name}, line {line}, {path}: {what}" if path else f"{name}, line {line}: {what}"
            for line, path, what in problems
        ) from None


def _problem(error: Any, lines: dict[tuple[str | int, ...], int]) -> tuple[int, str, str]:
    """Line, path and message; the parts of a path that pydantic adds of its own are left out."""
    path = tuple(error["ctx"]["place"] if error["type"] == "place" else error["loc"])
    if error["type"].startswith("union_tag"):
        path = (*path, "channel")
    known = tuple(part for depth, part in enumerate(path) if not _is_tag(path[:depth], part, lines))
    words = ".".join(str(part + 1) if isinstance(part, int) else part for part in known)
    return _line_of(known, lines), words, _what(error)


def _is_tag(
    before: tuple[str | int, ...], part: str | int, lines: dict[tuple[str | int, ...], int]
) -> bool:
    """Whether pydantic put a union's tag into the path: sources.0.email.port."""
    return (
        before[:1] == ("sources",)
        and len(before) == 2
        and (*before, part) not in lines
        and (part in CHANNEL_NAMES)
    )


def _line_of(path: tuple[Any, ...], lines: dict[tuple[str | int, ...], int]) -> int:
    """The line of a path, or of the nearest table around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _what(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "this name is not known here. Remove it or mend its spelling."
        case "union_tag_invalid" | "union_tag_not_found":
            return f"write one of {error['ctx'].get('expected_tags') or 'the channels'}."
        case "missing":
            return "this is missing. Add it."
        case _:
            message = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
            return f"{message}."
