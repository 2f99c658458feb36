"""A big mail, read line by line: its files go to the data folder while they pass.

What is left is a small mail that the parser reads: big parts are empty there and name, in a
header of ours, what was kept.
"""

import binascii
import quopri
import secrets
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import IO

from feedback.channels.mail.attached import COUNT_LIMIT, SIZE_LIMIT, SPILLED
from feedback.files import Keeping

PART_LIMIT = 262_144  # bytes of a part that stay in the mail
HEAD_LIMIT = 65_536
LINE_LIMIT = 65_536
DEPTH = 50

Spilled = dict[str, tuple[str, int]]  # where, and how many bytes, by the header's value


def slim(file: IO[bytes]) -> tuple[bytes, Spilled]:
    """A mail without its big parts, and where those are kept."""
    reader = _Reader(file)
    reader.run()
    return b"".join(reader.out), reader.spilled


class _Reader:
    def __init__(self, file: IO[bytes]) -> None:
        self.lines = _lines(file)
        self.out: list[bytes] = []
        self.spilled: Spilled = {}
        self.boundaries: list[bytes] = []
        self.count = 0

    def run(self) -> None:
        """Headers and bodies in turn, until the mail ends."""
        at_head = True
        while at_head:
            head = self._head()
            message = message_from_bytes(head)
            boundary = message.get_boundary()
            if (
                boundary
                and message.get_content_maintype() == "multipart"
                and len(self.boundaries) < DEPTH
            ):
                self.boundaries.append(b"--" + boundary.encode("latin-1", "replace"))
                self._emit(head)
                at_head = self._preamble()
            else:
                at_head = self._leaf(head, message)

    def _head(self) -> bytes:
        lines, size = [], 0
        for line in self.lines:
            size += len(line)
            if size < HEAD_LIMIT and not line.lower().startswith(SPILLED.lower().encode()):
                lines.append(line)
            if not line.strip():
                break
        return b"".join(lines)

    def _preamble(self) -> bool:
        for line in self.lines:
            self._emit(line)
            if (end := self._boundary(line)) is not None and not end:
                return True
        return False

    def _leaf(self, head: bytes, message: Message) -> bool:
        """One part's body. Returns whether another part begins after it."""
        body = _Body(message, self.count)
        is_next = False
        ending = b""
        for line in self.lines:
            end = self._boundary(line)
            if end is not None:
                ending, is_next = line, not end
                break
            body.add(line)
        kept = body.close()
        if kept:
            self.count += 1
            token = secrets.token_hex(8)
            self.spilled[token] = kept
            name = f"{SPILLED}: {token}\r\n".encode()
            self._emit(head.rstrip(b"\r\n") + b"\r\n" + name + b"\r\n\r\n")
        else:
            self._emit(head)
            for line in body.lines:
                self._emit(line)
        self._emit(ending)
        return is_next or (bool(ending) and self._preamble())

    def _boundary(self, line: bytes) -> bool | None:
        """None for an ordinary line; for a boundary, whether it ends its multipart."""
        if not line.startswith(b"--"):
            return None
        stripped = line.rstrip()
        for depth in range(len(self.boundaries) - 1, -1, -1):
            mark = self.boundaries[depth]
            if stripped in (mark, mark + b"--"):
                is_end = stripped != mark
                del self.boundaries[depth + (0 if is_end else 1) :]
                return is_end
        return None

    def _emit(self, piece: bytes) -> None:
        self.out.append(piece)


class _Body:
    """A part's body: kept in memory while it is small, decoded into a file when it is not."""

    def __init__(self, message: Message, count: int) -> None:
        kind = message.get_content_maintype()
        self.encoding = str(message.get("content-transfer-encoding") or "").strip().casefold()
        self.may_spill = count < COUNT_LIMIT and (kind != "text" or bool(message.get_filename("")))
        self.lines: list[bytes] = []
        self.size = 0
        self.file: Keeping | None = None
        self.rest = b""

    def add(self, line: bytes) -> None:
        self.size += len(line)
        if self.file:
            self._decode(line)
        elif self.size <= PART_LIMIT:
            self.lines.append(line)
        elif self.may_spill:
            self.file = Keeping()
            for earlier in self.lines:
                self._decode(earlier)
            self.lines = []
            self._decode(line)

    def close(self) -> tuple[str, int] | None:
        """Where the body was kept, "" where it was too big; None if it is still here."""
        if self.file is None:
            return None
        with self.file as file:
            if self.rest and self.encoding == "base64":
                file.write(_base64(self.rest))
            size = file.size_bytes
            return ("" if size > SIZE_LIMIT else file.done()), size

    def _decode(self, line: bytes) -> None:
        assert self.file
        if self.file.size_bytes > SIZE_LIMIT:
            return
        if self.encoding == "base64":
            text = self.rest + b"".join(line.split())
            whole = len(text) - len(text) % 4
            self.rest = text[whole:]
            self.file.write(_base64(text[:whole]))
        elif self.encoding == "quoted-printable":
            text = self.rest + line
            cut = text.rfind(b"=", -2) if not text.endswith(b"\n") else -1  # half an escape
            cut = len(text) if cut < 0 else cut
            self.rest = text[cut:]
            self.file.write(quopri.decodestring(text[:cut]))
        else:
            self.file.write(line)


def _base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(LINE_LIMIT):
        yield line
