"""How well readings agree with labels: the figures of `manage.py evaluate`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BINS = 10


def classes(
    truth: Sequence[str], read: Sequence[str], confidence: Sequence[float]
) -> dict[str, Any]:
    """Scores of one head over rows that have a label.

    Macro figures are means over the classes that occur in `truth`. `ece` is the expected
    calibration error over ten equal bins of confidence (Guo et al., 2017).
    """
    per_class = {name: _one(name, truth, read) for name in sorted(set(truth))}
    right = [a == b for a, b in zip(truth, read, strict=True)]
    return {
        "n": len(truth),
        "macro_f1": _mean([row["f1"] for row in per_class.values()]),
        "macro_recall": _mean([row["recall"] for row in per_class.values()]),
        "accuracy": _mean(right),
        "per_class": per_class,
        "ece": _calibration(right, confidence),
    }


def _one(name: str, truth: Sequence[str], read: Sequence[str]) -> dict[str, Any]:
    hits = sum(a == b == name for a, b in zip(truth, read, strict=True))
    said, real = sum(b == name for b in read), sum(a == name for a in truth)
    precision, recall = hits / said if said else 0.0, hits / real
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {
        "n": real,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(f1, 4),
    }


def _calibration(right: Sequence[bool], confidence: Sequence[float]) -> float:
    hits, sure = np.asarray(right, dtype=float), np.asarray(confidence, dtype=float)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [
        (bins == b).mean() * abs(hits[bins == b].mean() - sure[bins == b].mean())
        for b in range(BINS)
        if (bins == b).any()
    ]
    return round(float(sum(gaps)), 4)


def severity(
    truth: Sequence[str],
    read: Sequence[str],
    confidence: Sequence[float],
    is_p0: Sequence[bool],
    says_p0: Sequence[bool],
) -> dict[str, Any]:
    """Scores of the severity reading, and of P0 by the final reading over all rows."""
    hits = sum(a and b for a, b in zip(is_p0, says_p0, strict=True))
    within = [abs(int(a[1]) - int(b[1])) <= 1 for a, b in zip(truth, read, strict=True)]
    return classes(truth, read, confidence) | {
        "within_one": _mean(within),
        "p0_recall": round(hits / sum(is_p0), 4) if any(is_p0) else None,
        "p0_precision": round(hits / sum(says_p0), 4) if any(says_p0) else None,
    }


def duplicates(
    twins: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """How often a known duplicate is among the first that were found, at 1, 5 and 10.

    `twins`: the duplicates by the text's id; `found`: what was found for it, likeliest first.
    """
    figures: dict[str, Any] = {"n": len(found)}
    for depth in (1, 5, 10) if found else ():
        hits = [bool(set(rows[:depth]) & set(twins[name])) for name, rows in found.items()]
        figures[f"recall@{depth}"] = _mean(hits)
    return figures


def _mean(values: Sequence[Any]) -> float:
    return round(float(np.mean(values)), 4) if len(values) else 0.0
