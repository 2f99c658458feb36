"""The readable text of a mail, part by part: plain parts, else what HTML says."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message

from feedback.channels.mail.headers import decoded, readable
from feedback.text import plain

TEXT_LIMIT = 200_000  # characters
RICH_LIMIT = 300_000  # characters of HTML that are laid out
REPORT_LIMIT = 4_000
PARTS = 200
POOR = 60  # characters of plain text below which HTML is asked whether it says more
DEPTH = 1_000  # of tags in one another
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_ANY_TAG = re.compile(r"<[^<>]*>")
_CLOSED_BY_ITSELF = frozenset("p br li td th tr img hr input meta link option dd dt col".split())
_REPORTED = ("message/delivery-status", "message/rfc822", "text/rfc822-headers")
_QUOTES = (
    ".gmail_quote",
    "blockquote[type=cite]",
    "#divRplyFwdMsg",
    ".moz-cite-prefix",
    "#appendonsend",
    ".yahoo_quoted",
    ".protonmail_quote",
    "#isReplyContent",
    ".zmail_extra",
)


@dataclass(frozen=True, slots=True)
class Texts:
    """All that a mail says, and the same without what its HTML marks as a quotation."""

    whole: str
    unquoted: str


def parts_of(message: Message) -> list[Message]:
    """The leaves of a mail; an attached mail is one leaf."""
    stack, leaves, seen = [message], [], 0
    while stack and seen < PARTS:
        part = stack.pop(0)
        seen += 1
        payload = part.get_payload()
        is_inner = part.get_content_type() in ("message/rfc822", "message/delivery-status")
        if part.is_multipart() and isinstance(payload, list) and not is_inner:
            stack = [one for one in payload if isinstance(one, Message)] + stack
        else:
            leaves.append(part)
    return leaves


def texts_of(parts: Sequence[Message], *, is_report: bool) -> Texts:
    """The text of a mail's leaves; a report says what it reports on, too."""
    bare: list[str] = []
    rich: list[str] = []
    for part in parts:
        kind = part.get_content_type()
        if is_report and kind in _REPORTED:
            bare.append(_inner(part)[:REPORT_LIMIT])
        elif is_file(part):
            continue
        elif kind == "text/html":
            rich.append(content(part))
        elif kind.startswith("text/") and kind != "text/calendar":
            bare.append(content(part))
    text = _tidy("\n".join(one for one in bare if one.strip()))
    if not rich or len(text) >= POOR:
        return Texts(text, text)
    whole = _tidy("\n".join(plain_of_html(one, quotes=True) for one in rich))
    if len(whole) < 2 * len(text):
        return Texts(text, text)
    unquoted = _tidy("\n".join(plain_of_html(one, quotes=False) for one in rich))
    return Texts(whole, unquoted or whole)


def _tidy(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").split("\n")
    tidy = "\n".join(line.rstrip() for line in lines)[:TEXT_LIMIT]
    return re.sub(r"\n{4,}", "\n\n\n", tidy).strip()


def plain_of_html(markup: str, *, quotes: bool) -> str:
    """The text of HTML, with or without what it marks as a quotation."""
    from inscriptis import get_text
    from selectolax.lexbor import LexborHTMLParser as HTMLParser

    if _is_too_deep(markup):
        return plain(_ANY_TAG.sub("\n", markup[:RICH_LIMIT]))
    tree = HTMLParser(markup[: TEXT_LIMIT * 4])
    tree.strip_tags(["script", "style", "title", "head"])
    for selector in () if quotes else _QUOTES:
        for node in tree.css(selector):
            node.decompose()
    fallback = tree.body.text(separator="\n", strip=True) if tree.body else ""
    if len(markup) > RICH_LIMIT:  # the better way takes its time
        return fallback
    try:
        text = str(get_text(tree.html or "")).strip()
    except Exception:  # noqa: BLE001 - lxml refuses what a browser would show
        return fallback
    return text if len(text) * 2 >= len(fallback) else fallback


def _is_too_deep(markup: str) -> bool:
    """Whether tags are nested so deep that a parser would take minutes."""
    depth = 0
    for tag in _TAG.finditer(markup):
        if tag[2].casefold() not in _CLOSED_BY_ITSELF:
            depth = max(0, depth - 1) if tag[1] else depth + 1
            if depth > DEPTH:
                return True
    return False


def content(part: Message) -> str:
    """A text part as text, in whatever charset and encoding it really is."""
    try:
        payload = part.get_payload(decode=True)
    except Exception:  # noqa: BLE001 - a wrong transfer encoding
        payload = None
    if not isinstance(payload, bytes):
        return str(part.get_payload() or "")[:TEXT_LIMIT]
    try:
        charset = str(part.get_content_charset() or "")
    except Exception:  # noqa: BLE001 - RFC 2231 in pieces that do not fit
        charset = ""
    return decoded(payload[: TEXT_LIMIT * 4], charset)


def _inner(part: Message) -> str:
    """What a report says of a mail, or the beginning of the mail that came back."""
    inner = part.get_payload()
    if not isinstance(inner, list):
        return content(part)
    return "\n".join(_written(one) for one in inner[:5] if isinstance(one, Message))


def _written(message: Message) -> str:
    try:
        return message.as_bytes()[: REPORT_LIMIT * 2].decode("utf-8", "replace")
    except Exception:  # noqa: BLE001 - a mail that cannot be written back
        return ""


def is_file(part: Message) -> bool:
    """Whether a part is a file, shown beside the text."""
    disposition = str(part.get("content-disposition") or "").strip().casefold()
    return disposition.startswith("attachment") or bool(filename(part))


def filename(part: Message) -> str:
    """The name that a part gives itself."""
    try:
        return readable(part.get_filename() or "")[:200]
    except Exception:  # noqa: BLE001 - RFC 2231 in pieces that do not fit
        return ""


def walk(message: Message) -> Iterator[Message]:
    """Every part, containers too, a bounded number of them."""
    stack, seen = [message], 0
    while stack and seen < PARTS:
        part = stack.pop(0)
        seen += 1
        yield part
        payload = part.get_payload()
        if isinstance(payload, list) and part.get_content_type() != "message/rfc822":
            stack = [one for one in payload if isinstance(one, Message)] + stack
