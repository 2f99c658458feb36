"""The queue: what needs somebody, most urgent first.

Pages are cut by key (urgency and id, or confidence and id of unsure readings), counts stop at a
thousand and filters come from choices, so that the page costs the same at a thousand items and at
a million.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from feedback.models import NO_CLOCK, OPEN_STATES, Item, Source
from feedback.search import search
from feedback.vocabulary import Category, Channel, Sentiment, Severity, State
from triage import playbook

PAGE = 50
COUNTED = 1_000  # a tab's count stops here and is shown as "999+"

FILTERS: dict[str, type] = {
    "channel": Channel,
    "category": Category,
    "severity": Severity,
    "sentiment": Sentiment,
    "state": State,
}
KEY = re.compile(r"(-?[0-9]{1,19}|0\.[0-9]{1,9}|1\.0)_([0-9]{1,18})")
KEPT = ("tab", "q", *FILTERS)
SHOWN = (  # what a row says that may change
    "pk urgency state category trusted corrected severity p0_probability sentiment responder "
    "taken_by_id"
).split()


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of the queue."""

    key: str
    title: str
    count: str
    is_active: bool
    url: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One filter with its choices."""

    name: str
    title: str
    options: Sequence[tuple[str, str]]
    value: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the queue, ready for its template."""

    items: Sequence[Item]
    tabs: Sequence[Tab]
    choices: Sequence[Choice]
    query: str
    tab: str
    first_url: str
    next_url: str
    seen: str
    rows_url: str
    back: str  # the query by which an item's page finds its neighbours and the way back
    is_first: bool
    is_narrowed: bool


def page(request: HttpRequest) -> Page:
    """The page of the queue that a request asks for."""
    asked = request.GET
    tab = asked.get("tab", "all")
    tab = tab if tab in TABS else "all"
    items = _filtered(TABS[tab][1](Item.objects.seen_by(request.user), request), asked)
    order = _order(tab)
    rows = list(
        _after(items, order, asked.get("after", ""))
        .select_related("author", "source", "taken_by")
        .defer("context", "source__cursor", "source__config")
        .order_by(order, "id")[: PAGE + 1]
    )
    tabs = [_tab(key, tab, request) for key in TABS]
    more, rows = len(rows) > PAGE, rows[:PAGE]
    for row in rows:
        row.due_at = due_at(row.urgency)  # type: ignore[attr-defined]
    return Page(
        items=rows,
        tabs=tabs,
        choices=[_choice(name, asked) for name in FILTERS],
        query=asked.get("q", ""),
        tab=tab,
        first_url=_url(asked),
        next_url=_url(asked, after=_key(rows[-1], order)) if more else "",
        seen=_seen(rows, tabs),
        rows_url=_url(asked, rows="1"),
        back=back(request),
        is_first=not asked.get("after"),
        is_narrowed=bool(asked.get("q") or any(asked.get(name) for name in FILTERS)),
    )


def back(request: HttpRequest) -> str:
    """The part of a request's query that says which queue it came from, with its "?"."""
    kept = {name: request.GET[name] for name in KEPT if request.GET.get(name)}
    return f"?{urlencode(kept)}" if kept else ""


def neighbours(request: HttpRequest, item: Item) -> tuple[int | None, int | None]:
    """The items before and after one in the queue that a request came from.

    After an item without a clock, or one that is done, comes the most urgent of all.
    """
    asked = request.GET
    tab = asked.get("tab", "all")
    tab = tab if tab in TABS else "all"
    items = _filtered(TABS[tab][1](Item.objects.seen_by(request.user), request), asked).exclude(
        pk=item.pk
    )
    order = _order(tab)
    place = _place(item, order)
    ahead = items.filter(Q((f"{order}__lte", place)) & ~Q((order, place), id__gt=item.pk))
    before = ahead.order_by(f"-{order}", "-id").values_list("pk", flat=True).first()
    rest = _after(items, order, _key(item, order)) if item.is_open else items
    after = rest.order_by(order, "id").values_list("pk", flat=True).first()
    return before, after


def rows_or_nothing(request: HttpRequest, shown: Page) -> HttpResponse | None:
    """204 where the browser has seen this page as it is; None where it must be drawn."""
    return HttpResponse(status=204) if request.GET.get("seen") == shown.seen else None


def due_at(urgency: int) -> datetime | None:
    """The instant that an item's urgency stands for."""
    return None if urgency >= NO_CLOCK else datetime.fromtimestamp(urgency / 1_000_000, UTC)


def roles_of(request: HttpRequest) -> list[str]:
    """The playbook's roles that a user has: their name, their groups', and the teams of these."""
    if not hasattr(request, "_roles"):
        groups = request.user.groups.values_list("name", flat=True)
        names = playbook.current().teams_of([request.user.get_username(), *groups])
        request._roles = names  # type: ignore[attr-defined]  # noqa: SLF001
    roles: list[str] = request._roles  # type: ignore[attr-defined]  # noqa: SLF001
    return roles


