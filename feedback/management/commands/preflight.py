"""`manage.py preflight`: whether everything that a launch needs is there."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from feedback.commands import ServiceCommand
from feedback.health import Checked, check
from feedback.models import Source

# Checks of what stands above this package: by name, for nothing below imports it.
OTHERS = ("triage.tracking.checks.checks",)


class Command(ServiceCommand):
    help = (
        "Ask every enabled source's service whether it can work, and name what is missing. "
        "Exit status 1 if something is. Example: manage.py preflight --json"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="a JSON line a check")

    def handle(self, *args: Any, **options: Any) -> None:
        sources = list(Source.objects.filter(enabled=True).order_by("name"))
        if not sources:
            raise CommandError(
                "No source is enabled. Enable one in the playbook (manage.py playbook dump).",
                returncode=2,
            )
        rows = [*map(_row, sources), *(row for name in OTHERS for row in import_string(name)())]
        for row in rows:
            self.stdout.write(json.dumps(asdict(row)) if options["json"] else _line(row))
        failed = sum(not row.ok for row in rows)
        if failed:
            raise CommandError(f"{failed} of {len(rows)} checks failed; see above.")


def _row(source: Source) -> Checked:
    health = check(source)
    name = f"source {source.name}"
    return Checked(check=name, ok=health.ok, message=health.message, about=source.channel)


def _line(row: Checked) -> str:
    about = f" ({row.about})" if row.about else ""
    return f"{'ok     ' if row.ok else 'MISSING'}  {row.check}{about}: {row.message}"
