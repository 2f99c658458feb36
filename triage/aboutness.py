"""What staff said is not about us teaches the source that it came from.

A new item whose nearest neighbours of the same source are such items is closed by itself, with the
one that it is like named in its history. Severe bugs are left to people.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from feedback.vocabulary import Closed, Severity
from triage.bursts import Fresh
from triage.models import NotAboutUs, Reading
from triage.similar import unpacked

if TYPE_CHECKING:
    import numpy as np
    from django.db.models import QuerySet

NEAR = 0.45  # cosine from which two texts speak of like things
NEIGHBOURS = 3  # of which most decide
REMEMBERED = 300  # newest examples of each side
SEVERE = (Severity.P0, Severity.P1)

Example = tuple[int, "np.ndarray"]


def foreign(fresh: Sequence[Fresh]) -> dict[int, int]:
    """Of new items those that are not about us, each with the item that it is like."""
    by_source: dict[int, list[Fresh]] = {}
    for one in fresh:
        if one.reading.severity not in SEVERE:
            by_source.setdefault(one.item.source_id, []).append(one)
    found = {}
    taught = NotAboutUs.objects.filter(source__in=by_source)
    for source in set(taught.values_list("source", flat=True)):
        foreigners, ours = _examples(source, [one.item.pk for one in by_source[source]])
        for one in by_source[source]:
            if like := nearest_foreigner(one.reading.embedding, foreigners, ours):
                found[one.item.pk] = like
    return found


def nearest_foreigner(
    embedding: "np.ndarray", foreigners: Sequence[Example], ours: Sequence[Example]
) -> int | None:
    """The example that a text is like, if most of its nearest neighbours are not about us."""
    neighbours = [(float(vector @ embedding), key, True) for key, vector in foreigners]
    neighbours += [(float(vector @ embedding), key, False) for key, vector in ours]
    nearest = sorted(neighbours, reverse=True)[:NEIGHBOURS]
    votes = [(key, is_foreign) for similar, key, is_foreign in nearest if similar >= NEAR]
    against = [key for key, is_foreign in votes if is_foreign]
    return against[0] if len(against) * 2 > len(votes) else None


def _examples(source: int, but: Sequence[int]) -> tuple[list[Example], list[Example]]:
    """What staff said is not about us, and what they left in or answered."""
    readings = Reading.objects.exclude(embedding=None).order_by("-item_id")
    foreign = readings.filter(item__not_about_us__source=source)
    ours = readings.filter(item__source=source, item__not_about_us=None)
    ours = ours.exclude(item__closed_as=Closed.NO_FEEDBACK).exclude(item__in=but)
    return _vectors(foreign), _vectors(ours)


def _vectors(readings: "QuerySet[Reading]") -> list[Example]:
    rows = readings.values_list("item", "embedding")[:REMEMBERED]
    return [(pk, unpacked(packed)) for pk, packed in rows if packed]
