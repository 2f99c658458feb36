"""Clean plain text out of what services send: bounded, storable everywhere, never raising.

The text that comes out is still hostile: it is plain, so whoever shows it escapes it.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

LIMIT = 50_000  # characters of one post
CUT = " […]"

# Only these are markup: "<T>" in a title or "<Suspense>" in a comment is what somebody wrote.
_TAG = re.compile(
    r"<(/?)(p|br|i|b|u|s|em|strong|a|pre|code|div|span|ul|ol|li|blockquote|h[1-6]|hr)"
    r"((?:\s[^<>]*)?)/?>|<!--[^<>]*-->",
    re.IGNORECASE,
)
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
# Controls but tab and newline; half surrogates; marks that turn the reading direction.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_PARAGRAPHS = frozenset(
    ["p", "div", "ul", "ol", "blockquote", "hr", "h1", "h2", "h3", "h4", "h5", "h6"]
)


def plain(markup: Any, limit: int = LIMIT) -> str:
    """Plain text of a little HTML, at most `limit` characters; empty for what is no text.

    Paragraphs are apart by an empty line, code keeps its lines and indents, a link is its whole
    address. Entities are decoded once.
    """
    if not isinstance(markup, str):
        return ""
    # Markup is longer than its text, though not without bound: entities have at most 8 characters.
    return shorten(_Writer(clean(markup)[: limit * 8]).text(), limit)


def clean(text: Any) -> str:
    """Text without what no database or page can hold; newlines are all of one kind."""
    if not isinstance(text, str):
        return ""
    return _UNWANTED.sub("", _NEWLINES.sub("\n", text)).replace("\u00a0", " ")


def one_line(text: Any, limit: int) -> str:
    """The text in one line of at most `limit` characters, cut between words where it can be."""
    line = " ".join(clean(text).split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > limit // 2 else cut).rstrip() + "…"


def shorten(text: str, limit: int) -> str:
    """The text, or its beginning with a mark that it was cut."""
    return text if len(text) <= limit else text[: limit - len(CUT)].rstrip() + CUT


def storable(value: Any, limit: int = LIMIT, depth: int = 20) -> Any:
    """A JSON value that any database keeps: no NUL, no half surrogate, no endless text."""
    if isinstance(value, str):
        return shorten(value.replace("\x00", "").encode(errors="replace").decode(), limit)
    if isinstance(value, Mapping | list) and depth == 0:
        return None
    if isinstance(value, Mapping):
        return {storable(str(k), 200): storable(v, limit, depth - 1) for k, v in value.items()}
    if isinstance(value, list):
        return [storable(v, limit, depth - 1) for v in value]
    return value


class _Writer:
    """Turns markup into text, a token at a time: linear, whatever the markup."""

    def __init__(self, markup: str) -> None:
        self._blocks: list[str] = []  # text tidied, code as it was
        self._parts: list[str] = []  # of the present block
        self._link: tuple[str, int] | None = None
        self._in_code = False
        at = 0
        for tag in _TAG.finditer(markup):
            self._write(markup[at : tag.start()])
            at = tag.end()
            if tag[2]:
                self._tag(tag[2].lower(), bool(tag[1]), tag[3])
        self._write(markup[at:])
        self._end_block()

    def text(self) -> str:
        return "\n\n".join(block for block in self._blocks if block)

    def _write(self, markup: str) -> None:
        self._parts.append(html.unescape(markup))

    def _tag(self, name: str, closing: bool, attributes: str) -> None:
        if name == "pre":
            self._end_block()
            self._in_code = not closing
        elif name == "a":
            self._end_link()
            if not closing:
                self._link = (_href(attributes), len(self._parts))
        elif name in ("br", "li"):
            if not closing:
                self._parts.append("\n- " if name == "li" else "\n")
        elif name in _PARAGRAPHS:
            self._parts.append("\n\n")

    def _end_link(self) -> None:
        if self._link is None:
            return
        (href, start), self._link = self._link, None
        shown = "".join(self._parts[start:]).strip()
        if href:
            cut = shown.removesuffix("...").removesuffix("…")
            self._parts[start:] = [href if href.startswith(cut) else f"{shown} ({href})"]

    def _end_block(self) -> None:
        self._end_link()
        # Cleaned again: an entity may have been a control character.
        text, self._parts = clean("".join(self._parts)), []
        self._blocks.append(_tidy_code(text) if self._in_code else _tidy(text))


def _tidy(text: str) -> str:
    text = re.sub(r" ?\n ?", "\n", re.sub(r"[ \t]+", " ", text))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _tidy_code(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def _href(attributes: str) -> str:
    """The address of a link, if it is one that a person may follow."""
    found = _HREF.search(attributes)
    address = html.unescape(next(filter(None, found.groups()), "")) if found else ""
    return address.strip() if re.match(r"(https?://|mailto:)", address, re.IGNORECASE) else ""
