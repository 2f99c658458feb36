"""The page of how followed stories do: each figure's latest value and its line over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback.models import Source, StoryFigures

WIDTH, HEIGHT, EDGE = 240, 48, 3
SHOWN = 2000  # newest notes of a source: two stories for three days


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: its latest value, its best, and the points of its line (SVG)."""

    name: str
    now: int | None
    best: int | None
    points: str


@dataclass(frozen=True, slots=True)
class Story:
    """One story with its figures, newest note at `at`."""

    id: str
    title: str
    url: str
    since: datetime
    at: datetime
    lines: list[Line]


def figures_page(source: Source) -> dict[str, Any]:
    """What the template shows."""
    rows = list(source.figures.order_by("-at", "-pk")[:SHOWN])[::-1]
    stories: dict[str, list[StoryFigures]] = {}
    for row in rows:
        stories.setdefault(row.story, []).append(row)
    shown = [_story(id_, notes) for id_, notes in stories.items()]
    return {"title": f"Stories of {source.name}", "source": source, "stories": shown,
            "width": WIDTH, "height": HEIGHT}  # fmt: skip


def _story(id_: str, notes: Sequence[StoryFigures]) -> Story:
    last = notes[-1]
    scores = [(note.at, note.score) for note in notes]
    comments = [(note.at, note.comments) for note in notes]
    ranks = [(note.at, note.rank) for note in notes if note.rank]
    lines = [
        Line("Score", last.score, max(value for _, value in scores), points(scores)),
        Line("Comments", last.comments, max(value for _, value in comments), points(comments)),
        # The first place is the best one: it stands on top.
        Line("Rank", last.rank, min((value for _, value in ranks), default=None),
             points([(at, -value) for at, value in ranks])),
    ]  # fmt: skip
    url = f"https://news.ycombinator.com/item?id={id_}"
    return Story(id_, last.title, url, notes[0].at, last.at, lines)


def points(values: Sequence[tuple[datetime, int]]) -> str:
    """A line through values over time, the highest on top, as SVG writes points."""
    if not values:
        return ""
    begin, end = values[0][0], values[-1][0]
    low, high = min(value for _, value in values), max(value for _, value in values)
    span = (end - begin).total_seconds()

    def place(at: datetime, value: int) -> str:
        along = (at - begin).total_seconds() / span if span else 1.0
        up = (value - low) / (high - low) if high > low else 0.5
        x = EDGE + along * (WIDTH - 2 * EDGE)
        return f"{x:.1f},{HEIGHT - EDGE - up * (HEIGHT - 2 * EDGE):.1f}"

    drawn = [place(at, value) for at, value in values]
    return " ".join(drawn if span else [f"{EDGE},{drawn[-1].split(',')[1]}", drawn[-1]])
