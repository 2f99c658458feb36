"""What there is to learn from: items that people have seen, and items that they let stand."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feedback.models import Item
from feedback.vocabulary import State
from triage.classifier.adjustment import Adjustment
from triage.classifier.labels import HEADS
from triage.learning.versions import all_of
from triage.models import Reading
from triage.similar import unpacked

if TYPE_CHECKING:
    import numpy as np

ANCHORS = 2_000  # newest items that people worked on and let stand
SEEN = 20_000  # newest items that people corrected or confirmed
HELD_OUT = 5  # one in so many of them decides, and teaches nothing


@dataclass(frozen=True, slots=True)
class Example:
    """One item: the shipped model's probabilities by head, and what is true of it."""

    item: int
    embedding: "np.ndarray[Any, Any]"
    shares: dict[str, "np.ndarray[Any, Any]"]
    truth: dict[str, str]

    @property
    def is_held_out(self) -> bool:
        """Whether it decides and teaches nothing; the same for an item every time."""
        return hashlib.sha256(str(self.item).encode()).digest()[0] % HELD_OUT == 0


def seen_by_people(base: str) -> list[Example]:
    """Items that a person corrected or confirmed, as they now stand."""
    return _examples(base, corrected=True)[:SEEN]


def let_stand(base: str) -> list[Example]:
    """Items that people answered or closed without touching the reading."""
    worked_on = [State.WAITING, State.CLOSED]
    return _examples(base, corrected=False, item__state__in=worked_on)[:ANCHORS]


def _examples(base: str, *, corrected: bool, **which: Any) -> list[Example]:
    rows = (
        Reading.objects.filter(item__corrected=corrected, model__startswith=base, **which)
        .exclude(embedding=None)
        .select_related("item")
        .order_by("-item_id")[: SEEN if corrected else ANCHORS]
    )
    made_by = all_of(base)
    of_versions_that_are_here = (row for row in rows if row.model in {base, *made_by})
    return [_example(row, made_by.get(row.model)) for row in of_versions_that_are_here]


def _example(reading: Reading, version: Adjustment | None) -> Example:
    import numpy as np

    embedding = unpacked(reading.embedding or b"")
    shares = {}
    for head, names in HEADS.items():
        row = np.array([[reading.scores[head][name] for name in names]])
        shares[head] = (version.undo(head, row, embedding[None]) if version else row)[0]
    return Example(reading.item_id, embedding, shares, _truth(reading.item))


def _truth(item: Item) -> dict[str, str]:
    return {head: getattr(item, head) for head in HEADS if getattr(item, head)}


def stacked(examples: Sequence[Example], head: str) -> tuple[Any, Any, Any]:
    """Probabilities, embeddings and class numbers of the examples that have a truth of a head."""
    import numpy as np

    known = [example for example in examples if example.truth.get(head) in HEADS[head]]
    if not known:
        return np.zeros((0, len(HEADS[head]))), np.zeros((0, 1)), np.zeros(0, dtype=int)
    truth = np.array([HEADS[head].index(example.truth[head]) for example in known])
    return (
        np.stack([example.shares[head] for example in known]),
        np.stack([example.embedding for example in known]),
        truth,
    )
