"""Everyone who reported an issue is told: drafted for each on their own channel, sent by a person.

A telling is one text for all; its drafts are that text as each reporter gets it. Whoever reports
the same later is offered it at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from feedback.models import HistoryEntry, Item
from feedback.vocabulary import State
from triage import playbook, replies
from triage.conversation import last_reply
from triage.moves import Conflict
from triage.playbook import Playbook
from triage.playbook.schema import VARIABLES
from triage.tracking.models import (
    Draft,
    DraftState,
    Occasion,
    ReportState,
    Telling,
    TrackedIssue,
    TrackedState,
)

AT_ONCE = 200  # drafts that one press sends; the page says what is left
RESOLVED = "resolved"  # the playbook's template
KNOWN = "known-issue"


@dataclass(frozen=True, slots=True)
class Previewed:
    """What one reporter would get."""

    item: Item
    text: str
    by_hand: bool


@dataclass(frozen=True, slots=True)
class SentAll:
    """How many drafts went out, and what kept others back."""

    sent: int
    kept: tuple[str, ...]


def preview(tracked: TrackedIssue, text: str, values: dict[str, str]) -> list[Previewed]:
    """What each reporter would get; nothing is written."""
    rules = playbook.current()
    return [
        Previewed(item, filled(text, item, rules, values), replies.is_by_hand(item))
        for item in reporters(tracked)
    ]


def tell(
    tracked: TrackedIssue,
    occasion: str,
    text: str,
    now: datetime,
    *,
    key: str,
    template: str = "",
    values: dict[str, str] | None = None,
    by: User | None = None,
) -> Telling:
    """Draft a text for every reporter; the caller's transaction. Telling it twice drafts it once.

    `values`: variables that are the same for all; the rest is filled for each.
    """
    written = _with(text, values or {})
    telling, is_new = Telling.objects.get_or_create(
        key=key,
        defaults={
            "tracked": tracked,
            "occasion": occasion,
            "text": written,
            "template": template,
            "by": by,
            "at": now,
        },
    )
    if is_new:
        older = tracked.tellings.filter(occasion=occasion).exclude(pk=telling.pk)
        older.update(is_over=True)
        drop(Draft.objects.filter(telling__in=older))
        _draft(telling, reporters(tracked), now)
    return telling


def offer(item: Item, tracked: TrackedIssue, now: datetime) -> None:
    """Offer a later reporter what the others were told; the caller's transaction."""
    occasion = Occasion.RESOLVED if tracked.state == TrackedState.CLOSED else Occasion.KNOWN
    current = tracked.tellings.filter(is_over=False, occasion=occasion).order_by("-at", "-pk")
    if telling := current.first():
        _draft(telling, [item], now)


def send_all(telling: Telling, by: User) -> SentAll:
    """Send every open draft of a telling, in the name of the person who pressed.

    Each is decided in a transaction of its own: what is cut off goes on with the next press.
    """
    sent, kept = 0, list[str]()
    for pk in telling.drafts.open().order_by("pk").values_list("pk", flat=True)[:AT_ONCE]:
        try:
            sent += send(pk, by)
        except (Conflict, ValueError) as error:
            kept.append(str(error))
    return SentAll(sent, tuple(dict.fromkeys(kept)))


def send(pk: int, by: User) -> bool:
    """Send one draft, if nobody has. Raises Conflict where something is still to be filled in."""
    with transaction.atomic():
        draft = Draft.objects.open().select_for_update(of=("self",)).filter(pk=pk).first()
        if draft is None:
            return False
        if missing := unfilled(draft.text):
            raise Conflict(f"Fill in {{{missing[0]}}} first.")
        latest = last_reply(draft.item)
        entry = replies.send(
            draft.item,
            draft.text,
            by,
            token=f"draft{draft.pk}",
            seen=latest.pk if latest else 0,
            template=draft.telling.template,
        )
        draft.state, draft.entry = DraftState.SENT, entry
        draft.save(update_fields=["state", "entry"])
    return True


def was_sent(item: Item, pk: int, entry_id: int) -> None:
    """A person sent a draft from the item's own page, as it was or in other words."""
    drafts = Draft.objects.open().filter(item=item, pk=pk)
    drafts.update(state=DraftState.SENT, entry=entry_id)


def drop(drafts: "QuerySet[Draft]") -> None:
    """Nobody sends these any more."""
    drafts.filter(state=DraftState.OPEN).update(state=DraftState.DROPPED)


def rewrite(telling: Telling, values: dict[str, str]) -> None:
    """Fill what was not known when it was drafted, in the text and in its open drafts."""
    values = {name: value for name, value in values.items() if value and name in VARIABLES}
    with transaction.atomic():
        telling.text = _with(telling.text, values)
        telling.save(update_fields=["text"])
        drafts = list(telling.drafts.open().select_for_update())
        for draft in drafts:
            draft.text = _with(draft.text, values)
        Draft.objects.bulk_update(drafts, ["text"], batch_size=200)


def offered(item: Item) -> Draft | None:
    """The draft that waits to be sent to an item's author, the newest."""
    drafts = Draft.objects.open().filter(item=item).select_related("telling__tracked")
    return drafts.order_by("-created_at", "-pk").first()


def reporters(tracked: TrackedIssue) -> list[Item]:
    """The items that report an issue, oldest first, as far as somebody can be answered."""
    items = Item.objects.filter(
        tracking__tracked=tracked, tracking__state=ReportState.JOINED
    ).exclude(state=State.SPAM)
    return list(items.select_related("author", "source").order_by("created_at", "pk"))


def filled(text: str, item: Item, rules: Playbook, values: dict[str, str]) -> str:
    """The text as one reporter gets it."""
    return replies.fill(_with(text, values), item, rules).strip()


def unfilled(text: str) -> list[str]:
    """The variables that a text still has."""
    return [name for name in replies.VARIABLE.findall(text) if name in VARIABLES]


def _draft(telling: Telling, items: Sequence[Item], now: datetime) -> None:
    rules = playbook.current()
    Draft.objects.bulk_create(
        [
            Draft(
                telling=telling,
                item=item,
                text=replies.fill(telling.text, item, rules).strip(),
                created_at=now,
            )
            for item in items
        ],
        ignore_conflicts=True,
        batch_size=200,
    )
    HistoryEntry.objects.bulk_create(
        [
            HistoryEntry(item=item, at=now, event="drafted", detail={"occasion": telling.occasion})
            for item in items
        ],
        batch_size=200,
    )


def _with(text: str, values: dict[str, str]) -> str:
    return replies.VARIABLE.sub(lambda found: values.get(found[1]) or found[0], text)


def newest(tracked: TrackedIssue) -> "QuerySet[Telling]":
    """What was told of an issue, newest first."""
    return tracked.tellings.order_by("-at", "-pk")
