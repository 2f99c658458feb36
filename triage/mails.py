"""What the item page shows of a mail beside its words: files, marks, quotations, bounces."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feedback.models import Message
from feedback.vocabulary import Channel

MARKS = {
    "encrypted": "encrypted: read it in a mail program",
    "signed": "signed",
    "invitation": "calendar invitation",
    "cut": "too big: the beginning was read",
}
AUTOMATIC = {
    "bounce": "It came back",
    "reply": "An automatic answer",
    "report": "A receipt",
    "list": "By a mailing list",
    "invitation": "A calendar invitation",
}
CAME_BACK_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a mail; `number` names it in its address."""

    number: int
    name: str
    size_bytes: int
    is_kept: bool
    is_inline: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What a mail brings beside its words."""

    files: Sequence[Attached]
    marks: Sequence[str]
    whole: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class CameBack:
    """An automatic mail that answers a reply of ours."""

    message: Message
    what: str
    why: str


def shown(raw: Mapping[str, Any]) -> Shown:
    """What stands in a mail's `raw`."""
    rows = raw.get("files")
    files = [
        Attached(
            number=number,
            name=str(row.get("name") or "file"),
            size_bytes=int(row.get("size") or 0),
            is_kept=bool(row.get("kept")),
            is_inline=bool(row.get("inline")),
        )
        for number, row in enumerate(rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    ]
    marks = [MARKS.get(str(mark), str(mark)) for mark in raw.get("marks") or []]
    return Shown(files, marks, str(raw.get("whole") or ""), bool(raw.get("mail")))


def came_back(conversation: Iterable[Message]) -> dict[str, list[CameBack]]:
    """The automatic mails that answer our replies, by the replies' ids."""
    ids = [
        message.external_id
        for message in conversation
        if message.ours and message.external_id and message.channel == Channel.EMAIL
    ]
    if not ids:
        return {}
    rows = Message.objects.filter(
        channel=Channel.EMAIL, item=None, automatic__isnull=False, parent_id__in=ids
    )
    found: dict[str, list[CameBack]] = {}
    for row in rows.select_related("author").order_by("-created_at")[:CAME_BACK_LIMIT]:
        what = AUTOMATIC.get(row.automatic or "", "An automatic mail")
        said = CameBack(row, what, str(row.raw.get("why") or ""))
        found.setdefault(row.parent_id, []).append(said)
    return found
