"""Score readings against labelled rows."""

import json
import sys
import zlib
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from feedback.commands import ServiceCommand
from triage.classifier import ModelError, get_reader
from triage.classifier.labels import CATEGORIES
from triage.classifier.rows import BadFile, read_rows
from triage.management.commands.classify import rules_in_force

HEADS = ("category", "sentiment", "severity", "topic")


class Command(ServiceCommand):
    help = (
        "Score the classifier on labelled rows (text or title and body; any of category, "
        "sentiment, severity, topic, duplicates). "
        "Example: manage.py evaluate issues.jsonl.gz --labels bug,feature,question "
        "--map setup=question --group repo --json"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE.jsonl[.gz]")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--labels", default="", help="categories to choose from: a,b,c")
        parser.add_argument("--map", action="append", default=[], help="fold one into another: a=b")
        parser.add_argument("--group", default="", metavar="FIELD", help="add the mean over groups")

    def needs_database(self, options: dict[str, Any]) -> bool:
        """It scores as well without one."""
        return False

    def handle(self, *args: Any, **options: Any) -> None:
        from triage.classifier.evaluation import Options, evaluate

        chosen = Options(_labels(options["labels"]), _folds(options["map"]), options["group"])
        try:
            rows = list(read_rows(options["file"]))
            if not rows:
                raise BadFile(f"{options['file']} has no rows.")
            progress = None if options["json"] or not sys.stderr.isatty() else self._progress
            found = evaluate(rows, get_reader(), rules_in_force(), chosen, progress)
        except (BadFile, ModelError, zlib.error) as error:
            raise CommandError(str(error), returncode=2) from None
        self.stdout.write(json.dumps(found) if options["json"] else _shown(found))

    def _progress(self, done: int, of: int) -> None:
        self.stderr.write(f"\r{done}/{of} read", ending="" if done < of else "\n")


def _labels(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in CATEGORIES:
            known = ", ".join(CATEGORIES)
            raise CommandError(f'"{name}" is not a category. Known: {known}.', returncode=2)
    return names


def _folds(pairs: list[str]) -> dict[str, str]:
    folds = {}
    for pair in ",".join(pairs).split(",") if pairs else []:
        one, sign, other = pair.partition("=")
        if not sign or one.strip() not in CATEGORIES or not other.strip():
            raise CommandError(f'"{pair}" folds nothing. Write setup=question.', returncode=2)
        folds[one.strip()] = other.strip()
    return folds


def _shown(found: dict[str, Any]) -> str:
    lines = [f"{found['n']} rows"]
    for head in HEADS:
        if head in found:
            row = found[head]
            extra = "".join(
                f", {name} {row[name]}"
                for name in ("within_one", "p0_recall", "p0_precision")
                if name in row
            )
            lines.append(
                f"{head}: n {row['n']}, macro F1 {row['macro_f1']}, macro recall "
                f"{row['macro_recall']}, accuracy {row['accuracy']}, ece {row['ece']}{extra}"
            )
            lines += [
                f"  {name}: n {one['n']}, precision {one['precision']}, recall {one['recall']}, "
                f"F1 {one['f1']}"
                for name, one in row["per_class"].items()
            ]
    if "duplicates" in found:
        lines.append("duplicates: " + ", ".join(f"{k} {v}" for k, v in found["duplicates"].items()))
    if "groups" in found:
        lines.append(f"mean macro F1 over groups: {found['groups']['mean_macro_f1']}")
    return "\n".join(lines)
