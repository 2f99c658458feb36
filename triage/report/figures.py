"""The report's figures from the database, by a number of queries that no volume changes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Q, QuerySet

from feedback.models import OPEN_STATES, Item, Person
from feedback.vocabulary import Category, Channel, Sentiment, Severity, State
from triage.models import Clock, ClockKind
from triage.playbook import Playbook
from triage.report.themes import talk
from triage.report.values import Kept, Quote, Report, Waiting

WAITING_SHOWN = 5
QUOTES_LOOKED_AT = 60
FIRST_WORDS = 200  # characters that an item keeps of its text; this many mean that it was longer
NO_SEVERITY = "none"


@dataclass(frozen=True, slots=True)
class Cell:
    """How many items of the period share these traits."""

    channel: str
    category: str
    sentiment: str
    severity: str
    state: str
    count: int

    @property
    def is_feedback(self) -> bool:
        """Whether it was read and says something of the product."""
        return self.category not in ("", Category.OTHER)


def make(begin: datetime, end: datetime, rules: Playbook) -> Report:
    """The report of the period from `begin` up to `end`."""
    found = _cells(begin, end)
    said = [cell for cell in found if cell.state != State.SPAM]
    sentiment = _sentiment(said)
    feedback = sum(sentiment.values())
    opinions = feedback - sentiment[Sentiment.NEUTRAL]
    before = _sentiment(_cells(begin - (end - begin), begin, with_spam=False))
    items = _period(begin, end).exclude(state=State.SPAM)
    running = Clock.objects.running().filter(kind=ClockKind.RESPOND, started_at__lt=end)
    waiting = running.filter(item__state__in=[State.NEW, State.OPEN])
    open_bugs, doubted_p0 = _open_bugs(end)
    return Report(
        begin=begin,
        end=end,
        items=_sum(said),
        people=items.exclude(author=None).aggregate(n=Count("author", distinct=True))["n"],
        spam=_sum(found) - _sum(said),
        unread=_sum(cell for cell in said if not cell.category),
        by_channel=_by(said, "channel"),
        by_category=_by((cell for cell in said if cell.category), "category"),
        channel_by_category=_grid(said),
        feedback=feedback,
        sentiment=sentiment,
        positive=_share(sentiment[Sentiment.POSITIVE], feedback),
        neutral=_share(sentiment[Sentiment.NEUTRAL], feedback),
        negative=_share(sentiment[Sentiment.NEGATIVE], feedback),
        positive_of_opinions=_share(sentiment[Sentiment.POSITIVE], opinions),
        before=_share(before[Sentiment.POSITIVE], sum(before.values())),
        before_feedback=sum(before.values()),
        goal=rules.report.positive_goal,
        is_small=feedback < rules.report.small_sample,
        bugs=_bugs(said),
        open_bugs=open_bugs,
        doubted_p0=doubted_p0,
        clocks=_clocks(begin, end),
        waiting=_waiting(waiting),
        waiting_count=waiting.count(),
        themes=talk(items),
        praise=_quotes(items, Category.PRAISE, Sentiment.POSITIVE, rules.report.quotes),
        criticism=_quotes(items, Category.CRITICISM, Sentiment.NEGATIVE, rules.report.quotes),
        has_sample=Item.objects.filter(source__channel=Channel.SAMPLE, created_at__lt=end).exists(),
    )


def _period(begin: datetime, end: datetime) -> QuerySet[Item]:
    return Item.objects.filter(created_at__gte=begin, created_at__lt=end).order_by()


def _cells(begin: datetime, end: datetime, *, with_spam: bool = True) -> list[Cell]:
    """All that one grouping tells, so that the report's numbers agree with each other."""
    items = _period(begin, end)
    items = items if with_spam else items.exclude(state=State.SPAM)
    rows = items.values_list("channel", "category", "sentiment", "severity", "state")
    return [Cell(*row) for row in rows.annotate(count=Count("pk"))]


def _sum(cells: Iterable[Cell]) -> int:
    return sum(cell.count for cell in cells)


def _by(cells: Iterable[Cell], field: str) -> dict[str, int]:
    """Counts by one trait, the largest first."""
    counts: Counter[str] = Counter()
    for cell in cells:
        counts[getattr(cell, field)] += cell.count
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _grid(cells: Iterable[Cell]) -> dict[str, dict[str, int]]:
    grid: dict[str, Counter[str]] = {}
    for cell in cells:
        grid.setdefault(cell.channel, Counter())[cell.category or "unread"] += cell.count
    return {channel: dict(sorted(grid[channel].items())) for channel in sorted(grid)}


