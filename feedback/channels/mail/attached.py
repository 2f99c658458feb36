"""The files of a mail: named safely, counted and weighed, kept in the data folder."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

from feedback import files
from feedback.channels.mail.texts import filename, is_file

COUNT_LIMIT = 20
SIZE_LIMIT = 25_000_000  # bytes of one file
SPILLED = "X-Feedback-Spilled"
_UNSAFE = re.compile(r"[^\w.()\[\] -]+")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A file that came along; `kept` is where, or "" where it was too big or one too many."""

    name: str
    kind: str
    size_bytes: int
    kept: str
    is_inline: bool = False

    def as_json(self) -> dict[str, Any]:
        """As it stands in a message's `raw`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "size": self.size_bytes,
            "kept": self.kept,
            "inline": self.is_inline,
        }


def attached_to(
    parts: Sequence[Message], spilled: Mapping[str, tuple[str, int]] | None = None
) -> list[Attached]:
    """The files among a mail's leaves; `spilled` are those that were kept while it was read."""
    found: list[Attached] = []
    for name, kind, content, is_inline in _files(parts, spilled or {}):
        kept, size = content if isinstance(content, tuple) else ("", len(content))
        if isinstance(content, bytes) and size <= SIZE_LIMIT and len(found) < COUNT_LIMIT:
            kept = files.keep(content)
        found.append(
            Attached(name=name, kind=kind, size_bytes=size, kept=kept, is_inline=is_inline)
        )
        if len(found) >= 2 * COUNT_LIMIT:  # more are not even named
            break
    return found


def safe_name(name: str) -> str:
    """A file's name without paths, controls, and names that mean devices."""
    name = _UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ")
    name = name[-100:].lstrip(". ") or "file"
    return f"_{name}" if _DEVICE.match(name) else name


def _files(
    parts: Sequence[Message], spilled: Mapping[str, tuple[str, int]]
) -> Iterator[tuple[str, str, bytes | tuple[str, int], bool]]:
    for part in parts:
        kind = part.get_content_type()
        is_words = kind.startswith(("text/", "multipart/")) and kind != "text/calendar"
        if is_words and not is_file(part):
            continue
        name = safe_name(filename(part) or kind.replace("/", "."))
        is_inline = bool(part.get("content-id")) and kind.startswith("image/")
        if whole := spilled.get(str(part.get(SPILLED))):
            yield name, kind, whole, is_inline
            continue
        content = _bytes(part)
        inner = _tnef(content) if _is_tnef(name, kind) else []
        if inner:
            yield from ((one, "application/octet-stream", data, False) for one, data in inner)
        else:
            yield name, kind, content, is_inline


def _bytes(part: Message) -> bytes:
    try:
        content: Any = part.get_payload(decode=True)
        if isinstance(content, bytes):
            return content
        inner = part.get_payload()
        if isinstance(inner, list):
            return b"\n".join(one.as_bytes() for one in inner if isinstance(one, Message))
        return bytes(part)
    except Exception:  # noqa: BLE001 - what cannot be written back is named without content
        return b""


def _is_tnef(name: str, kind: str) -> bool:
    return kind in ("application/ms-tnef", "application/vnd.ms-tnef") or (
        name.casefold() == "winmail.dat"
    )


def _tnef(content: bytes) -> list[tuple[str, bytes]]:
    """The files that Outlook hides in winmail.dat; of a broken one, none."""
    try:
        from tnefparse import TNEF

        found = TNEF(content, do_checksum=False).attachments
        return [
            (safe_name(str(one.long_filename() or one.name)), bytes(one.data))
            for one in found[:COUNT_LIMIT]
        ]
    except Exception:  # noqa: BLE001
        return []
