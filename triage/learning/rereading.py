"""Reading items anew with the model in force, without touching what people decided."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from feedback.models import Item, Kind, Message
from feedback.vocabulary import State
from triage import pipeline
from triage.classifier.reader import shipped_version
from triage.learning import versions

BATCH = 200


def outdated() -> QuerySet[Item]:
    """Open items that another model has read and that nobody has corrected, taken or answered.

    Raises ModelError.
    """
    shipped = shipped_version()
    learnt = versions.active(shipped)
    present = shipped + (learnt.name if learnt else "")
    items = Item.objects.filter(state__in=[State.NEW, State.OPEN], corrected=False, taken_by=None)
    items = items.exclude(reading=None).exclude(reading__model=present)
    return items.exclude(messages__kind=Kind.REPLY)


def read_anew() -> int:
    """Read what is outdated. Returns how many items. Raises ModelError."""
    count = last = 0
    while ids := _after(last):
        _ask(ids)
        while pipeline.triage_waiting():
            pass
        count, last = count + len(ids), ids[-1]
    return count


def _after(last: int) -> list[int]:
    rows = outdated().filter(pk__gt=last).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:BATCH])


def _ask(ids: Sequence[int]) -> None:
    """Have the first message of each item read; what came after it has had its effect."""
    posts = Message.objects.filter(item__in=ids, kind=Kind.POST, ours=False, is_deleted=False)
    firsts: dict[int | None, int] = {}
    for item_id, pk in posts.order_by("created_at", "id").values_list("item_id", "pk"):
        firsts.setdefault(item_id, pk)
    with transaction.atomic():
        Message.objects.filter(pk__in=firsts.values()).update(triaged_at=None)
        Item.objects.filter(pk__in=ids).update(triage_due_at=timezone.now())
