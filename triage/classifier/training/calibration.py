"""What is fitted on held-out rows after training: temperatures, and the threshold of P0."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triage.classifier.labels import CATEGORIES, SENTIMENTS, SEVERITIES, TOPICS
from triage.classifier.reader import Reader
from triage.classifier.rows import text_of

NAMES = {
    "category": CATEGORIES,
    "sentiment": SENTIMENTS,
    "severity": SEVERITIES,
    "topic": TOPICS,
}
P0_RECALL = 0.87  # what the threshold aims at; what is likelier none is shown as a precaution
# A network that learnt from the mean of teachers is not too careful; a few hundred held-out posts
# are no reason to sharpen what it says.
TEMPERATURES = np.arange(1.0, 2.5, 0.05)


def fit(reader: Reader, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Temperatures by head (Guo et al., 2017) and the P0 threshold, for the model's card."""
    temperatures = {head: _temperature(reader, rows, head) for head in NAMES}
    return {"temperatures": temperatures, "p0_threshold": _p0_threshold(reader, rows)}


def _temperature(reader: Reader, rows: Sequence[Mapping[str, Any]], head: str) -> float:
    labelled = [row for row in rows if row.get(head) in NAMES[head]]
    found = reader.outputs([text_of(dict(row)) for row in labelled])[head]
    log = np.log(np.clip(found, 1e-9, 1.0))
    truth = np.array([NAMES[head].index(row[head]) for row in labelled])

    def loss(temperature: float) -> float:
        scaled = log / temperature
        total = np.log(np.exp(scaled).sum(axis=1))
        return float((total - scaled[np.arange(len(truth)), truth]).mean())

    return round(float(min(TEMPERATURES, key=loss)), 2)


def _p0_threshold(reader: Reader, rows: Sequence[Mapping[str, Any]]) -> float:
    """The highest threshold of P(bug) P(P0 | bug) at which enough of the P0s are read as P0."""
    of_p0 = [row for row in rows if row.get("severity") == "P0"]
    found = reader.outputs([text_of(dict(row)) for row in of_p0])
    joint = sorted(found["category"][:, CATEGORIES.index("bug")] * found["severity"][:, 0])
    missed = int(len(joint) * (1 - P0_RECALL))
    return math.floor(float(np.clip(joint[missed] if joint else 0.2, 0.05, 0.5)) * 100) / 100
