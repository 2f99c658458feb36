"""A mail as a post: what it says, where it belongs, what is kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback import files
from feedback.channels.base import Letter, Post
from feedback.channels.mail.big import slim
from feedback.channels.mail.parse import MARK, Mail, parse

CHANNEL = "email"
BIG = 1_000_000  # bytes above which a mail is read line by line
MAIL_LIMIT = 60_000_000  # bytes; of a bigger one the beginning is read
WHOLE_LIMIT = 40_000  # characters of the uncut text that are shown on request


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a mail lay, and what is known of it from there."""

    box: str
    uid: int
    received: datetime | None = None
    is_sent: bool = False  # it lay in the folder of sent mail
    is_cut: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What a mail is compared with to know whether it is ours."""

    addresses: frozenset[str]
    domain: str
    lists: frozenset[str] = frozenset()


def read_kept(name: str, origin: Origin, ours: Ours) -> Mail:
    """Read a kept mail, a big one without ever holding it whole."""
    with files.opened(name) as file:
        head = file.read(BIG + 1)
        if len(head) <= BIG:
            return parse(head, origin.received, lists=ours.lists)
        file.seek(0)
        small, spilled = slim(file)
    return parse(small, origin.received, lists=ours.lists, spilled=spilled)


def own_digest(mail: Mail, ours: Ours) -> str:
    """Which reply of this service a mail is a copy of, or ""; a stranger may not say so."""
    return mail.digest_of_ours if mail.author in ours.addresses else ""


def post_of(mail: Mail, kept: str, origin: Origin, ours: Ours) -> Post:
    """A post of a mail that was kept under a name."""
    ancestors = mail.references + [
        f"<feedback.{digest}@{ours.domain}>" for digest in mail.marks_of_ours
    ]
    digest = own_digest(mail, ours)
    marks = [*mail.marks, *(["cut"] if origin.is_cut else [])]
    return Post(
        channel=CHANNEL,
        # By what it names itself in our header: some servers give a mail another id.
        external_id=f"<feedback.{digest}@{ours.domain}>" if digest else mail.id,
        thread_id=(mail.references or [mail.id])[-1],
        parent_id=None,
        author=mail.author or None,
        author_name=mail.author_name,
        title=mail.subject,
        text=without_mark(mail.own) if digest else mail.own,
        context=f"subject: {mail.subject}" if mail.subject and ancestors else "",
        created_at=mail.at,
        raw=_raw(mail, kept, origin, marks),
        letter=Letter(
            fingerprint=mail.fingerprint,
            ancestors=tuple(dict.fromkeys(ancestors)),
            ours=origin.is_sent or bool(digest),
            is_copy=bool(digest),
            automatic=mail.automatic,
            is_failure=mail.is_failure,
        ),
    )


def without_mark(text: str) -> str:
    """What we wrote, without the mark that we set below it."""
    return MARK.sub("", text).strip()


def _raw(mail: Mail, kept: str, origin: Origin, marks: list[str]) -> dict[str, Any]:
    whole = mail.whole[:WHOLE_LIMIT]
    return {
        "id": mail.id,
        "fingerprint": mail.fingerprint,
        "box": origin.box,
        "uid": origin.uid,
        "subject": mail.subject,
        "from": mail.author,
        "reply_to": mail.reply_to,
        "to": mail.to[:50],
        "references": mail.references[:50],
        "marks": marks,
        "why": mail.why,
        "files": [one.as_json() for one in mail.attached],
        "mail": kept,
        "whole": whole if whole.split() != mail.own.split() else "",
    }


def kept_raw(kept: str, origin: Origin, begins: bytes) -> Mapping[str, Any]:
    """What is kept of a mail that could not be read."""
    return {
        "mail": kept,
        "box": origin.box,
        "uid": origin.uid,
        "is_sent": origin.is_sent,
        "received": origin.received.isoformat() if origin.received else "",
        "begins": begins[:4_000].decode("utf-8", "replace"),
    }
