"""Learn from the team's corrections; or train the classifier anew from labelled data."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from feedback.commands import ServiceCommand
from triage.classifier import ModelError
from triage.classifier.reader import SHIPPED, shipped_version
from triage.learning.learn import TooFew, learn

NEEDED = (
    "dev_sentiment_train feedback_category_train feedback_real_train "
    "nlbse24_train semeval_sentiment_train severity_real_train"
).split()


class Command(ServiceCommand):
    help = (
        "Learn from the team's corrections (seconds, no torch); with --data, train the model anew "
        "from base weights and labelled data. "
        "Examples: manage.py train; manage.py train --data datasets --out model"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data", metavar="DIR", help="*.jsonl.gz, to train anew from")
        parser.add_argument("--teacher", metavar="DIR", help="weights of a larger encoder")
        parser.add_argument("--out", default=str(SHIPPED), metavar="DIR", help="the model's files")

    def needs_database(self, options: dict[str, Any]) -> bool:
        """Corrections are in it; labelled data is in files."""
        return not options["data"]

    def handle(self, *args: Any, **options: Any) -> None:
        if options["data"]:
            self._anew(options)
        else:
            self._learn()

    def _learn(self) -> None:
        try:
            learnt = learn(shipped_version())
        except (TooFew, ModelError) as error:
            raise CommandError(str(error), returncode=2) from None
        figures = learnt.version.figures
        self.stdout.write(f"{learnt.version}, from {learnt.version.corrections} items")
        for head, after in figures["after"].items():
            before = figures["before"][head]
            self.stdout.write(
                f"  {head}: {before['right']:.1%} right before, {after['right']:.1%} after, "
                f"of {after['n']} held out"
            )
        self.stdout.write(learnt.reason)

    def _anew(self, options: dict[str, Any]) -> None:
        data = Path(options["data"])
        for name in NEEDED:
            if not (data / f"{name}.jsonl.gz").is_file():
                raise CommandError(f"{data / name}.jsonl.gz is missing.", returncode=2)
        try:
            from triage.classifier.training.run import Run, run

            teacher = Path(options["teacher"]) if options["teacher"] else None
            card = run(Run(data=data, out=Path(options["out"]), teacher=teacher), self._say)
        except ModuleNotFoundError as error:
            raise CommandError(
                f"Training needs the package {error.name}. `make train` sets all of it up.",
                returncode=2,
            ) from None
        self._say(f"model {card['version']} written to {options['out']}")

    def _say(self, line: str) -> None:
        self.stdout.write(f"{time.strftime('%H:%M:%S')} {line}")
        self.stdout.flush()
