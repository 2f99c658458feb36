"""Items beside the one that is looked at: what else was said of the same thing of late.

Nothing is kept in memory: the window's embeddings are read anew, and the nearest items by meaning
are compared word by word.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Substr

from feedback.models import Item, Kind, Message
from feedback.vocabulary import State
from triage.classifier import Text
from triage.duplicates.score import PERHAPS, SAME
from triage.duplicates.traits import WIDTH, Report, report_of
from triage.models import Reading

if TYPE_CHECKING:
    import numpy as np

WINDOW = 10_000  # newest items that are looked at
NEAREST = 40  # by embedding, of which the words are compared
TEXT_LIMIT = 2_000  # characters of a text that are compared
WORTH_SHOWING = 0.01  # score below which a match says nothing
DECIDED = 3  # items that people decided on, shown beside one
ALIKE = 0.5  # cosine below which what was decided of one item says nothing of another


@dataclass(frozen=True, slots=True)
class Similar:
    """An item that may be about the same.

    `score`: the probability that it reports the same; `alike`: the cosine of the two meanings.
    """

    item: Item
    score: float
    alike: float

    @property
    def verdict(self) -> str:
        """What the score says, in words."""
        if self.score >= SAME:
            return "the same"
        return "perhaps the same" if self.score >= PERHAPS else ""


@dataclass(frozen=True, slots=True)
class Said:
    """An item as it is compared, and who wrote it."""

    report: Report
    author: int | None


def similar_to(item: Item, count: int = 5) -> list[Similar]:
    """The items of the window that are likest to one, likest first; spam is left out."""
    from triage.duplicates.index import Index

    own = said(Item.objects.filter(pk=item.pk), 1)
    if not own:
        return []
    places = [pk for pk, _ in _nearest(own[0].report, Reading.objects.all(), NEAREST)]
    near = Item.objects.filter(pk__in=places).order_by("pk")
    index = Index(limit=NEAREST)
    index.add(one.report for one in said(near, NEAREST))
    found = index.find(own[0].report, count)
    matches = [match for match in found if match.score >= WORTH_SHOWING]
    items = Item.objects.defer("context").in_bulk([match.key for match in matches])
    return [
        Similar(items[match.key], match.score, match.likeness.meaning)
        for match in matches
        if match.key in items
    ]


def decided_like(item: Item) -> list[Item]:
    """Items of like meaning whose reading a person corrected or confirmed, likest first."""
    own = said(Item.objects.filter(pk=item.pk), 1)
    if not own:
        return []
    near = _nearest(own[0].report, Reading.objects.filter(item__corrected=True), DECIDED)
    places = [pk for pk, alike in near if alike >= ALIKE]
    items = Item.objects.defer("context").in_bulk(places)
    return [items[pk] for pk in places if pk in items]


def said(items: QuerySet[Item], at_most: int) -> list[Said]:
    """The first of these items that were read, as they are compared."""
    first = Message.objects.filter(item=OuterRef("pk"), kind=Kind.POST, ours=False)
    first = first.order_by("created_at", "id").annotate(begin=Substr("text", 1, TEXT_LIMIT))
    columns = ("pk", "title", "begin", "reading__embedding", "created_at", "author_id")
    rows = items.exclude(reading__embedding=None).annotate(
        begin=Subquery(first.values("begin")[:1])
    )
    return [
        Said(comparable(pk, title, text or "", unpacked(embedding or b""), at), author)
        for pk, title, text, embedding, at, author in rows.values_list(*columns)[:at_most]
    ]


def comparable(key: int, title: str, text: str, embedding: Any, at: datetime | None) -> Report:
    """An item as it is compared; an embedding of another model's width is of no use."""
    usable = embedding if embedding is not None and len(embedding) == WIDTH else None
    return report_of(key, Text(text=text[:TEXT_LIMIT], title=title), usable, at)


def packed(embedding: Any) -> bytes | None:
    """An embedding as little-endian half floats."""
    return None if embedding is None else embedding.astype("<f2").tobytes()


def unpacked(stored: bytes | memoryview) -> "np.ndarray[Any, Any]":
    """Embeddings as `packed` wrote them, of one text or of several after each other."""
    import numpy as np

    return np.frombuffer(stored, dtype="<f2").astype(np.float32)


def _nearest(own: Report, among: QuerySet[Reading], count: int) -> list[tuple[int, float]]:
    """The newest items `among` these that are nearest by embedding, with the cosine."""
    import numpy as np

    if own.embedding is None:
        return []
    rows = among.exclude(embedding=None).exclude(item=own.key)
    rows = rows.exclude(item__state=State.SPAM).order_by("-item_id")
    width = 2 * len(own.embedding)
    pairs = [
        (pk, packed)
        for pk, packed in rows.values_list("item_id", "embedding")[:WINDOW]
        if packed and len(packed) == width  # not of a model of another width
    ]
    matrix = unpacked(b"".join(packed for _, packed in pairs)).reshape(-1, len(own.embedding))
    alike = matrix @ own.embedding
    near = np.argsort(-alike, kind="stable")[:count]
    return [(pairs[place][0], float(alike[place])) for place in near]
