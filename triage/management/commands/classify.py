"""What the classifier makes of texts, as JSON lines."""

import json
import sys
import zlib
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.core.management.base import CommandError
from django.db.utils import Error

from feedback.commands import ServiceCommand
from triage.classifier import ModelError, Reader, Reading, Text, get_reader
from triage.classifier.adjustment import Adjustment
from triage.classifier.rows import BadFile, read_rows, text_of
from triage.learning import versions
from triage.playbook import Playbook, current, shipped

CHUNK = 256


class Command(ServiceCommand):
    help = (
        "Read texts and print one JSON object a line. Examples: manage.py classify 'It crashes'; "
        "manage.py classify --input posts.jsonl (lines {id, text, title?, context?, channel?})"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("text", nargs="?", metavar="TEXT", help="- is standard input")
        parser.add_argument("--input", metavar="FILE.jsonl", help="- is standard input")

    def needs_database(self, options: dict[str, Any]) -> bool:
        """It reads as well without one."""
        return False

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["text"] is None) == (options["input"] is None):
            raise CommandError("Give either a TEXT or --input FILE.jsonl.", returncode=2)
        try:
            reader, rules = get_reader(), rules_in_force()
            learnt, rows = _learnt(reader), _rows(options)
            while chunk := list(islice(rows, CHUNK)):
                readings = reader.read([text for _, text in chunk], rules, learnt)
                for (name, _), reading in zip(chunk, readings, strict=True):
                    self.stdout.write(json.dumps(as_json(name, reading), ensure_ascii=False))
        except (BadFile, ModelError, zlib.error) as error:
            raise CommandError(str(error), returncode=2) from None


def _rows(options: dict[str, Any]) -> Iterator[tuple[Any, Text]]:
    if options["text"] is not None:
        yield None, Text(text=sys.stdin.read() if options["text"] == "-" else options["text"])
        return
    for number, row in enumerate(read_rows(options["input"]), 1):
        if not row.keys() & {"text", "title", "body"}:
            raise BadFile(f'{options["input"]}, row {number}: it has no text. Call it "text".')
        yield row.get("id", number), text_of(row)


def rules_in_force() -> Playbook:
    """The playbook in force; the shipped one where there is no database yet."""
    try:
        return current()
    except Error:
        return shipped()


def _learnt(reader: Reader) -> Adjustment | None:
    """What was learnt from corrections, if there is a database."""
    try:
        return versions.active(reader.version)
    except Error:
        return None


def as_json(name: Any, reading: Reading) -> dict[str, Any]:
    """A reading as scripts see it."""
    return {
        "id": name,
        "category": reading.category,
        "also": list(reading.also),
        "sentiment": reading.sentiment,
        "severity": reading.severity,
        "topic": reading.topic,
        "language": reading.language,
        "confidence": reading.confidence,
        "trusted": reading.trusted,
        "why": list(reading.why),
    }
