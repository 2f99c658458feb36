"""A window of texts in which the likely duplicates of a new one are found."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from triage.duplicates.score import Likeness, apart, coefficients, probability, shared
from triage.duplicates.traits import GRAM_BUCKETS, WIDTH, WORD_BUCKETS, Report, Terms

CANDIDATES = 60  # by embedding, and as many by words
OTHERS = 1_000  # imagined texts without any of the terms: rarity in a window that is still small

Floats = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Match:
    """A text of the window that may report the same; `score` is a probability."""

    key: int
    score: float
    likeness: Likeness


class Index:
    """Up to `limit` reports, the newest kept.

    Texts are better added many at once: the first search after it takes stock of the window.
    Not safe to be used by several threads while one adds.
    """

    def __init__(self, limit: int = 10_000, by: Mapping[str, float] | None = None) -> None:
        self._limit, self._by = limit, by or coefficients()
        self._reports: list[Report] = []
        self._places: dict[int, int] = {}
        self._matrix = np.zeros((0, WIDTH), dtype=np.float32)
        self._words = _Terms(WORD_BUCKETS, attrgetter("traits.words"))
        self._grams = _Terms(GRAM_BUCKETS, attrgetter("traits.grams"))
        self._rows: _Rows | None = None

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, reports: Iterable[Report]) -> None:
        """Take reports in; one with a known key takes the old one's place in the window."""
        fresh = {report.key: report for report in reports}
        if not fresh:
            return
        kept = [report for report in self._reports if report.key not in fresh]
        held = [*kept, *fresh.values()][-self._limit :]
        matrix = np.zeros((len(held), WIDTH), dtype=np.float32)
        old = [place for place, report in enumerate(held) if report.key not in fresh]
        matrix[old] = self._matrix[[self._places[held[place].key] for place in old]]
        for place, report in enumerate(held):
            if report.key in fresh:
                matrix[place] = _row(report)
        self._reports, self._matrix, self._rows = held, matrix, None
        self._places = {report.key: place for place, report in enumerate(held)}

    def find(self, report: Report, count: int = 10) -> list[Match]:
        """The likeliest duplicates of a text, likeliest first; the text itself is left out."""
        if not self._reports:
            return []
        meaning = self._matrix @ _row(report)
        rows = self._laid_out()
        words = rows.cosines(self._words.direction(report))
        places = _best(meaning, CANDIDATES) | _best(words, CANDIDATES)
        places.discard(self._places.get(report.key, -1))
        grams = self._grams.direction(report)
        found = []
        for place in sorted(places):
            other = self._reports[place]
            likeness = Likeness(
                meaning=max(0.0, float(meaning[place])),
                words=float(words[place]),
                letters=self._grams.cosine(grams, other),
                errors=shared(report.traits.errors, other.traits.errors),
                versions=shared(report.traits.versions, other.traits.versions),
                apart=apart(report.at, other.at),
            )
            found.append(Match(other.key, probability(likeness, self._by), likeness))
        return sorted(found, key=lambda match: (-match.score, match.key))[:count]

    def _laid_out(self) -> "_Rows":
        """The window's words, with the rarity of terms as it is now."""
        if self._rows is None:
            self._words.count(self._reports)
            self._grams.count(self._reports)
            self._rows = _Rows([self._words.weighted(report) for report in self._reports])
        return self._rows


class _Terms:
    """One kind of term: a text is a direction among buckets, the rarer ones counting more (idf)."""

    def __init__(self, buckets: int, terms_of: Callable[[Report], Terms]) -> None:
        self._terms_of = terms_of
        self._rarity = np.zeros(buckets, dtype=np.float32)

    def count(self, reports: Sequence[Report]) -> None:
        """Learn how rare each term is among these."""
        buckets = np.concatenate([self._terms_of(report).buckets for report in reports])
        held = np.bincount(buckets, minlength=len(self._rarity))
        rarity = np.log(1 + (len(reports) + OTHERS - held) / (held + 0.5))
        self._rarity = rarity.astype(np.float32)

    def weighted(self, report: Report) -> tuple[Floats, Floats]:
        """A text's buckets and their weights, of unit length together."""
        terms = self._terms_of(report)
        weights = terms.counts * self._rarity[terms.buckets]
        return terms.buckets, weights / (math.sqrt(weights @ weights) or 1.0)

    def direction(self, report: Report) -> Floats:
        """A text's weights by bucket."""
        buckets, weights = self.weighted(report)
        found = np.zeros_like(self._rarity)
        found[buckets] = weights
        return found

    def cosine(self, direction: Floats, other: Report) -> float:
        """How alike another text is, 0 to 1."""
        buckets, weights = self.weighted(other)
        return float(direction[buckets] @ weights)


class _Rows:
    """The weighted terms of many texts behind each other."""

    def __init__(self, weighted: Sequence[tuple[Floats, Floats]]) -> None:
        lengths = np.array([len(buckets) for buckets, _ in weighted])
        self._count = len(weighted)
        self._filled = np.flatnonzero(lengths)  # `reduceat` cannot sum a row of nothing
        self._starts = (np.cumsum(lengths) - lengths)[self._filled]
        self._buckets = np.concatenate([buckets for buckets, _ in weighted])
        self._weights = np.concatenate([weights for _, weights in weighted])

    def cosines(self, direction: Floats) -> Floats:
        """How alike each row is, 0 to 1."""
        found = np.zeros(self._count, dtype=np.float32)
        if len(self._filled):
            parts = direction[self._buckets] * self._weights
            found[self._filled] = np.add.reduceat(parts, self._starts)
        return found


def _row(report: Report) -> Any:
    if report.embedding is None:
        return np.zeros(WIDTH, dtype=np.float32)
    return report.embedding.astype(np.float32)


def _best(scores: Any, count: int) -> set[int]:
    if len(scores) <= count:
        return set(range(len(scores)))
    return set(np.argpartition(-scores, count)[:count].tolist())
