"""The tracker in from a file, through intake."""

import json
import sys
from argparse import ArgumentParser
from itertools import islice
from typing import Any

from django.core.management.base import CommandError

from feedback.commands import ServiceCommand
from feedback.intake import Taken
from triage.classifier.reader import ModelError
from triage.tracker.files import BadFile, read
from triage.tracker.intake import take_in

CHUNK = 200


class Command(ServiceCommand):
    help = (
        "Take in the items of FILE (.jsonl or .csv, as `export` writes them; - is JSON lines on "
        "standard input). They are read and routed anew; what was closed or spam stays so. A CSV "
        "brings each item's first post. A bad row is named and the rest goes on. Twice adds "
        "nothing. Example: manage.py import tracker.jsonl"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print a JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rows, bad, taken = self._take_in(options["file"])
        except BadFile as error:
            raise CommandError(str(error), returncode=2) from None
        except ModelError as error:
            raise CommandError(f"{error} Then import the file again.", returncode=1) from None
        row = {"rows": rows, "read": taken.read, "new": taken.new}
        row |= {"updated": taken.updated, "bad": bad}
        line = "{rows} rows, {read} posts read, {new} new, {updated} updated, {bad} bad rows"
        self.stdout.write(json.dumps(row) if options["json"] else line.format(**row))
        if bad:
            raise CommandError("Some rows were not taken in; see above.", returncode=1)

    def _take_in(self, name: str) -> tuple[int, int, Taken]:
        rows, bad, taken = 0, 0, Taken()
        lines = read(name)
        while chunk := list(islice(lines, CHUNK)):
            result = take_in(chunk)
            for number, why in result.bad:
                self.stderr.write(f"{name}, line {number}: {why}")
            rows, bad, taken = rows + len(chunk), bad + len(result.bad), taken + result.taken
            if sys.stderr.isatty():
                self.stderr.write(f"{rows:,} rows", ending="\r")
        return rows, bad, taken
