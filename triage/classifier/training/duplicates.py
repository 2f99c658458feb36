"""Fit the score of duplicates on reports whose duplicates are known; needs no PyTorch.

    python -m triage.classifier.training.duplicates ../shared/datasets/duplicates_hadoop.jsonl.gz

prints the figures of cross-validation (no pair is scored by a fit that saw either of its texts) and
writes `triage/duplicates/coefficients.json`.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from triage.classifier.reader import get_reader
from triage.classifier.rows import read_rows, text_of
from triage.duplicates.index import Index, Match
from triage.duplicates.score import NAMES, SHIPPED, probability
from triage.duplicates.traits import report_of

Floats = np.ndarray[Any, Any]

FOLDS = 5
SEEDS = 5
RIDGE = 1.0  # likenesses are 0 to 1; some hundred true pairs bear no less
DEPTHS = (1, 5, 10)
# Old text apart in time is seldom the same problem. The data has no dates: set by hand.
BY_HAND = {"apart": -1.0}
FITTED = tuple(name for name in NAMES if name not in BY_HAND)
# Only finds candidates: what it is takes no part, as long as it says something.
BEGIN = dict.fromkeys(NAMES, 0.0) | {"intercept": 0.0, "meaning": 1.0, "words": 1.0}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Texts with known duplicates and what the index proposes for each."""

    asked: Floats  # position of the text that was asked for, by pair
    found: Sequence[Match]
    is_same: Floats
    group: Floats  # texts that are duplicates of each other share it
    twins: Mapping[int, frozenset[int]]

    @property
    def likenesses(self) -> Floats:
        """One row a pair: 1 for the intercept, then the fitted likenesses."""
        return np.array(
            [[1.0, *(getattr(one.likeness, name) for name in FITTED)] for one in self.found]
        )


def pairs_of(rows: Sequence[Mapping[str, Any]], embeddings: Floats) -> Pairs:
    """The candidates of every row that has duplicates among the rows."""
    place = {str(row["id"]): number for number, row in enumerate(rows)}
    twins = {
        place[str(row["id"])]: frozenset(place[twin] for twin in row["duplicates"] if twin in place)
        for row in rows
        if row["duplicates"]
    }
    reports = [
        report_of(number, text_of(dict(row)), embeddings[number]) for number, row in enumerate(rows)
    ]
    index = Index(limit=len(reports), by=BEGIN)
    index.add(reports)
    found = [(asked, match) for asked in twins for match in index.find(reports[asked], len(rows))]
    group = _groups(twins)
    return Pairs(
        asked=np.array([asked for asked, _ in found]),
        found=[match for _, match in found],
        is_same=np.array([match.key in twins[asked] for asked, match in found], dtype=float),
        group=np.array([group[asked] for asked, _ in found]),
        twins=twins,
    )


def fit(likenesses: Floats, is_same: Floats) -> dict[str, float]:
    """Coefficients of a ridge logistic regression (Newton's method)."""
    weights = np.zeros(likenesses.shape[1])
    ridge = RIDGE * np.eye(len(weights))
    ridge[0, 0] = 0
    for _ in range(30):
        chance = 1 / (1 + np.exp(-likenesses @ weights))
        slope = likenesses.T @ (chance - is_same) + ridge @ weights
        curve = (likenesses * (chance * (1 - chance))[:, None]).T @ likenesses + ridge
        weights -= np.linalg.solve(curve, slope)
    named = zip(("intercept", *FITTED), weights, strict=True)
    return {name: round(float(weight), 2) for name, weight in named} | BY_HAND


def cross_validated(pairs: Pairs) -> dict[str, float]:
    """Recall and calibration of fits that saw neither text of a pair, meaned over seeds."""
    rows = [_validated(pairs, seed) for seed in range(SEEDS)]
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def _validated(pairs: Pairs, seed: int) -> dict[str, float]:
    groups, likenesses = np.unique(pairs.group), pairs.likenesses
    fold_of = dict(
        zip(groups, np.random.default_rng(seed).permutation(len(groups)) % FOLDS, strict=True)
    )
    folds = np.array([fold_of[group] for group in pairs.group])
    scores = np.zeros(len(folds))
    for fold in range(FOLDS):
        by = fit(likenesses[folds != fold], pairs.is_same[folds != fold])
        for number in np.flatnonzero(folds == fold):
            scores[number] = probability(pairs.found[number].likeness, by)
    return _recalls(pairs, scores) | {"ece": _calibration(scores, pairs.is_same)}


def _recalls(pairs: Pairs, scores: Floats) -> dict[str, float]:
    hits: dict[int, list[int]] = {depth: [] for depth in DEPTHS}
    for asked in pairs.twins:
        own = np.flatnonzero(pairs.asked == asked)
        best = pairs.is_same[own[np.argsort(-scores[own], kind="stable")]]
        for depth in DEPTHS:
            hits[depth].append(bool(best[:depth].any()))
    return {f"recall@{depth}": float(np.mean(found)) for depth, found in hits.items()}


def _calibration(scores: Floats, is_same: Floats) -> float:
    bins = np.minimum((scores * 10).astype(int), 9)
    return float(
        sum(
            (bins == one).mean() * abs(is_same[bins == one].mean() - scores[bins == one].mean())
            for one in np.unique(bins)
        )
    )


def _groups(twins: Mapping[int, frozenset[int]]) -> dict[int, int]:
    """A common number for texts that duplicates lead to from each other."""
    group: dict[int, int] = {}
    for first in twins:
        waiting = [first]
        while waiting:
            one = waiting.pop()
            if one not in group:
                group[one] = first
                waiting += twins.get(one, frozenset())
    return group


def main() -> None:
    """Fit, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", metavar="FILE.jsonl[.gz]")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedback.settings")
    rows = list(read_rows(parser.parse_args().file))
    reader = get_reader()
    pairs = pairs_of(rows, reader.outputs([text_of(row) for row in rows])["embedding"])
    figures = cross_validated(pairs)
    by = fit(pairs.likenesses, pairs.is_same)
    written = {"model": reader.version, "cross_validated": figures, "coefficients": by}
    SHIPPED.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(written, indent=1))  # noqa: T201 - a script's answer


if __name__ == "__main__":
    main()
