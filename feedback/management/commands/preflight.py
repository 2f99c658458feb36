"""`manage.py preflight`: whether everything that a launch needs is there."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from feedback.commands import ServiceCommand
from feedback.health import check
from feedback.models import Source


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
        failed = 0
        for source in sources:
            health = check(source)
            failed += not health.ok
            row = {"check": f"source {source.name}", "ok": health.ok, "message": health.message}
            word = "ok     " if health.ok else "MISSING"
            line = f"{word}  {row['check']} ({source.channel}): {health.message}"
            self.stdout.write(json.dumps(row) if options["json"] else line)
        if failed:
            raise CommandError(f"{failed} of {len(sources)} checks failed; see above.")
