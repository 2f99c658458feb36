"""One mail, read part by part: what cannot be read is left out, and the rest goes on.

The parser of the standard library with its old policy never raises on a whole mail; each field is
decoded in a try of its own.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from feedback.channels.mail import automatic
from feedback.channels.mail.quotes import own_words

TEXT_LIMIT = 200_000  # characters
HEADER_LIMIT = 2_000
PARTS = 200
REFERENCES = 50
ATTACHMENTS = 20
OURS = re.compile(r"<feedback\.([0-9a-f]{20})@[^<>\s]+>")
MARK = re.compile(r"\[ref:([0-9a-f]{20})\]")
_ID = re.compile(r"<[^<>\s]{1,400}>")
_UNSAFE = re.compile(r"[^\w.()\[\] -]+")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came along."""

    name: str
    kind: str
    content: bytes


@dataclass(slots=True)
class Mail:
    """What a mail says. `own` is `text` without quotations and signature."""

    id: str
    fingerprint: str
    references: list[str]
    author: str
    author_name: str
    to: list[str]
    subject: str
    at: datetime
    text: str
    own: str
    automatic: str
    marks: list[str] = field(default_factory=list)  # "encrypted", "signed", "invitation", "cut"
    answers: str = ""  # our own mail that it answers, by its mark or in a report on it
    reply_to: str = ""
    attachments: list[Attachment] = field(default_factory=list)


def parse(raw: bytes, received: datetime | None = None) -> Mail:
    """Read one mail; `received` stands in for a date that is missing or nonsense."""
    message = message_from_bytes(_without_envelope(raw).replace(b"\0", b""))
    subject = header(message, "subject")
    authors = _addresses(message, "from") or _addresses(message, "sender")
    name, author = authors[0] if authors else ("", "")
    parts = list(_parts(message))
    text = _text(parts)
    own = own_words(text)
    references = _ids(message, "in-reply-to")[:1] + _ids(message, "references")[::-1][:REFERENCES]
    kind = message.get_content_type()
    why = automatic.reason(lambda n: header(message, n), kind, author, subject, text)
    digest = hashlib.sha256("\n".join([author, subject, text]).encode("utf-8", "replace"))
    ids = _ids(message, "message-id")
    replies = _addresses(message, "reply-to")
    return Mail(
        id=ids[0] if ids else f"<{digest.hexdigest()[:40]}@no-message-id>",
        fingerprint=digest.hexdigest()[:12],
        references=list(dict.fromkeys(references)),
        author=author,
        author_name=name,
        to=[address for _, address in _addresses(message, "to")],
        subject=subject,
        at=_date(message, received),
        text=text,
        own=own,
        automatic=why,
        marks=_marks(message, parts),
        answers=_answers(raw, references, text, why),
        reply_to=replies[0][1] if replies else "",
        attachments=list(_attachments(parts)),
    )


def header(message: Message, name: str) -> str:
    """A header as readable text, in one line; empty where it is missing or cannot be read."""
    try:
        value = message.get(name)
        if value is None:
            return ""
        pieces = decode_header(str(value)[: HEADER_LIMIT * 4])
        words = [_decoded(p, charset or "") if isinstance(p, bytes) else p for p, charset in pieces]
        return " ".join("".join(words).split())[:HEADER_LIMIT]
    except Exception:  # noqa: BLE001 - one odd header must not lose a mail
        return " ".join(str(message.get(name, "")).split())[:HEADER_LIMIT]


def _without_envelope(raw: bytes) -> bytes:
    """Without empty lines and an mbox `From ` line before the headers."""
    raw = raw.lstrip(b"\r\n")
    return raw.split(b"\n", 1)[-1] if raw.startswith((b"From ", b">From ")) else raw


def _addresses(message: Message, name: str) -> list[tuple[str, str]]:
    values = [str(value) for value in message.get_all(name, [])][:5]
    try:
        pairs = getaddresses(values)
    except Exception:  # noqa: BLE001 - the library's own parser fails on some
        pairs = []
    found = [(_plain(n), address.strip().casefold()) for n, address in pairs if "@" in address]
    if found or not values:
        return found
    match = re.search(r"[\w.+-]+@[\w.-]+", " ".join(values))
    return [("", match[0].casefold())] if match else []


def _plain(name: str) -> str:
    try:
        pieces = decode_header(name)
        words = [_decoded(p, charset or "") if isinstance(p, bytes) else p for p, charset in pieces]
        return " ".join("".join(words).split())[:200]
    except Exception:  # noqa: BLE001
        return name[:200]


def _ids(message: Message, name: str) -> list[str]:
    return _ID.findall(" ".join(str(value) for value in message.get_all(name, []))[:20_000])


def _date(message: Message, received: datetime | None) -> datetime:
    now = datetime.now(UTC)
    try:
        at = parsedate_to_datetime(str(message.get("date")))
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return received or now
    is_sane = datetime(1990, 1, 1, tzinfo=UTC) < at <= now
    return at if is_sane else received or now


def _parts(message: Message) -> Iterator[Message]:
    """The leaves of a mail; an attached mail is one leaf."""
    stack, seen = [message], 0
    while stack and seen < PARTS:
        part = stack.pop(0)
        seen += 1
        payload = part.get_payload()
        if (
            part.is_multipart()
            and isinstance(payload, list)
            and part.get_content_type() != "message/rfc822"
        ):
            stack = [one for one in payload if isinstance(one, Message)] + stack
        else:
            yield part


