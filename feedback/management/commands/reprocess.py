"""Take posts that were set aside in again, after a mend."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from feedback.models import RejectedPost, Source
from feedback.replay import replay


class Command(BaseCommand):
    help = (
        "Take posts that could not be parsed, and were kept raw, in again. "
        "Example: manage.py reprocess --rejected"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rejected", action="store_true", help="posts that could not be parsed before"
        )
        parser.add_argument("--json", action="store_true", help="print a JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["rejected"]:
            raise CommandError("Say what to take in again: --rejected.", returncode=2)
        row = {"replayed": 0, "new": 0, "still_rejected": 0}
        for source in Source.objects.filter(rejected__resolved_at=None).distinct():
            taken, still = replay(source, RejectedPost.objects.all())
            row["replayed"] += taken.read
            row["new"] += taken.new
            row["still_rejected"] += still
        self.stdout.write(
            json.dumps(row)
            if options["json"]
            else "{replayed} posts replayed, {new} new, {still_rejected} still rejected".format(
                **row
            )
        )
