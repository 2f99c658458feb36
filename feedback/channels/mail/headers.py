"""Headers of a mail as readable text: whatever is in them, something comes out, bounded."""

import re
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

LIMIT = 2_000  # characters of one header
REFERENCES = 50
ID_LIMIT = 280
_ID = re.compile(r"<[^<>\s]{1,600}>")
_ADDRESS = re.compile(r"[\w.+&'*/=?^{|}~!#$%-]{1,64}@[\w.-]{1,250}\w")


def header(message: Message, name: str) -> str:
    """A header in one line; empty where it is missing."""
    for found, value in message.raw_items():
        if found.casefold() == name:
            return readable(str(value))[:LIMIT]
    return ""


def readable(value: str) -> str:
    """A header's value with its encoded words and its raw bytes decoded, in one line."""
    value = value[: LIMIT * 4]
    if "\udc80" <= max(value, default="") <= "\udcff":  # bytes that are not ASCII, as they came
        value = decoded(value.encode("ascii", "surrogateescape"), "")
    if "=?" not in value:
        return " ".join(value.split())
    try:
        pieces = decode_header(value)
    except (HeaderParseError, ValueError):
        return " ".join(value.split())
    words = [decoded(p, charset or "") if isinstance(p, bytes) else p for p, charset in pieces]
    return " ".join("".join(words).split())


def decoded(content: bytes, charset: str) -> str:
    """Text in its declared charset, else UTF-8, else what most likely is."""
    for name in (charset, "utf-8"):
        try:
            return content.decode(name)
        except (LookupError, ValueError, TypeError):
            continue
    if len(content) > 64:  # below that it guesses wrong
        from charset_normalizer import from_bytes

        best = from_bytes(content[:20_000]).best()
        if best:
            return content.decode(best.encoding, "replace")
    return content.decode("cp1252", "replace")


def addresses(message: Message, name: str) -> list[tuple[str, str]]:
    """Names and addresses of a header; addresses casefolded."""
    values = [str(value) for found, value in message.raw_items() if found.casefold() == name][:5]
    if not values:
        return []
    line = (
        [value.encode("ascii", "surrogateescape").decode("utf-8", "replace") for value in values]
        if not all(value.isascii() for value in values)
        else values
    )
    try:
        pairs = getaddresses([one[: LIMIT * 4] for one in line])
    except Exception:  # noqa: BLE001 - the library's own parser fails on some
        pairs = []
    found = [(readable(n)[:200], address.strip().casefold()) for n, address in pairs]
    found = [(n, address) for n, address in found if _ADDRESS.fullmatch(address)]
    if found:
        return found
    match = _ADDRESS.search(" ".join(map(readable, line)))
    return [("", match[0].casefold())] if match else []


def ids(message: Message, name: str) -> list[str]:
    """The message ids of a header, each short enough to be kept."""
    values = [str(value) for found, value in message.raw_items() if found.casefold() == name]
    found = _ID.findall(" ".join(values)[:20_000])[-REFERENCES:]
    return [short(id_) for id_ in found]


def short(id_: str) -> str:
    """An id that fits its column; of a longer one, the end tells mails apart less than a digest."""
    from hashlib import sha256

    clean = id_.encode("utf-8", "replace").decode("utf-8")
    if len(clean) <= ID_LIMIT:
        return clean
    return f"<{sha256(clean.encode()).hexdigest()[:40]}@long-message-id>"


def date(message: Message, received: datetime | None) -> datetime:
    """When it was sent; `received` where that is missing or nonsense."""
    now = datetime.now(UTC)
    try:
        at = parsedate_to_datetime(header(message, "date"))
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return received or now
    is_sane = datetime(1990, 1, 1, tzinfo=UTC) < at <= now
    return at if is_sane else received or now