def _text(parts: list[Message]) -> str:
    """The readable text: plain parts, else what HTML says."""
    plain, rich = [], []
    for part in parts:
        if _is_file(part):
            continue
        kind = part.get_content_type()
        if kind == "text/html":
            rich.append(_content(part))
        elif kind.startswith("text/") and kind != "text/calendar":
            plain.append(_content(part))
        elif kind in ("message/delivery-status", "message/rfc822", "text/rfc822-headers"):
            plain.append(_content(part)[:4_000])
    text = "\n".join(one for one in plain if one.strip())
    if not text.strip() and rich:
        text = "\n".join(plain_of_html(one) for one in rich)
    return text.replace("\r\n", "\n").strip()[:TEXT_LIMIT]


def plain_of_html(markup: str) -> str:
    """The text of a mail in HTML, what it quotes left out."""
    from inscriptis import get_text
    from selectolax.parser import HTMLParser

    tree = HTMLParser(markup[: TEXT_LIMIT * 4])
    tree.strip_tags(["script", "style", "title"])
    for selector in (".gmail_quote", "blockquote[type=cite]", "#divRplyFwdMsg", ".moz-cite-prefix"):
        for node in tree.css(selector):
            if (tree.body and tree.body.text(strip=True)) != node.text(strip=True):
                node.decompose()
    fallback = tree.body.text(separator="\n", strip=True) if tree.body else ""
    try:
        text = get_text(tree.html or "").strip()
    except Exception:  # noqa: BLE001 - lxml refuses what a browser would show
        return fallback
    return text if len(text) * 2 >= len(fallback) else fallback


def _content(part: Message) -> str:
    try:
        payload = part.get_payload(decode=True)
    except Exception:  # noqa: BLE001 - a wrong transfer encoding
        payload = None
    if not isinstance(payload, bytes):
        inner = part.get_payload()
        if isinstance(inner, list):
            return "\n".join(str(one)[:4_000] for one in inner[:3])
        return str(inner or "")[:TEXT_LIMIT]
    return _decoded(payload[: TEXT_LIMIT * 4], part.get_content_charset() or "")


def _decoded(content: bytes, charset: str) -> str:
    """Text in its declared charset, else UTF-8, else what most likely is."""
    for name in (charset, "utf-8"):
        try:
            return content.decode(name)
        except (LookupError, ValueError, TypeError):
            continue
    if len(content) > 64:
        from charset_normalizer import from_bytes

        best = from_bytes(content[:20_000]).best()
        if best:
            return content.decode(best.encoding, "replace")
    return content.decode("cp1252", "replace")


def _is_file(part: Message) -> bool:
    disposition = str(part.get("content-disposition") or "").strip().casefold()
    return disposition.startswith("attachment") or bool(_filename(part))


def _filename(part: Message) -> str:
    try:
        return _plain(part.get_filename() or "")
    except Exception:  # noqa: BLE001 - RFC 2231 in pieces that do not fit
        return ""


def safe_name(name: str) -> str:
    """A file's name without paths and odd characters."""
    name = _UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ")
    return name[-100:] or "file"


def _attachments(parts: list[Message]) -> Iterator[Attachment]:
    count = 0
    for part in parts:
        kind = part.get_content_type()
        if not _is_file(part) and (kind.startswith("text/") or kind.startswith("multipart/")):
            continue
        for attachment in _unpacked(part, kind):
            count += 1
            if count > ATTACHMENTS:
                return
            yield attachment


def _unpacked(part: Message, kind: str) -> list[Attachment]:
    try:
        content: Any = part.get_payload(decode=True)
    except Exception:  # noqa: BLE001
        content = None
    if not isinstance(content, bytes):
        content = bytes(part)
    name = safe_name(_filename(part) or kind.replace("/", "."))
    if kind == "application/ms-tnef" or name.casefold() == "winmail.dat":
        return _tnef(content) or [Attachment(name, kind, content)]
    return [Attachment(name, kind, content)]


def _tnef(content: bytes) -> list[Attachment]:
    """The files that Outlook hides in winmail.dat."""
    try:
        from tnefparse import TNEF

        found = TNEF(content, do_checksum=False).attachments
        return [
            Attachment(
                safe_name(one.long_filename() or one.name), "application/octet-stream", one.data
            )
            for one in found[:ATTACHMENTS]
        ]
    except Exception:  # noqa: BLE001 - a broken one is kept as it came
        return []


def _marks(message: Message, parts: list[Message]) -> list[str]:
    kinds = {message.get_content_type(), *(part.get_content_type() for part in parts)}
    marks = []
    if kinds & {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}:
        marks.append("encrypted")
    if kinds & {"multipart/signed", "application/pgp-signature", "application/pkcs7-signature"}:
        marks.append("signed")
    if "text/calendar" in kinds:
        marks.append("invitation")
    return marks


def _answers(raw: bytes, references: list[str], text: str, why: str) -> str:
    """Our own mail that this one answers or reports on."""
    for reference in references:
        if OURS.fullmatch(reference):
            return reference
    body = raw[:500_000].decode("latin-1") if why == "bounce" else text
    if found := OURS.search(body):
        return found[0]
    found = MARK.search(text)
    return f"ref:{found[1]}" if found else ""
