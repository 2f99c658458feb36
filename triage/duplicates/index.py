"""A window of texts in which the likely duplicates of a new one are found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from triage.duplicates.score import Likeness, apart, coefficients, probability, shared
from triage.duplicates.traits import GRAM_BUCKETS, WIDTH, WORD_BUCKETS, Report, Terms

CANDIDATES = 60  # by embedding, and as many by words
GROWTH = 1.1  # by how much the window grows before rarity of terms is counted anew
OTHERS = 1_000  # imagined texts without any of the terms: rarity in a window that is still small


@dataclass(frozen=True, slots=True)
class Match:
    """A text of the window that may report the same; `score` is a probability."""

    key: int
    score: float
    likeness: Likeness


class Index:
    """Up to `limit` reports, the newest kept; finding takes milliseconds, adding less.

    Not safe to be used by several threads while one adds.
    """

    def __init__(self, limit: int = 10_000, by: Mapping[str, float] | None = None) -> None:
        self._limit, self._by = limit, by or coefficients()
        self._reports: list[Report] = []
        self._places: dict[int, int] = {}
        self._matrix = np.zeros((0, WIDTH), dtype=np.float32)
        self._words = _Space(WORD_BUCKETS, attrgetter("traits.words"))
        self._grams = _Space(GRAM_BUCKETS, attrgetter("traits.grams"))

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, reports: Iterable[Report]) -> None:
        """Take reports in; one with a known key takes the old one's place in the window."""
        fresh = {report.key: report for report in reports}
        if not fresh:
            return
        kept = [report for report in self._reports if report.key not in fresh]
        kept_rows = self._matrix[[self._places[report.key] for report in kept]]
        rows = np.stack([_row(report) for report in fresh.values()])
        self._reports = [*kept, *fresh.values()][-self._limit :]
        self._matrix = np.concatenate([kept_rows, rows])[-self._limit :]
        self._places = {report.key: place for place, report in enumerate(self._reports)}
        for space in (self._words, self._grams):
            space.fill(self._reports)

    def find(self, report: Report, count: int = 10) -> list[Match]:
        """The likeliest duplicates of a text, likeliest first; the text itself is left out."""
        if not self._reports:
            return []
        meaning = self._matrix @ _row(report)
        words = self._words.cosines(report)
        places = _best(meaning, CANDIDATES) | _best(words, CANDIDATES)
        places.discard(self._places.get(report.key, -1))
        rows = sorted(places)
        letters = self._grams.cosines(report, rows)
        found = []
        for number, place in enumerate(rows):
            other = self._reports[place]
            likeness = Likeness(
                meaning=max(0.0, float(meaning[place])),
                words=float(words[place]),
                letters=float(letters[number]),
                errors=shared(report.traits.errors, other.traits.errors),
                versions=shared(report.traits.versions, other.traits.versions),
                apart=apart(report.at, other.at),
            )
            found.append(Match(other.key, probability(likeness, self._by), likeness))
        return sorted(found, key=lambda match: (-match.score, match.key))[:count]


class _Space:
    """One kind of term of every report of the window, compared by cosine.

    Terms that few reports have count more (idf).
    """

    def __init__(self, buckets: int, terms_of: Any) -> None:
        self._terms_of, self._counted_at = terms_of, 0
        self._rarity = np.zeros(buckets, dtype=np.float32)
        self._starts = np.zeros(1, dtype=np.int64)
        self._buckets = np.zeros(0, dtype=np.int32)
        self._weights = np.zeros(0, dtype=np.float32)

    def fill(self, reports: Sequence[Report]) -> None:
        """Hold these reports' terms."""
        terms: list[Terms] = [self._terms_of(report) for report in reports]
        self._starts = np.cumsum([0, *(len(one.buckets) for one in terms)])
        self._buckets = np.concatenate([one.buckets for one in terms])
        if not self._counted_at <= len(reports) <= self._counted_at * GROWTH:
            held = np.bincount(self._buckets, minlength=len(self._rarity))
            rarity = np.log(1 + (len(reports) + OTHERS - held) / (held + 0.5))
            self._rarity, self._counted_at = rarity.astype(np.float32), len(reports)
        weights = np.concatenate([one.counts for one in terms]) * self._rarity[self._buckets]
        lengths = np.sqrt(self._sums(weights * weights, self._starts))
        lengths[lengths == 0] = 1
        self._weights = weights / np.repeat(lengths, np.diff(self._starts))

    def cosines(self, report: Report, rows: Sequence[int] | None = None) -> Any:
        """How alike a report is to each of these rows, or to every row."""
        terms: Terms = self._terms_of(report)
        weights = terms.counts * self._rarity[terms.buckets]
        asked = np.zeros_like(self._rarity)
        asked[terms.buckets] = weights / (np.linalg.norm(weights) or 1.0)
        if rows is None:
            return self._sums(asked[self._buckets] * self._weights, self._starts)
        return np.array([self._cosine(asked, row) for row in rows], dtype=np.float32)

    def _cosine(self, asked: Any, row: int) -> float:
        its = slice(self._starts[row], self._starts[row + 1])
        return float(asked[self._buckets[its]] @ self._weights[its])

    @staticmethod
    def _sums(values: Any, starts: Any) -> Any:
        """The sum of each row's values; rows may be empty."""
        running = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        return (running[starts[1:]] - running[starts[:-1]]).astype(np.float32)


def _row(report: Report) -> Any:
    if report.embedding is None:
        return np.zeros(WIDTH, dtype=np.float32)
    return report.embedding.astype(np.float32)


def _best(scores: Any, count: int) -> set[int]:
    if len(scores) <= count:
        return set(range(len(scores)))
    return set(np.argpartition(-scores, count)[:count].tolist())
