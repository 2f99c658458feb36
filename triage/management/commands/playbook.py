"""The rules of a launch: check, load, dump, compare."""

import difflib
import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from feedback.commands import ServiceCommand
from triage.models import PlaybookVersion
from triage.playbook import PlaybookError, parse, store


class Command(ServiceCommand):
    help = (
        "Check, load, dump or compare a playbook. Examples: manage.py playbook check launch.toml; "
        "manage.py playbook dump > launch.toml; manage.py playbook diff launch.toml"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["check", "load", "dump", "diff"])
        parser.add_argument(
            "file", nargs="?", metavar="FILE", help="a TOML file, or - for standard input or output"
        )
        parser.add_argument("--number", type=int, help="dump, diff: that version")
        parser.add_argument("--json", action="store_true", help="print a JSON object")

    def needs_database(self, options: dict[str, Any]) -> bool:
        """A check is of the file alone."""
        return options["action"] != "check"

    def handle(self, *args: Any, **options: Any) -> None:
        action, file = options["action"], options["file"]
        if action != "dump" and not file:
            raise CommandError(f"playbook {action} needs a FILE.", returncode=2)
        try:
            getattr(self, f"_{action}")(Path(file) if file else None, options)
        except PlaybookError as error:
            if options["json"]:
                self.stdout.write(json.dumps({"ok": False, "problems": error.problems}))
                sys.exit(2)
            raise CommandError(str(error), returncode=2) from None

    def _check(self, file: Path, options: dict[str, Any]) -> None:
        rules = parse(store.read_file(file), file.name)
        counts = {
            "routes": len(rules.routes),
            "roles": len(rules.roles),
            "templates": len(rules.templates),
            "sources": len(rules.sources),
        }
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        self._say(options, {"ok": True, **counts}, f"{file.name} is sound: {said}.")

    def _load(self, file: Path, options: dict[str, Any]) -> None:
        before = PlaybookVersion.objects.count()
        made = store.load(store.read_file(file), note=f"loaded from {file.name}", name=file.name)
        is_new = PlaybookVersion.objects.count() > before
        said = (
            f"Version {made.pk} is in force." if is_new else f"Version {made.pk} said so already."
        )
        self._say(options, {"ok": True, "version": made.pk, "new": is_new}, said)

    def _dump(self, file: Path | None, options: dict[str, Any]) -> None:
        text = _text(options["number"])
        if not file or str(file) == "-":
            self.stdout.write(text, ending="")
            return
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(
                f"{file} cannot be written: {error.strerror}.", returncode=2
            ) from None

    def _diff(self, file: Path, options: dict[str, Any]) -> None:
        text = store.read_file(file)
        parse(text, file.name)
        loaded = _text(options["number"]).splitlines(keepends=True)
        lines = list(
            difflib.unified_diff(loaded, text.splitlines(keepends=True), "loaded", file.name)
        )
        if options["json"]:
            self.stdout.write(json.dumps({"ok": True, "diff": "".join(lines)}))
        else:
            self.stdout.write("".join(lines), ending="")
        if lines:
            sys.exit(1)

    def _say(self, options: dict[str, Any], row: dict[str, Any], line: str) -> None:
        self.stdout.write(json.dumps(row) if options["json"] else line)


def _text(number: int | None) -> str:
    versions = PlaybookVersion.objects.order_by("-pk")
    row = versions.filter(pk=number).first() if number else versions.first()
    if row is None and number:
        raise CommandError(f"There is no version {number}.", returncode=2)
    return row.text if row else store.SHIPPED.read_text(encoding="utf-8")
