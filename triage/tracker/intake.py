"""Rows into items: under their source, triaged anew, and then as their rows say."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from feedback.channels import sample
from feedback.intake import Taken, add_posts
from feedback.models import Item, Message, Source
from feedback.vocabulary import Channel
from triage.pipeline import LEASE, triage_waiting
from triage.playbook import current
from triage.tracker.decided import take_over
from triage.tracker.files import BadRow, Line
from triage.tracker.posts import Said, posts_of

SAMPLE_ID = "sample-"
PAUSE_SECONDS = 0.2

Key = tuple[str, str]  # channel, external id of the first post


@dataclass(slots=True)
class Result:
    """What a chunk of rows came to; `bad` are lines that were not taken in, and why."""

    taken: Taken = field(default_factory=Taken)
    bad: list[tuple[int, str]] = field(default_factory=list)


def take_in(lines: Iterable[Line]) -> Result:
    """Take a chunk of rows in and triage it, so that none of it waits for a worker."""
    began, result = timezone.now(), Result()
    by_source: dict[Key, list[list[Said]]] = {}
    rows: dict[Key, Mapping[str, Any]] = {}
    keys: list[Key] = []
    for line in lines:
        try:
            if line.error:
                raise BadRow(line.error)
            said = posts_of(line.row)
        except BadRow as error:
            result.bad.append((line.number, str(error)))
            continue
        first = said[0].post
        keys.append((first.channel, first.external_id))
        rows[keys[-1]] = line.row
        by_source.setdefault(_source_of(line.row, said), []).append(said)
    for (name, channel), conversations in by_source.items():
        result.taken += _add(name, channel, conversations)
    fresh = _items(keys, began)
    _triage(list(fresh.values()))
    take_over({fresh[key]: row for key, row in rows.items() if key in fresh}, current())
    return result


def _source_of(row: Mapping[str, Any], said: Sequence[Said]) -> Key:
    """Name and channel of a row's source; what came of the sample launch stays marked as that."""
    name, first = str(row.get("source") or "import")[:90], said[0].post
    is_sample = name == sample.NAME and first.external_id.startswith(SAMPLE_ID)
    return name, Channel.SAMPLE if is_sample else first.channel


def _add(name: str, channel: str, conversations: Sequence[Sequence[Said]]) -> Taken:
    source = _source(name, channel)
    said = list(_new(conversations))
    ours = {one.post.author for one in said if one.is_ours and one.post.author}
    # Of this import alone, and not saved: whom the file calls ours.
    source.config = source.config | {"team": sorted({*source.config.get("team", []), *ours})}
    return add_posts(source, [one.post for one in said])


def _source(name: str, channel: str) -> Source:
    """The source of that name, made and not polled where it is not there."""
    if found := Source.objects.filter(name=name, channel=channel).first():
        return found
    if Source.objects.filter(name=name).exists():
        name = f"{name} ({channel})"
    values = {"channel": channel, "enabled": False}
    return Source.objects.get_or_create(name=name, defaults=values)[0]


def _new(conversations: Sequence[Sequence[Said]]) -> Iterator[Said]:
    """All posts, but replies without an id only with a conversation that is new here."""
    firsts = [said[0].post for said in conversations]
    known = _known((post.channel, post.external_id) for post in firsts)
    for said in conversations:
        is_known = (said[0].post.channel, said[0].post.external_id) in known
        yield from (one for one in said if one.is_named or not is_known)


def _known(keys: Iterable[Key]) -> set[Key]:
    wanted = set(keys)
    pairs = _firsts(wanted).values_list("channel", "external_id")
    return {(channel, str(external_id)) for channel, external_id in pairs} & wanted


def _items(keys: Sequence[Key], began: datetime) -> dict[Key, int]:
    """The items that these posts began just now."""
    found = _firsts(keys).filter(item__taken_in_at__gte=began)
    pairs = found.values_list("channel", "external_id", "item_id")
    return {(channel, str(external_id)): item for channel, external_id, item in pairs if item}


def _firsts(keys: Collection[Key]) -> QuerySet[Message]:
    """The messages of these ids; both columns, so that their index is used."""
    channels, ids = {channel for channel, _ in keys}, {external_id for _, external_id in keys}
    return Message.objects.filter(channel__in=channels, external_id__in=ids)


def _triage(ids: Sequence[int]) -> None:
    """Until all of them are triaged, by us or by a worker beside us that has claimed some."""
    end = time.monotonic() + 2 * LEASE.total_seconds()
    while triage_waiting() or Item.objects.filter(pk__in=ids, triage_due_at__isnull=False).exists():
        if time.monotonic() > end:
            break
        time.sleep(PAUSE_SECONDS)
