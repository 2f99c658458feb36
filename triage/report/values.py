"""The report's figures as values. Shares are 0 to 1, None where there is nothing to share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from feedback.vocabulary import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What somebody said, in their words; `url` is where they said it."""

    item: int
    author: str
    channel: str
    text: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An item that was promised an answer and has none; it waits since `since`."""

    item: int
    first_words: str
    channel: str
    category: str
    severity: str
    responder: str
    since: datetime
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How promises of one kind were kept.

    `in_time`, `late`: met in the period. `missed`: came due in the period and is unmet, even
    where the promise was taken back afterwards. `running`: due after the period.
    """

    kind: str
    in_time: int
    late: int
    missed: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A theme of the period: its own words, and `text` of its most typical item.

    `negative` is the share of its items that are, 0 to 1.
    """

    name: tuple[str, ...]
    count: int
    negative: float
    item: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one period. Items count by when they were posted; spam counts nowhere else.

    `feedback`: items that were read and are not of category other; `sentiment` and its shares
    `positive`, `neutral`, `negative` are of these, and `is_small` says that they are too few.
    `positive_of_opinions`: the positive share where neutral items are left out.
    `before`, `before_feedback`: share and size of the period of the same length before.
    `bugs`: severity to state to count, of the period's items; `open_bugs`: severity to count, of
    all that are open at its end, whenever they came, `doubted_p0` of these P0 by precaution, which
    no person has confirmed. `waiting`: those who wait longest, whenever
    they came, of `waiting_count`. `themes`: what people talk about, the
    largest first, of the newest feedback in English. Severity "none" is a bug without one.
    """

    begin: datetime
    end: datetime
    items: int
    people: int
    spam: int
    unread: int
    by_channel: Mapping[str, int]
    by_category: Mapping[str, int]
    channel_by_category: Mapping[str, Mapping[str, int]]
    feedback: int
    sentiment: Mapping[str, int]
    positive: float | None
    neutral: float | None
    negative: float | None
    positive_of_opinions: float | None
    before: float | None
    before_feedback: int
    goal: float
    is_small: bool
    bugs: Mapping[str, Mapping[str, int]]
    open_bugs: Mapping[str, int]
    doubted_p0: int
    clocks: tuple[Kept, ...]
    waiting: tuple[Waiting, ...]
    waiting_count: int
    themes: tuple[Talk, ...]
    praise: tuple[Quote, ...]
    criticism: tuple[Quote, ...]
    has_sample: bool

    @property
    def meets_goal(self) -> bool:
        """Whether the positive share is above the plan's goal."""
        return self.positive is not None and self.positive > self.goal

    @property
    def open_p0(self) -> int:
        """P0 bugs that are open at the period's end."""
        return self.open_bugs.get(Severity.P0, 0)

    @property
    def sure_p0(self) -> int:
        """Those of them that are no mere precaution."""
        return self.open_p0 - self.doubted_p0
