"""Rows of JSON Lines files, as texts to read."""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from triage.classifier.texts import Text


class BadFile(Exception):
    """A file cannot be used; the message names it, its line and what is wrong."""


def read_rows(path: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file, gzip'd or not; `-` is standard input. Raises BadFile."""
    try:
        if path == "-":
            yield from _rows(sys.stdin, "standard input")
        elif path.endswith(".gz"):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                yield from _rows(lines, path)
        else:
            with Path(path).open(encoding="utf-8") as lines:
                yield from _rows(lines, path)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFile(f"{path} cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise BadFile(f"{path} is not UTF-8 text.") from None


def _rows(lines: TextIO, name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise BadFile(f"{name}, line {number}: this is not JSON.") from None
        if not isinstance(row, dict):
            raise BadFile(f"{name}, line {number}: this is not an object like {{…}}.")
        yield row


def text_of(row: dict[str, Any]) -> Text:
    """A row's text, title, context and channel, whichever it has."""
    return Text(
        text=_word(row, "text") or _word(row, "body"),
        title=_word(row, "title"),
        context=_word(row, "context"),
        channel=_word(row, "channel"),
    )


def _word(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)
