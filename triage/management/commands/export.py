"""The tracker out to a file."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TextIO, cast

from django.core.management.base import CommandError

from feedback.commands import ServiceCommand
from triage.tracker.files import write_csv, write_jsonl
from triage.tracker.rows import rows

WRITERS: dict[str, Callable[[Any, TextIO], int]] = {".jsonl": write_jsonl, ".csv": write_csv}


class Command(ServiceCommand):
    help = (
        "Write every item to FILE (.jsonl or .csv), or as JSON lines to standard output with -. "
        "Example: manage.py export tracker.csv"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--json", action="store_true", help="print a JSON object at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["file"]
        if name == "-":
            write_jsonl(rows(), cast("TextIO", self.stdout))
            return
        path = Path(name)
        writer = WRITERS.get(path.suffix.casefold())
        if writer is None:
            raise CommandError(f"{name}: write to .jsonl or .csv.", returncode=2)
        count = _write(path, writer)
        said = json.dumps({"file": name, "items": count}) if options["json"] else ""
        self.stdout.write(said or f"{count} items written to {name}")


def _write(path: Path, writer: Callable[[Any, TextIO], int]) -> int:
    """Write beside the file and put it in its place whole, or leave no trace."""
    try:
        with NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", newline="",
            delete=False,
        ) as to:  # fmt: skip
            unfinished = Path(to.name)
            try:
                count = writer(rows(), cast("TextIO", to))
                to.flush()
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", returncode=2) from None
    return count
