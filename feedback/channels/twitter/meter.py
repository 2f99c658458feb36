"""What reading X costs: posts read this month, the cap, and how far the month will get."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

NEAR = 0.8  # share of the cap from which polls are rarer
VERY_NEAR = 0.95
RARER = timedelta(minutes=15)
RAREST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Meter:
    """Posts that were read in a month, written "2026-11".

    `looks` is how many posts had ever been looked at again when they were last counted in.
    """

    month: str
    reads: int
    cap: int
    looks: int = 0

    @classmethod
    def of(cls, cursor: Mapping[str, Any], cap: int, now: datetime) -> "Meter":
        """As the cursor has it, with what was looked at since; a month begins at nothing."""
        month, kept = f"{now:%Y-%m}", cursor.get("meter")
        kept = kept if isinstance(kept, Mapping) else {}
        reads = _count(kept.get("reads")) if kept.get("month") == month else 0
        looks = _count(cursor.get("looks"))
        return cls(month, reads + max(0, looks - _count(kept.get("looks"))), cap, looks)

    def plus(self, reads: int) -> "Meter":
        """With more posts read."""
        return replace(self, reads=self.reads + reads)

    def kept(self) -> dict[str, str | int]:
        """As the cursor keeps it."""
        return {"month": self.month, "reads": self.reads, "looks": self.looks}

    @property
    def is_full(self) -> bool:
        """Whether nothing may be read any more this month."""
        return self.reads >= self.cap

    def wait(self, now: datetime) -> timedelta | None:
        """How long to wait with the next poll, None for the usual interval."""
        if self.is_full:
            days = monthrange(now.year, now.month)[1] - now.day + 1
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            return midnight + timedelta(days=days) - now
        used = self.reads / self.cap
        return RAREST if used >= VERY_NEAR else RARER if used >= NEAR else None

    def words(self, now: datetime) -> dict[str, str | int]:
        """For staff: what was read, and what the month comes to at this pace."""
        begin = datetime(now.year, now.month, 1, tzinfo=UTC)
        days = max((now - begin) / timedelta(days=1), 1.0)
        forecast = round(self.reads / days * monthrange(now.year, now.month)[1])
        return {
            "posts read this month": self.reads,
            "allowed": self.cap,
            "expected by its end": forecast,
        }


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
