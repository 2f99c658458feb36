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
    """Which parts are `left` to read before the source has been read whole once.

    A new round begins with the parts that failed in the last one.
    """

    def __init__(self, cursor: Mapping[str, Any], parts: Sequence[str]) -> None:
        left, failed = (_kept(cursor.get(name), parts) for name in ("left", "failed"))
        self.left = list(dict.fromkeys([*left, *failed] if left else [*failed, *parts]))
        self.failed: list[str] = []
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
                self.failed.append(part)
                is_done = True  # the next round begins with it
            if is_done:
                self.left.remove(part)
            if self.failures and (self.failures[-1].wait or len(self.failures) >= GIVE_UP):
                return

    def cursor(self) -> dict[str, list[str]]:
        """What of the round belongs into the source's cursor."""
        return {"left": self.left, "failed": self.failed}

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


def _kept(names: Any, parts: Sequence[str]) -> list[str]:
    return [part for part in names if part in parts] if isinstance(names, list) else []
