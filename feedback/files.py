"""Files that came with what people said: in the data folder, each under its content's digest.

The same content is kept once. A file appears under its name when it is whole.
"""

import gzip
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from django.conf import settings

CHUNK = 262_144
PACKED = ".gz"
_NAME = re.compile(r"[0-9a-f]{64}(?:\.gz)?")


def keep(content: bytes, *, packed: bool = False) -> str:
    """Keep a content, `packed` if it is text. Returns the name by which it is found."""
    name = hashlib.sha256(content).hexdigest() + (PACKED if packed else "")
    path = _path(name)
    if not path.exists():
        _write(path, gzip.compress(content, 1, mtime=0) if packed else content)
    return name


def find(name: str) -> Path | None:
    """Where a kept content lies, None if there is none of that name."""
    if not _NAME.fullmatch(name):
        return None
    path = _path(name)
    return path if path.is_file() else None


def read(name: str, limit_bytes: int) -> bytes:
    """The beginning of a kept content. Raises ValueError if it is not there, or damaged."""
    with opened(name) as file:
        try:
            return file.read(limit_bytes)
        except (OSError, EOFError) as error:
            raise ValueError(f"the kept file {name} is damaged: {error}") from error


def opened(name: str) -> IO[bytes]:
    """A kept content to read, as it came. Raises ValueError if it is not there."""
    path = find(name)
    if path is None:
        raise ValueError(f"the kept file {name} is not there")
    if name.endswith(PACKED):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def chunks(name: str) -> Iterator[bytes]:
    """A kept content in pieces."""
    with opened(name) as file:
        while piece := file.read(CHUNK):
            yield piece


class Keeping:
    """A content that comes in pieces and is never whole in memory; kept by `done`."""

    def __init__(self, *, packed: bool = False) -> None:
        self._packed = packed
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False)  # noqa: SIM115
        self._out: IO[bytes] = (
            gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=1, mtime=0)  # type: ignore[assignment]
            if packed
            else self._file
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.close()
        self._file.close()
        with suppress(FileNotFoundError):
            Path(self._file.name).unlink()

    def write(self, piece: bytes) -> None:
        """Add a piece."""
        self._digest.update(piece)
        self.size_bytes += len(piece)
        self._out.write(piece)

    def done(self) -> str:
        """Keep what was written. Returns its name."""
        self._out.close()
        self._file.close()
        name = self._digest.hexdigest() + (PACKED if self._packed else "")
        path = _path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(self._file.name).replace(path)
        return name


def _folder() -> Path:
    folder: Path = settings.DATA_DIR / "files"
    return folder


def _path(name: str) -> Path:
    return _folder() / name[:2] / name


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".")  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(unfinished).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(unfinished).unlink()
        raise
