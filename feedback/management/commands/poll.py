"""Poll sources now, in this process, without a broker, and triage what they brought."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from feedback.commands import ServiceCommand
from feedback.models import Source
from feedback.polling import Polled, poll


class Command(ServiceCommand):
    help = (
        "Poll the named sources, or all that are enabled, now; take in and triage what they "
        "bring. Example: manage.py poll hn --json"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("sources", nargs="*", metavar="SOURCE", help="names of sources")
        parser.add_argument("--json", action="store_true", help="one JSON object a source")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = False
        for source in _chosen(options["sources"]):
            polled = poll(source.pk, force=True)
            if polled is None:
                raise CommandError(
                    f'Source "{source.name}" is disabled. Enable it in the playbook.', returncode=2
                )
            failed = failed or bool(polled.error)
            self.stdout.write(_json(polled) if options["json"] else _line(polled))
        # By name: feedback knows nothing of triage but that it can be asked to go on.
        triage_waiting = import_string("triage.pipeline.triage_waiting")
        try:
            while triage_waiting():
                pass
        except import_string("triage.classifier.ModelError") as error:
            raise CommandError(f"Taken in, but not read: {error}", returncode=1) from None
        if failed:
            raise CommandError("Some sources could not be read; see above.", returncode=1)


def _chosen(names: list[str]) -> list[Source]:
    sources = Source.objects.filter(enabled=True).order_by("name")
    if not names:
        if not sources:
            raise CommandError(
                "No source is enabled. Enable one in the playbook (manage.py playbook dump).",
                returncode=2,
            )
        return list(sources)
    found = {source.name: source for source in Source.objects.filter(name__in=names)}
    for name in names:
        if name not in found:
            known = ", ".join(Source.objects.order_by("name").values_list("name", flat=True))
            raise CommandError(
                f'There is no source "{name}". Known: {known or "none"}.', returncode=2
            )
    return [found[name] for name in names]


def _json(polled: Polled) -> str:
    row = asdict(polled.taken) | {"source": polled.source, "error": polled.error}
    return json.dumps(row | {"wait": round(polled.wait.total_seconds(), 1)})


def _line(polled: Polled) -> str:
    taken = polled.taken
    line = (
        f"{polled.source}: read {taken.read}, new {taken.new}, updated {taken.updated}, "
        f"rejected {taken.rejected}, wait {polled.wait.total_seconds():.0f} s"
    )
    return f"{line} — {polled.error}" if polled.error else line
