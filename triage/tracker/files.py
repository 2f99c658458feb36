"""Rows in files: JSON Lines, and CSV for spreadsheets."""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

CELL_LIMIT = 32_000  # characters that a spreadsheet's cell can hold
FIELD_LIMIT = 10_000_000  # characters of one cell that is read
CSV_COLUMNS = (
    "channel source external_id url author title text created_at category also sentiment severity "
    "topic state responder tracked_issue messages last_text clocks breached"
).split()
NEEDED = ("channel", "external_id", "created_at")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class BadFile(Exception):
    """A file cannot be used; the message names it and says what is wrong."""


class BadRow(ValueError):
    """A row cannot be taken in; the message says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row and the line of the file on which it ends; `error` where it is none."""

    number: int
    row: Mapping[str, Any]
    error: str = ""


def write_jsonl(found: Iterable[Mapping[str, Any]], to: TextIO) -> int:
    """One JSON object a line. Returns how many."""
    count = 0
    for row in found:
        to.write(f"{json.dumps(row, ensure_ascii=False)}\n")
        count += 1
    return count


def write_csv(found: Iterable[Mapping[str, Any]], to: TextIO) -> int:
    """Counts and last texts in place of the lists; no cell is a formula. Returns how many."""
    writer = csv.DictWriter(to, CSV_COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    count = 0
    for row in found:
        messages, clocks = row["messages"], row["clocks"]
        flat = dict(row) | {
            "also": ", ".join(row["also"]),
            "messages": len(messages),
            "last_text": messages[-1]["text"] if messages else "",
            "clocks": len(clocks),
            "breached": sum(1 for clock in clocks if clock["breached_at"]),
        }
        writer.writerow({name: _cell(flat[name]) for name in CSV_COLUMNS})
        count += 1
    return count


def read(name: str) -> Iterator[Line]:
    """The rows of a .jsonl (or .jsonl.gz) or .csv file; `-` is JSON lines on standard input.

    Raises BadFile, at any row: a file may turn out to be none half-way.
    """
    suffix = Path(name).suffix.casefold()
    if name != "-" and suffix not in (".jsonl", ".gz", ".csv"):
        raise BadFile(f"{name}: read from .jsonl or .csv.")
    try:
        with _open(name) as lines:
            yield from _csv(lines, name) if suffix == ".csv" else _jsonl(lines)
    except UnicodeDecodeError:
        raise BadFile(f"{name} is not UTF-8 text. Save it as UTF-8.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(
            f"{name} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from None


@contextmanager
def _open(name: str) -> Iterator[TextIO]:
    if name == "-":
        yield sys.stdin
    elif name.casefold().endswith(".gz"):
        with gzip.open(name, "rt", encoding="utf-8-sig") as lines:
            yield lines
    else:
        newline = "" if name.casefold().endswith(".csv") else None
        with Path(name).open(encoding="utf-8-sig", newline=newline) as lines:
            yield lines


def _jsonl(lines: TextIO) -> Iterator[Line]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            yield Line(number, {}, "this is not JSON")
        else:
            is_object = isinstance(row, dict)
            yield Line(number, row if is_object else {}, "" if is_object else "this is no object")


def _csv(lines: TextIO, name: str) -> Iterator[Line]:
    """Rows of a CSV as `write_csv` writes it; the lists stay empty."""
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.DictReader(lines)
    try:
        missing = [column for column in NEEDED if column not in (reader.fieldnames or ())]
        if missing:
            raise BadFile(f"{name} has no column {', '.join(missing)}. `export` writes them.")
        for cells in reader:
            row: dict[str, Any] = {
                column: _plain(cell or "")
                for column, cell in cells.items()
                if isinstance(column, str)
            }
            yield Line(reader.line_num, row | {"messages": []})
    except csv.Error as error:
        raise BadFile(f"{name}, line {reader.line_num}: {error}.") from None


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet computes: what looks like a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    return f"'{value[:CELL_LIMIT]}" if _is_formula(value) else value[:CELL_LIMIT]


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    """Whether it begins like one, behind apostrophes too, so that reading undoes writing."""
    return text.lstrip("'").startswith(_FORMULA)
