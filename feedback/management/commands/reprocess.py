"""Take posts that were set aside in again, or have items read by the present model."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from feedback.commands import ServiceCommand
from feedback.models import RejectedPost, Source
from feedback.replay import replay


class Command(ServiceCommand):
    help = (
        "Take posts that could not be parsed, and were kept raw, in again; or read open items "
        "that nobody has touched anew with the present model. "
        "Examples: manage.py reprocess --rejected; manage.py reprocess --model"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rejected", action="store_true", help="posts that could not be parsed before"
        )
        parser.add_argument(
            "--model", action="store_true", help="items that another model has read"
        )
        parser.add_argument("--json", action="store_true", help="print a JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rejected"] == options["model"]:
            raise CommandError("Say either --rejected or --model.", returncode=2)
        if options["model"]:
            self._model(as_json=options["json"])
        else:
            self._rejected(as_json=options["json"])

    def _model(self, *, as_json: bool) -> None:
        # By name: feedback knows nothing of triage but that it can be asked to go on.
        try:
            count = import_string("triage.learning.rereading.read_anew")()
        except import_string("triage.classifier.ModelError") as error:
            raise CommandError(str(error), returncode=1) from None
        self.stdout.write(json.dumps({"read": count}) if as_json else f"{count} items read anew")

    def _rejected(self, *, as_json: bool) -> None:
        row = {"replayed": 0, "new": 0, "still_rejected": 0}
        for source in Source.objects.filter(rejected__resolved_at=None).distinct():
            taken, still = replay(source, RejectedPost.objects.all())
            row["replayed"] += taken.read
            row["new"] += taken.new
            row["still_rejected"] += still
        self.stdout.write(
            json.dumps(row)
            if as_json
            else "{replayed} posts replayed, {new} new, {still_rejected} still rejected".format(
                **row
            )
        )
