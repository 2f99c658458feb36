"""Fit the heads anew on corrections, and decide whether the result replaces what is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from triage.classifier.adjustment import FLOOR, Adjustment, fit
from triage.classifier.labels import HEADS
from triage.learning import examples, versions
from triage.learning.examples import Example, stacked
from triage.models import ModelVersion

NEEDED = 30  # items seen by people, below which nothing is learnt
ANCHOR_WEIGHT = 0.3  # of an item that people let stand, beside one that they have seen
AGREEMENT = 0.95  # share of what people let stand that must be read as before


class TooFew(Exception):
    """There is not enough to learn from; the message says how much is missing."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of it: the stored version, and why it is or is not in force."""

    version: ModelVersion
    reason: str


def learn(base: str, by: User | None = None) -> Learnt:
    """Fit a version of the model called `base`. Raises TooFew.

    It comes in force if it reads the held-out corrections better than what is in force, by log
    loss and without more mistakes, and hardly anything that people let stand otherwise.
    """
    seen, anchors = examples.seen_by_people(base), examples.let_stand(base)
    if len(seen) < NEEDED:
        raise TooFew(
            f"{len(seen)} items were corrected or confirmed by people; learning needs {NEEDED}. "
            "The queue's tab “Unsure” has those that teach most."
        )
    taught = [example for example in seen if not example.is_held_out]
    held = [example for example in seen if example.is_held_out]
    fitted = Adjustment("+0", _fit(taught, anchors))
    before, after = scores(held, versions.active(base)), scores(held, fitted)
    reason = _objection(before, after, _agreement(anchors, fitted))
    version = ModelVersion.objects.create(
        base=base,
        weights=fitted.to_bytes(),
        figures={"before": before, "after": after, "verdict": reason or "better"},
        corrections=len(seen),
        made_at=timezone.now(),
        made_by=by,
    )
    if not reason:
        versions.activate(version, by)
    return Learnt(version, reason or "It is better on the held-out corrections and is in force.")


def scores(held: Sequence[Example], adjustment: Adjustment | None) -> dict[str, dict[str, float]]:
    """By head: how many held-out items, the share read right, and the log loss."""
    import numpy as np

    found = {}
    for head in HEADS:
        shares, embeddings, truth = stacked(held, head)
        if len(truth):
            if adjustment:
                shares = adjustment.apply(head, shares, embeddings)
            right = shares.argmax(axis=1) == truth
            loss = -np.log(np.clip(shares[np.arange(len(truth)), truth], FLOOR, 1.0))
            found[head] = {
                "n": len(truth),
                "right": round(float(right.mean()), 4),
                "loss": round(float(loss.mean()), 4),
            }
    return found


def _fit(taught: Sequence[Example], anchors: Sequence[Example]) -> dict[str, Any]:
    import numpy as np

    weights = {}
    for head in HEADS:
        shares, embeddings, truth = stacked(taught, head)
        if not len(truth):
            continue
        importance = np.ones(len(truth))
        more_shares, more_embeddings, more_truth = stacked(anchors, head)
        if len(more_truth):
            shares = np.vstack([shares, more_shares])
            embeddings = np.vstack([embeddings, more_embeddings])
            truth = np.concatenate([truth, more_truth])
            importance = np.concatenate([importance, np.full(len(more_truth), ANCHOR_WEIGHT)])
        weights[head] = fit(shares, embeddings, truth, importance)
    return weights


def _agreement(anchors: Sequence[Example], adjustment: Adjustment) -> float:
    """The share of categories of what people let stand that are read as they stand."""
    shares, embeddings, truth = stacked(anchors, "category")
    if not len(truth):
        return 1.0
    read = adjustment.apply("category", shares, embeddings).argmax(axis=1)
    return float((read == truth).mean())


def _objection(before: dict[str, Any], after: dict[str, Any], agreement: float) -> str:
    """Why a version does not come in force, or an empty string."""
    if not after:
        return "None of the held-out corrections could be scored; correct some more items."
    worse = [head for head in after if after[head]["right"] < before[head]["right"]]
    if worse:
        return f"It makes more mistakes in {', '.join(worse)} of the held-out corrections."
    if sum(row["loss"] for row in after.values()) >= sum(row["loss"] for row in before.values()):
        return "It is no better on the held-out corrections."
    if agreement < AGREEMENT:
        return f"It reads {1 - agreement:.0%} of what people let stand otherwise."
    return ""