def has_sample() -> bool:
    """Whether the sample launch is among what is shown."""
    return Source.objects.filter(channel=Channel.SAMPLE).exists()


def _open(items: QuerySet[Item], request: HttpRequest) -> QuerySet[Item]:
    if request.GET.get("state") in State.values:
        return items
    return items.filter(state__in=OPEN_STATES)


def _mine(items: QuerySet[Item], request: HttpRequest) -> QuerySet[Item]:
    # Look-ups by index, one by one; as one OR the database would walk the whole queue.
    rules, roles = playbook.current(), roles_of(request)
    rows = _open(Item.objects.order_by(), request)
    found = [
        rows.filter(taken_by=request.user.pk),
        rows.filter(taken_by=None, responder__in=roles),
    ]
    for route in rules.routes:
        if set(map(rules.role, route.together)) & set(roles):  # we answer beside the responder
            beside = rows.filter(category=route.category)
            narrow = {"severity__in": route.severities} if route.severities else {}
            found.append(beside.filter(**narrow))
    first, *others = (one.values("pk") for one in found)
    return items.filter(pk__in=first.union(*others))


def _unassigned(items: QuerySet[Item], request: HttpRequest) -> QuerySet[Item]:
    return _open(items, request).filter(responder="", taken_by=None)


def _breaching(items: QuerySet[Item], request: HttpRequest) -> QuerySet[Item]:
    now = int(timezone.now().timestamp() * 1_000_000)
    return _open(items, request).filter(urgency__lte=now)


def _severe(items: QuerySet[Item], request: HttpRequest) -> QuerySet[Item]:
    return _open(items, request).filter(severity__in=[Severity.P0, Severity.P1])


def _unsure(items: QuerySet[Item], request: HttpRequest) -> QuerySet[Item]:
    return _open(items, request).filter(trusted=False, corrected=False)


TABS: dict[str, tuple[str, Any]] = {
    "mine": ("Mine", _mine),
    "unassigned": ("Unassigned", _unassigned),
    "breaching": ("Breaching", _breaching),
    "severe": ("P0/P1", _severe),
    "unsure": ("Unsure", _unsure),
    "all": ("All", _open),
}


def _tab(key: str, active: str, request: HttpRequest) -> Tab:
    title, narrow = TABS[key]
    bare = HttpRequest()
    bare.GET, bare.user = QueryDict(), request.user
    bare._roles = roles_of(request)  # type: ignore[attr-defined]  # noqa: SLF001
    count = narrow(Item.objects.seen_by(request.user), bare).order_by()[:COUNTED].count()
    shown = f"{COUNTED - 1}+" if count == COUNTED else str(count)
    return Tab(key, title, shown, key == active, f"?tab={key}")


def _filtered(items: QuerySet[Item], asked: QueryDict) -> QuerySet[Item]:
    for name, choices in FILTERS.items():
        if asked.get(name) in choices.values:  # type: ignore[attr-defined]
            items = items.filter(**{name: asked[name]})
    query = asked.get("q", "").strip()
    return search(items, query[:200]) if query else items


def _order(tab: str) -> str:
    """What a tab is sorted by: of unsure readings the one that says most comes first."""
    return "confidence" if tab == "unsure" else "urgency"


def _place(item: Item, order: str) -> float:
    place: float | None = getattr(item, order)
    return place or 0  # not read yet


def _key(item: Item, order: str) -> str:
    return f"{_place(item, order)}_{item.pk}"


def _after(items: QuerySet[Item], order: str, key: str) -> QuerySet[Item]:
    found = KEY.fullmatch(key)
    if not found:
        return items
    place, pk = float(found[1]) if "." in found[1] else int(found[1]), int(found[2])
    return items.filter(Q((f"{order}__gte", place)) & ~Q((order, place), id__lte=pk))


def _choice(name: str, asked: QueryDict) -> Choice:
    choices: Any = FILTERS[name]
    options = [pair for pair in choices.choices if pair[0] != Channel.SAMPLE]
    return Choice(name, name.capitalize(), options, asked.get(name, ""))


def _url(asked: QueryDict, **changes: str) -> str:
    query = asked.copy()
    for name in ("seen", "rows", "after"):
        query.pop(name, None)
    for name, value in changes.items():
        query[name] = value
    return f"?{query.urlencode()}"


def _seen(rows: Sequence[Item], tabs: Sequence[Tab]) -> str:
    """A short name for what the page shows; it changes when any of it does."""
    facts = [[getattr(row, name) for name in SHOWN] for row in rows]
    counts = [tab.count for tab in tabs]
    return hashlib.sha256(repr((facts, counts)).encode()).hexdigest()[:16]
