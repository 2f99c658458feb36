"""Which tracked issue a report is about, if any: by meaning first, then word by word.

The window keeps the meanings of the newest examples in memory, one matrix a process, and takes in
what was added since; everything else is read from the database for the few that are near.
"""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triage.duplicates.traits import WIDTH, Report
from triage.similar import comparable, unpacked
from triage.tracking.models import Example, TrackedIssue, TrackedState

if TYPE_CHECKING:
    from triage.duplicates.index import Match

WINDOW = 20_000  # newest examples that are compared by meaning
NEAREST = 40  # of which the words are compared too
READ_AT_ONCE = 2_000
CLEAR = 2.0  # how many times likelier than the next issue one must be to be sure
FOUNDED = 0.5  # share of `unsure` that what an issue began with must come to
OFFERED = 3  # issues that a person may choose among
LIVE = (TrackedState.FILING, TrackedState.OPEN, TrackedState.CLOSED)


@dataclass(frozen=True, slots=True)
class Among:
    """Which tracked issues come into question: security matters never meet public ones."""

    category: str
    is_private: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tracked issue and the probability that it is about the same.

    `founded`: the same by those reports alone that no score put there: what the issue began with,
    and what people joined to it.
    """

    tracked: int
    score: float
    founded: float


@dataclass(frozen=True, slots=True)
class Same:
    """Surely this one."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Perhaps:
    """A person must choose among these, or say that it is none."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Nothing:
    """None that is tracked."""


def verdict(found: Sequence[Candidate], sure: float, unsure: float) -> Same | Perhaps | Nothing:
    """What the candidates come to, likeliest first.

    Who is like a report that a score joined must be somewhat like what the issue began with too: or
    one wrong join draws everybody after it who says the same.
    """
    if not found or found[0].score < unsure:
        return Nothing()
    best, second = found[0], found[1].score if len(found) > 1 else 0.0
    if best.score >= sure and best.founded >= FOUNDED * unsure and best.score >= CLEAR * second:
        return Same(best)
    return Perhaps(tuple(one for one in found[:OFFERED] if one.score >= unsure))


class Window:
    """The examples of tracked issues; `find` may be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Read all anew at the next search."""
        self.last = 0  # the newest example that is known
        self._count = 0
        self._keys: Any = ()  # arrays once there is something, a row an example
        self._rows: Any = ()

    def is_behind(self) -> bool:
        """Whether examples were added that it does not know."""
        return Example.objects.filter(pk__gt=self.last).exists()

    def find(self, report: Report, among: Among) -> list[Candidate]:
        """The tracked issues that may be about the same, likeliest first."""
        from triage.duplicates.index import Index

        with self._lock:
            self._refresh()
            near = self._nearest(report)
        if not near:
            return []
        examples = Example.objects.filter(
            pk__in=near,
            tracked__state__in=LIVE,
            tracked__category=among.category,
            tracked__is_private=among.is_private,
        )
        columns = ("pk", "tracked_id", "item__tracking__score", "title", "text", "embedding", "at")
        origins: dict[int, _Origin] = {}
        index = Index(limit=NEAREST)
        reports = []
        for pk, tracked, score, title, text, embedding, at in examples.order_by("pk").values_list(
            *columns
        ):
            origins[pk] = _Origin(tracked, is_founding=score is None)
            reports.append(comparable(pk, title, text, unpacked(embedding), at))
        index.add(reports)
        return _by_issue(index.find(_apart(report), NEAREST), origins)

    def _refresh(self) -> None:
        """Take in what was added; those that were taken away fall out when they are looked up."""
        if not self._count:
            newest = Example.objects.order_by("-pk").values_list("pk", flat=True)
            self.last = next(iter(newest[WINDOW : WINDOW + 1]), 0)
        while True:
            fresh = Example.objects.filter(pk__gt=self.last).order_by("pk")
            rows = list(fresh.values_list("pk", "embedding")[:READ_AT_ONCE])
            if rows:
                self._take([(pk, bytes(packed)) for pk, packed in rows if len(packed) == 2 * WIDTH])
                self.last = rows[-1][0]
            if len(rows) < READ_AT_ONCE:
                return

    def _take(self, rows: Sequence[tuple[int, bytes]]) -> None:
        import numpy as np

        needed = self._count + len(rows)
        if needed > len(self._keys):
            size = max(1_024, 2 * needed)
            keys, matrix = np.zeros(size, dtype=np.int64), np.zeros((size, WIDTH), dtype=np.float32)
            kept = min(self._count, WINDOW)
            if kept:
                newest = slice(self._count - kept, self._count)
                keys[:kept], matrix[:kept] = self._keys[newest], self._rows[newest]
            self._keys, self._rows, self._count = keys, matrix, kept
            needed = kept + len(rows)
        self._keys[self._count : needed] = [pk for pk, _ in rows]
        packed = b"".join(embedding for _, embedding in rows)
        self._rows[self._count : needed] = unpacked(packed).reshape(-1, WIDTH)
        self._count = needed

    def _nearest(self, report: Report) -> list[int]:
        import numpy as np

        if report.embedding is None or not self._count:
            return []
        begin = max(0, self._count - WINDOW)
        alike = self._rows[begin : self._count] @ report.embedding.astype(np.float32)
        count = min(NEAREST, len(alike))
        places = np.argpartition(-alike, count - 1)[:count]
        return [int(key) for key in self._keys[begin + places]]


WINDOW_OF_EXAMPLES = Window()


def _apart(report: Report) -> Report:
    """The report under a number that no example has."""
    return Report(-1, report.traits, report.embedding, report.at)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Whose example one is, and whether anything but a score put it there."""

    tracked: int
    is_founding: bool


def _by_issue(matches: Sequence["Match"], origins: Mapping[int, _Origin]) -> list[Candidate]:
    """Each issue by the likest of its examples, the likeliest issue first."""
    best: dict[int, float] = defaultdict(float)
    founded: dict[int, float] = defaultdict(float)
    for match in matches:
        origin = origins[match.key]
        best[origin.tracked] = max(best[origin.tracked], match.score)
        if origin.is_founding:
            founded[origin.tracked] = max(founded[origin.tracked], match.score)
    ranked = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
    return [
        Candidate(tracked, round(score, 4), round(founded[tracked], 4)) for tracked, score in ranked
    ]


def names_of(candidates: Sequence[Sequence[Any]]) -> list[tuple[TrackedIssue, float]]:
    """The issues of stored candidates that are still there, as they were ranked."""
    issues = TrackedIssue.objects.in_bulk([pk for pk, _ in candidates])
    return [(issues[pk], score) for pk, score in candidates if pk in issues]
