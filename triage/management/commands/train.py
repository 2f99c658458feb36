"""Train the classifier anew from base weights and labelled data."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from triage.classifier.reader import SHIPPED

NEEDED = (
    "dev_sentiment_train feedback_category_train feedback_real_train "
    "nlbse24_train semeval_sentiment_train severity_real_train"
).split()


class Command(BaseCommand):
    help = (
        "Train the classifier from base weights and labelled data, and write its files. Takes "
        "about half an hour on two cores. Example: manage.py train --data datasets --out model"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data", required=True, metavar="DIR", help="*.jsonl.gz")
        parser.add_argument("--out", default=str(SHIPPED), metavar="DIR", help="the model's files")

    def handle(self, *args: Any, **options: Any) -> None:
        data = Path(options["data"])
        for name in NEEDED:
            if not (data / f"{name}.jsonl.gz").is_file():
                raise CommandError(f"{data / name}.jsonl.gz is missing.", returncode=2)
        try:
            from triage.classifier.training.run import Run, run

            card = run(Run(data=data, out=Path(options["out"])), self._say)
        except ModuleNotFoundError as error:
            raise CommandError(
                f"Training needs the package {error.name}. `make train` sets all of it up.",
                returncode=2,
            ) from None
        self._say(f"model {card['version']} written to {options['out']}")

    def _say(self, line: str) -> None:
        self.stdout.write(f"{time.strftime('%H:%M:%S')} {line}")
        self.stdout.flush()
