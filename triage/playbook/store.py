"""The playbook's versions in the database, and the sources that follow from the newest.

A version is never changed: an edit is a new one. Items keep the version that they were routed by.
"""

import sys
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomlkit
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from tomlkit.items import AoT

from feedback.models import Source
from feedback.vocabulary import Channel
from triage.models import PlaybookVersion
from triage.playbook.schema import Playbook
from triage.playbook.text import PlaybookError, parse

SHIPPED = Path(__file__).with_name("launch.toml")


def current() -> Playbook:
    """The playbook in force: the newest version, or the shipped one where none is loaded."""
    newest = PlaybookVersion.objects.order_by("-pk").values_list("pk", "loaded_at").first()
    return shipped() if newest is None else _version(*newest)


@lru_cache(maxsize=8)
def _version(pk: int, _loaded_at: datetime) -> Playbook:
    """The playbook of one version; its time tells it from one that was rolled back."""
    text = PlaybookVersion.objects.values_list("text", flat=True).get(pk=pk)
    return parse(text).model_copy(update={"version_id": pk})


@lru_cache(maxsize=1)
def shipped() -> Playbook:
    """The playbook that comes with the project."""
    return parse(SHIPPED.read_text(encoding="utf-8"))


def read_file(path: Path) -> str:
    """The text of a playbook file, `-` for standard input. Raises PlaybookError if it is none."""
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read().decode()
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlaybookError([f"{path}: it cannot be read ({error.strerror})."]) from None
    except ValueError:
        raise PlaybookError([f"{path}: it is not UTF-8 text. Save it as UTF-8."]) from None


def load_first() -> None:
    """Load the configured or the shipped playbook where there is no version yet.

    Raises PlaybookError.
    """
    if not PlaybookVersion.objects.exists():
        path = settings.PLAYBOOK or SHIPPED
        load(read_file(path), note=f"first start, from {path.name}", name=path.name)


def load(
    text: str, by: User | None = None, note: str = "", name: str = "launch.toml"
) -> PlaybookVersion:
    """Put a playbook in force, whole or not at all. Raises PlaybookError.

    A text that is in force already makes no new version.
    """
    rules = parse(text, name)
    with transaction.atomic():
        newest = PlaybookVersion.objects.order_by("-pk").select_for_update().first()
        if newest and newest.text == text:
            return newest
        made = PlaybookVersion.objects.create(
            text=text,
            loaded_at=timezone.now(),
            loaded_by=by,
            note=note[:200],
        )
        sync_sources(rules)
    return made


def add_source(table: dict[str, Any], by: User | None = None) -> Source:
    """Write a source into the playbook in force, keeping its comments. Raises PlaybookError."""
    with transaction.atomic():
        newest = PlaybookVersion.objects.order_by("-pk").select_for_update().first()
        text = newest.text if newest else SHIPPED.read_text(encoding="utf-8")
        document = tomlkit.parse(text)
        sources = document.setdefault("sources", tomlkit.aot())
        if not isinstance(sources, AoT):
            raise PlaybookError(["sources: it is not a list of tables. Write [[sources]]."])
        written = tomlkit.table()
        written.update(table)
        sources.append(written)
        load(tomlkit.dumps(document), by=by, note=f"source {table.get('name', '')} added")
        return Source.objects.get(name=table["name"])


def set_match(source: Source, match: str, by: User | None = None) -> None:
    """Write a source's query into the playbook in force. Raises PlaybookError."""
    with transaction.atomic():
        newest = PlaybookVersion.objects.order_by("-pk").select_for_update().first()
        document = tomlkit.parse(newest.text if newest else SHIPPED.read_text(encoding="utf-8"))
        for table in document.get("sources", []):
            if table.get("name") == source.name:
                table["match"] = match
                break
        else:
            raise PlaybookError([f'sources: "{source.name}" is not in the playbook in force.'])
        load(tomlkit.dumps(document), by=by, note=f"query of {source.name} changed")


def sync_sources(rules: Playbook) -> None:
    """Bring the rows of sources in line; one that is gone is disabled, its items stay.

    A source whose table changed may poll again, though a refused credential had stopped it.
    """
    now = timezone.now()
    names = [rule.name for rule in rules.sources]
    rows = {source.name: source for source in Source.objects.filter(name__in=names)}
    for rule in rules.sources:
        team = sorted({*rule.team, *rule.ours(), *rules.team.get(rule.channel, [])})
        values: dict[str, Any] = {"channel": rule.channel, "every": rule.every}
        values["enabled"] = rule.enabled
        values["config"] = rule.config() | {"team": team}
        row = rows.get(rule.name)
        if row is None:
            Source.objects.create(name=rule.name, next_poll_at=now, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            values |= {"next_poll_at": now, "is_stopped": False, "failures": 0}
            Source.objects.filter(pk=row.pk).update(**values)
    gone = Source.objects.exclude(channel=Channel.SAMPLE).exclude(name__in=names)
    gone.filter(enabled=True).update(enabled=False)
