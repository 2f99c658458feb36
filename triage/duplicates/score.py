"""How likely two texts report the same thing: a logistic of a few likenesses.

The coefficients are fitted by `triage.classifier.training.duplicates` and shipped as
`coefficients.json`. Likenesses are 0 to 1, so that a coefficient says how much one can count.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from pathlib import Path

SHIPPED = Path(__file__).with_name("coefficients.json")
SAME = 0.5  # the score from which two texts are called the same
PERHAPS = 0.05  # and perhaps so: of a few people's posts on one product more are than the fit saw
_DAY = 86_400  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike two texts are, 0 to 1 in each respect."""

    meaning: float  # cosine of their embeddings
    words: float  # cosine of the words of title and opening, weighted by rarity
    letters: float  # the same of their character n-grams: typos, inflections, compounds
    errors: float  # share of the error strings that they have in common
    versions: float  # share of the versions that they have in common
    apart: float  # of time: 0 on the same day, 1 a year and more apart


NAMES = tuple(field.name for field in fields(Likeness))


@cache
def coefficients() -> Mapping[str, float]:
    """The shipped coefficients by likeness, and their `intercept`."""
    loaded: dict[str, float] = json.loads(SHIPPED.read_text(encoding="utf-8"))["coefficients"]
    return loaded


def probability(likeness: Likeness, by: Mapping[str, float]) -> float:
    """The probability that two texts that are so alike report the same thing, 0 to 1."""
    logit = by["intercept"] + sum(by[name] * getattr(likeness, name) for name in NAMES)
    return 1 / (1 + math.exp(-logit))


def shared(ours: frozenset[str], theirs: frozenset[str]) -> float:
    """How many marks are common to both, as a share of the smaller number."""
    if not ours or not theirs:
        return 0.0
    return len(ours & theirs) / min(len(ours), len(theirs))


def apart(one: datetime | None, other: datetime | None) -> float:
    """How far two instants are apart, by the logarithm of days: 0 within one, 1 from a year on."""
    if one is None or other is None:
        return 0.0
    days = abs((one - other).total_seconds()) / _DAY
    return min(1.0, math.log(max(days, 1.0)) / math.log(365))
