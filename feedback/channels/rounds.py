"""The parts of a source (searches, listings, repositories) read in turn.

One poll reads only so many pages. A round goes over every part once, by as many polls as that
takes, so that no part is left out for the sake of those named before it. A part that fails does
not stop the others; a service that asks for a pause gets it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from feedback.channels.base import TryLater

GIVE_UP = 2  # parts that fail in one poll: it is the service that fails


class Round:
    """Which parts are `left` to read before the source has been read whole once."""

    def __init__(self, cursor: Mapping[str, Any], parts: Sequence[str]) -> None:
        kept = cursor.get("left")
        left = [part for part in kept if part in parts] if isinstance(kept, list) else []
        self.left = left or list(dict.fromkeys(parts))
        self.failures: list[TryLater] = []

    def run(self, read: Callable[[str], bool], is_full: Callable[[], bool]) -> None:
        """Read part after part; `read` tells whether a part has no more to give."""
        for part in list(self.left):
            if is_full():
                return
            try:
                is_done = read(part)
            except TryLater as error:
                self.failures.append(error)
                if error.wait or len(self.failures) >= GIVE_UP:
                    return
                is_done = True  # in this round; the next one tries it again
            if is_done:
                self.left.remove(part)

    @property
    def failure(self) -> TryLater | None:
        """What failed, with the longest pause that was asked for."""
        return max(self.failures, key=lambda error: error.wait or timedelta(), default=None)

    @property
    def more(self) -> bool:
        """Whether to go on at once with the rest."""
        return bool(self.left) and not self.failures

    def tell_failure(self, *, has_news: bool) -> None:
        """Raise what failed unless there is something to be stored first."""
        if self.failure and not has_news:
            raise self.failure
