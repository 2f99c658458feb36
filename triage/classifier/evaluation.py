"""Readings of a labelled file against its labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from triage.classifier import scoring
from triage.classifier.labels import ALIASES, CATEGORIES, SEVERITIES
from triage.classifier.reader import Reader, Reading
from triage.classifier.rows import text_of
from triage.duplicates.index import Index
from triage.duplicates.traits import report_of
from triage.playbook import Playbook

CHUNK = 1_000  # texts that are read before progress is told


@dataclass(frozen=True, slots=True)
class Options:
    """How labels are compared: restricted to some, one folded into another, meaned by group."""

    labels: tuple[str, ...] = ()
    folds: Mapping[str, str] = field(default_factory=dict)
    group: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """One row with what was read of it."""

    row: Mapping[str, Any]
    reading: Reading
    category: str
    confidence: float


def evaluate(
    rows: Sequence[Mapping[str, Any]],
    reader: Reader,
    playbook: Playbook,
    options: Options,
    progress: Any = None,
) -> dict[str, Any]:
    """The figures of `manage.py evaluate` for these rows."""
    scored = score(rows, reader, playbook, options, progress)
    found = figures(scored, options)
    if options.group:
        found["groups"] = _groups(scored, options)
    return found


def score(
    rows: Sequence[Mapping[str, Any]],
    reader: Reader,
    playbook: Playbook,
    options: Options,
    progress: Any = None,
) -> list[Scored]:
    """The rows with what was read of them."""
    scored: list[Scored] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        readings = reader.read([text_of(dict(row)) for row in chunk], playbook)
        scored += [
            Scored(row, reading, *_choice(reading, options))
            for row, reading in zip(chunk, readings, strict=True)
        ]
        if progress:
            progress(len(scored), len(rows))
    return scored


def _choice(reading: Reading, options: Options) -> tuple[str, float]:
    """The category among those allowed, with its share of their probability."""
    if not options.labels and not options.folds:
        return reading.category, reading.confidence
    summed: dict[str, float] = {}
    for name, score in reading.scores["category"].items():
        folded = options.folds.get(name, name)
        if not options.labels or folded in options.labels:
            summed[folded] = summed.get(folded, 0.0) + score
    best = max(summed, key=lambda name: summed[name])
    return best, summed[best] / (sum(summed.values()) or 1.0)


def _label(scored: Scored, head: str, options: Options) -> str:
    value = scored.row.get(head)
    if not isinstance(value, str) or not value:
        return ""
    value = ALIASES.get(value, value)
    if head == "category":
        value = options.folds.get(value, value)
        if options.labels and value not in options.labels:
            return ""
        return value if value in CATEGORIES or options.folds else ""
    return value


def figures(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """Every figure that the rows' labels allow."""
    found: dict[str, Any] = {"n": len(scored)}
    for head in ("category", "sentiment", "topic"):
        rows = [(one, label) for one in scored if (label := _label(one, head, options))]
        if rows:
            found[head] = scoring.classes(
                [label for _, label in rows],
                [_read(one, head) for one, _ in rows],
                [_sure(one, head) for one, _ in rows],
            )
    graded = [one for one in scored if one.row.get("severity") in SEVERITIES]
    if graded:
        found["severity"] = scoring.severity(
            [str(one.row["severity"]) for one in graded],
            [one.reading.grade for one in graded],
            [max(one.reading.scores["severity"].values()) for one in graded],
            [one.row.get("severity") == "P0" for one in scored],
            [one.reading.severity == "P0" for one in scored],
        )
    if any(one.row.get("duplicates") for one in scored):
        found["duplicates"] = _duplicates(scored)
    return found


def _duplicates(scored: Sequence[Scored]) -> dict[str, Any]:
    """Recall of the texts whose duplicates are among these, by the score that the queue uses."""
    ids = [str(one.row.get("id", position)) for position, one in enumerate(scored)]
    place = {name: position for position, name in enumerate(ids)}
    twins = {
        name: kept
        for name, one in zip(ids, scored, strict=True)
        if (kept := [str(twin) for twin in one.row.get("duplicates") or [] if str(twin) in place])
    }
    reports = [
        report_of(position, text_of(dict(one.row)), one.reading.embedding)
        for position, one in enumerate(scored)
    ]
    index = Index(limit=len(reports))
    index.add(reports)
    found = {name: [ids[match.key] for match in index.find(reports[place[name]])] for name in twins}
    return scoring.duplicates(twins, found)


def _read(one: Scored, head: str) -> str:
    return one.category if head == "category" else str(getattr(one.reading, head))


def _sure(one: Scored, head: str) -> float:
    return one.confidence if head == "category" else max(one.reading.scores[head].values())


def _groups(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    by: dict[str, list[Scored]] = {}
    for one in scored:
        by.setdefault(str(one.row.get(options.group)), []).append(one)
    found = {name: figures(rows, options) for name, rows in sorted(by.items())}
    means = [row["category"]["macro_f1"] for row in found.values() if "category" in row]
    mean = round(float(np.mean(means)), 4) if means else None
    return {"by": found, "mean_macro_f1": mean}
