"""The sentiment report on standard output or into a file."""

import json
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from feedback.commands import ServiceCommand
from triage import playbook, report
from triage.playbook.durations import duration

FORMATS = ("html", "json")
LONGEST = timedelta(days=7_300)  # what was recorded long ago can be reported


class Command(ServiceCommand):
    help = (
        "Report what was said and how it was answered. "
        "Example: manage.py report --since 24h --format html --output report.html"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", default="24h", metavar="SPAN", help="24h, 7d …")
        parser.add_argument("--format", default="html", help=" or ".join(FORMATS))
        parser.add_argument("--output", metavar="FILE", help="in place of standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            span = duration(options["since"], longest=LONGEST)
        except ValueError as error:
            raise CommandError(f"--since: {error}.", returncode=2) from None
        if options["format"] not in FORMATS:
            raise CommandError(
                f'--format: "{options["format"]}" is not one of {", ".join(FORMATS)}.', returncode=2
            )
        end = timezone.now()
        if options["format"] == "json":
            found = report.make(end - span, end, playbook.current())
            text = json.dumps(report.as_json(found), ensure_ascii=False, indent=1) + "\n"
        else:
            from triage.report_page import as_html

            text = as_html(end - span, end)
        self._write(text, options["output"])

    def _write(self, text: str, name: str | None) -> None:
        if not name:
            self.stdout.write(text, ending="")
            return
        try:
            Path(name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(
                f"{name} cannot be written: {error.strerror}.", returncode=2
            ) from None
        self.stdout.write(f"Report written to {name}")
