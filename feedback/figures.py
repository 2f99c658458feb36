"""How followed stories do: score, rank and comments, noted every few minutes beside the polls."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from feedback.http import HTTPFailure
from feedback.models import Source, StoryFigures

EVERY = timedelta(minutes=5)
SAME_FOR = timedelta(hours=1)  # what does not change is noted no more often

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How a story does now; `rank` is its place on the front pages, None where it is on none."""

    story: str
    title: str
    score: int
    comments: int
    rank: int | None


def note(source: Source, channel: Any) -> None:
    """Ask a channel that tells figures, if it is time; what fails is tried at the next poll."""
    tells = getattr(channel, "figures", None)
    now = timezone.now()
    if tells is None or StoryFigures.objects.filter(source=source, at__gt=now - EVERY).exists():
        return
    try:
        found: list[Figures] = tells()
    except HTTPFailure as error:
        log.warning("figures.later", extra={"source": source.name, "reason": str(error)})
        return
    for one in found:
        rows = StoryFigures.objects.filter(source=source, story=one.story).order_by("-at")
        last = rows.first()
        values = {"score": one.score, "comments": one.comments, "rank": one.rank}
        if last and last.at > now - SAME_FOR and last.values() == values:
            continue
        StoryFigures.objects.create(
            source=source, story=one.story, title=one.title[:300], at=now, **values
        )
