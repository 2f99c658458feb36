"""The embedded broker: kombu's filesystem transport, made safe for several processes.

kombu's own writes messages in place, so that a reader may meet half a file and die of it. Here a
message appears under its name when it is whole, and is claimed by renaming it.
"""

import logging
import os
import time
from collections import deque
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """Messages as files, oldest first."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns():020d}_{uuid4().hex}.{queue}.msg"
        folder = Path(self.data_folder_out)
        unfinished = folder / f".{name}"
        unfinished.write_text(dumps(payload), encoding="utf-8")
        unfinished.replace(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        names = self._waiting(queue)
        while names:
            name = names.popleft()
            claimed = Path(self.processed_folder) / name
            try:
                os.rename(Path(self.data_folder_in) / name, claimed)
            except OSError:
                continue  # somebody else was faster
            try:
                return loads(claimed.read_text(encoding="utf-8"))
            except ValueError:
                log.warning("hint.unreadable")
            finally:
                claimed.unlink(missing_ok=True)
        raise Empty

    def _waiting(self, queue: str) -> deque[str]:
        """Names to claim, listed anew when the last list is used up."""
        cache: dict[str, deque[str]] = self.__dict__.setdefault("_names", {})
        if not cache.get(queue):
            found = os.listdir(self.data_folder_in)
            ending = f".{queue}.msg"
            cache[queue] = deque(sorted(n for n in found if n.endswith(ending) and n[0] != "."))
        return cache[queue]


class Transport(filesystem.Transport):
    """The filesystem transport with the channel above."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        # Short waits, so that a worker hears within a second that it should stop.
        return super().drain_events(connection, timeout=min(timeout or 0.5, 0.5), **kwargs)
