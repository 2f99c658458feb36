"""One mail, read part by part: what cannot be read is left out, and the rest goes on.

The parser of the standard library with its old policy never raises on a whole mail; each field is
decoded by itself.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message

from feedback.channels.mail import automatic
from feedback.channels.mail.attached import Attached, attached_to
from feedback.channels.mail.headers import addresses, date, header, ids
from feedback.channels.mail.quotes import own_words
from feedback.channels.mail.texts import content, parts_of, texts_of, walk

MARK_HEADER = "x-feedback-reply"
OURS = re.compile(r"<feedback\.([0-9a-f]{20})@[^<>\s]+>")
_DIGEST = re.compile(r"[0-9a-f]{20}")
MARK = re.compile(r"\[ref:([0-9a-f]{20})\]")
ADDRESS_MARK = re.compile(r"\+f\.?([0-9a-f]{20})@")
_LINES = re.IGNORECASE | re.MULTILINE
_RETURNED = re.compile(r"^[> ]*Message-ID:\s*(<feedback\.[0-9a-f]{20}@[^<>\s]+>)", _LINES)
_FAILED = re.compile(r"^Action:\s*failed", _LINES)
_DELAYED = re.compile(r"^Action:\s*(?:delayed|delivered|relayed|expanded)", _LINES)
_WHY = re.compile(r"^(?:Diagnostic-Code|Status):\s*(.+(?:\n[ \t].+)*)", _LINES)
_SMTP_SAID = re.compile(r"\b[45]\d\d[ -](?:#?[45]\.\d+\.\d+ )?.{5,200}")


@dataclass(slots=True, kw_only=True)
class Mail:
    """What a mail says. `own` is `whole` without quotations and signature."""

    id: str
    fingerprint: str
    references: list[str]  # what it answers, nearest first
    marks_of_ours: list[str]  # the digests of our replies that it shows
    author: str
    author_name: str
    to: list[str]
    reply_to: str
    subject: str
    at: datetime
    whole: str
    own: str
    automatic: str
    is_failure: bool
    why: str  # of a bounce
    marks: list[str]  # "encrypted", "signed", "invitation"
    attached: list[Attached]
    digest_of_ours: str  # names the reply of this service that it says it is


def parse(
    raw: bytes,
    received: datetime | None = None,
    *,
    lists: frozenset[str] = frozenset(),
    spilled: Mapping[str, tuple[str, int]] | None = None,
) -> Mail:
    """Read one mail; `received` stands in for a date that is missing or nonsense.

    `lists` are the ids of mailing lists whose mail is people's, to us.
    """
    raw = without_envelope(raw)
    message = message_from_bytes(raw)
    subject = header(message, "subject")
    senders = addresses(message, "from") or addresses(message, "sender")
    name, author = senders[0] if senders else ("", "")
    parts = parts_of(message)
    kind = message.get_content_type()
    texts = texts_of(parts, is_report=kind == "multipart/report")
    why = automatic.reason(lambda n: header(message, n), kind, author, subject, texts.whole, lists)
    body_at = _body_at(raw)
    returned = _RETURNED.search(raw[body_at : body_at + 500_000].decode("latin-1"))
    if returned and not why:  # our own mail, sent back by who knows what
        why = "bounce"
    found = ids(message, "message-id")
    id_ = found[0] if found else ""
    replies = addresses(message, "reply-to")
    references = ids(message, "in-reply-to")[:1] + ids(message, "references")[::-1]
    if why and returned:
        references = [returned[1]]
    return Mail(
        id=id_ or _made_id(message, received, raw),
        fingerprint=_fingerprint(message, raw),
        references=list(dict.fromkeys(references)),
        marks_of_ours=_marks_of_ours(message, texts.whole),
        author=author,
        author_name=name,
        to=[address for _, address in addresses(message, "to")],
        reply_to=replies[0][1] if replies else "",
        subject=subject,
        at=date(message, received),
        whole=texts.whole,
        own=own_words(texts.unquoted),
        automatic=why,
        is_failure=why == "bounce" and _is_failure(texts.whole),
        why=_why(texts.whole) if why == "bounce" else "",
        marks=_marks(message),
        attached=attached_to(parts, spilled),
        digest_of_ours=_digest_of_ours(message, id_),
    )


def without_envelope(raw: bytes) -> bytes:
    """Without NUL, empty lines and an mbox `From ` line before the headers."""
    raw = raw.replace(b"\0", b"").lstrip(b"\r\n")
    return raw.split(b"\n", 1)[-1] if raw.startswith((b"From ", b">From ")) else raw


def _body_at(raw: bytes) -> int:
    """Where the headers end; 0 where nothing divides them from the rest."""
    found = re.search(rb"\r?\n\r?\n", raw)
    return found.end() if found else 0


def _fingerprint(message: Message, raw: bytes) -> str:
    """Of what the author wrote: other headers, and line ends, differ from mailbox to mailbox."""
    said = " ".join(str(message.get(name, "")) for name in ("from", "subject"))
    digest = hashlib.sha256(" ".join(said.split()).encode("utf-8", "replace") + b"\n")
    digest.update(b" ".join(raw[_body_at(raw) :].split()))
    return f"m{digest.hexdigest()[:12]}"  # never a number: SQLite's JSON would make it one


def _made_id(message: Message, received: datetime | None, raw: bytes) -> str:
    """An id for a mail without one: the same for the same mail wherever it lies."""
    sent = str(message.get("date") or received or "")
    digest = hashlib.sha256(f"{sent}\n{_fingerprint(message, raw)}".encode("utf-8", "replace"))
    return f"<{digest.hexdigest()[:40]}@no-message-id>"


def _marks_of_ours(message: Message, text: str) -> list[str]:
    """Our own replies by the mark in a quotation, or in the address that was answered."""
    found = [] if header(message, MARK_HEADER) else MARK.findall(text)
    for name in ("to", "cc", "delivered-to", "x-original-to"):
        found += ADDRESS_MARK.findall(header(message, name).casefold())
    return list(dict.fromkeys(found))


def _digest_of_ours(message: Message, id_: str) -> str:
    told = header(message, MARK_HEADER)
    named = OURS.fullmatch(id_)
    return told if _DIGEST.fullmatch(told) else named[1] if named else ""


def _is_failure(text: str) -> bool:
    """Whether a bounce says that the mail will not arrive, not only that it is late."""
    return bool(_FAILED.search(text)) or not _DELAYED.search(text)


def _why(text: str) -> str:
    """What the other server said, in one line."""
    told = _WHY.findall(text)
    line = max(told, key=len, default="")
    if not line and (found := _SMTP_SAID.search(text)):
        line = found[0]
    return " ".join(line.split())[:300]


def _marks(message: Message) -> list[str]:
    kinds = set()
    for part in walk(message):
        kind = part.get_content_type()
        kinds.add(kind)
        if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
            smime = str(part.get_param("smime-type") or "").casefold()
            kinds.add("opaque-signed" if smime == "signed-data" else "multipart/encrypted")
        if kind == "text/plain" and (body := content(part)[:200].lstrip()).startswith("-----BEGIN"):
            kinds |= {"multipart/encrypted"} if body.startswith("-----BEGIN PGP MESSAGE") else set()
            kinds |= {"multipart/signed"} if "PGP SIGNED MESSAGE" in body else set()
    marks = []
    if "multipart/encrypted" in kinds:
        marks.append("encrypted")
    signed = {"multipart/signed", "application/pgp-signature", "application/pkcs7-signature"}
    if kinds & (signed | {"application/x-pkcs7-signature", "opaque-signed"}):
        marks.append("signed")
    if "text/calendar" in kinds:
        marks.append("invitation")
    return marks