def _sentiment(cells: Iterable[Cell]) -> dict[str, int]:
    found = _by((cell for cell in cells if cell.is_feedback), "sentiment")
    return {name: found.get(name, 0) for name in Sentiment.values}


def _share(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None


def _bugs(cells: Iterable[Cell]) -> dict[str, dict[str, int]]:
    bugs: dict[str, Counter[str]] = {severity: Counter() for severity in Severity.values}
    for cell in cells:
        if cell.category == Category.BUG:
            row = bugs.setdefault(cell.severity or NO_SEVERITY, Counter())
            row[cell.state] += cell.count
    return {severity: dict(sorted(states.items())) for severity, states in bugs.items()}


def _open_bugs(end: datetime) -> tuple[dict[str, int], int]:
    """Open bugs by severity, and how many of them are a P0 by precaution alone.

    A grave one of last week is still open today.
    """
    bugs = Item.objects.filter(category=Category.BUG, state__in=OPEN_STATES, created_at__lt=end)
    by_severity = bugs.order_by().values("severity")
    rows = list(by_severity.annotate(count=Count("pk"), doubted=Count("p0_probability")))
    found = {row["severity"] or NO_SEVERITY: row["count"] for row in rows}
    return dict.fromkeys(Severity.values, 0) | found, sum(row["doubted"] for row in rows)


def _clocks(begin: datetime, end: datetime) -> tuple[Kept, ...]:
    """What became of promises in the period, and those that run on after it."""
    is_met = Q(met_at__gte=begin, met_at__lt=end)
    was_due = Q(due_at__gte=begin, due_at__lt=end)
    in_period = is_met | Q(due_at__gte=begin)
    # A promise that was broken stays so, though its item was closed as something else later.
    is_broken = Q(met_at=None) & (Q(stopped_at=None) | Q(stopped_at__gt=F("due_at")))
    rows = (
        Clock.objects.filter(in_period, started_at__lt=end)
        .exclude(item__state=State.SPAM)
        .order_by()
        .values("kind")
        .annotate(
            in_time=Count("pk", filter=is_met & Q(met_at__lte=F("due_at"))),
            late=Count("pk", filter=is_met & Q(met_at__gt=F("due_at"))),
            missed=Count("pk", filter=was_due & is_broken),
            running=Count("pk", filter=Q(met_at=None, stopped_at=None, due_at__gte=end)),
        )
    )
    found = {row["kind"]: Kept(**row) for row in rows}
    kept = (found[kind] for kind in ClockKind.values if kind in found)
    return tuple(row for row in kept if row.in_time + row.late + row.missed + row.running)


def _waiting(clocks: QuerySet[Clock]) -> tuple[Waiting, ...]:
    """Whose running promise of a first answer is for the oldest post."""
    oldest = clocks.select_related("item").order_by("item__created_at", "item_id")
    return tuple(
        Waiting(
            item=item.pk,
            first_words=item.first_words,
            channel=item.channel,
            category=item.category,
            severity=item.severity,
            responder=item.responder,
            since=item.created_at,
            url=item.url,
        )
        for item in (clock.item for clock in oldest[:WAITING_SHOWN])
    )


def _quotes(items: QuerySet[Item], category: str, sentiment: str, count: int) -> tuple[Quote, ...]:
    """The surest words of different people; what is deleted or restricted is not quoted."""
    found = items.filter(category=category, sentiment=sentiment, restricted_at=None)
    found = found.exclude(messages__is_deleted=True)
    quotes: dict[object, Quote] = {}
    ordered = found.select_related("author").order_by("-trusted", "-confidence", "pk")
    for item in ordered[:QUOTES_LOOKED_AT]:
        if item.first_words and item.author_id not in quotes:
            quotes[item.author_id] = Quote(
                item=item.pk,
                author=_shown(item.author),
                channel=item.channel,
                text=_whole_words(item.first_words),
                url=item.url,
            )
        if len(quotes) == count:
            break
    return tuple(quotes.values())


def _shown(author: Person | None) -> str:
    """A name to quote by. A report is passed on: it shows nobody's mail address."""
    if author is None:
        return "somebody"
    return author.name or (
        author.handle.partition("@")[0] if author.channel == Channel.EMAIL else author.handle
    )


def _whole_words(first_words: str) -> str:
    if len(first_words) < FIRST_WORDS:
        return first_words
    return f"{first_words.rpartition(' ')[0] or first_words}…"
