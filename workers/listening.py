"""One thread a mailbox waits (IDLE) for mail, so that a mail is an item within seconds.

The threads live in the scheduler's process, beside its one look a second: a poll by interval does
the same later, so a thread that dies, or a server without IDLE, costs time and nothing else. A
thread never reads a mail: it has the source polled.
"""

import logging
import random
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import connections

from feedback import polling
from feedback.channels.base import ChannelError, SourceStopped
from feedback.intake import team_of
from feedback.models import Source
from feedback.vocabulary import Channel

LOOK_SECONDS = 5.0  # between two looks at which sources there are
IDLE_SECONDS = 30  # a dead line looks like a quiet one: ask in between
AGAIN_SECONDS = 2.0  # a source that is being polled is woken again after that
BACKOFF_FIRST, BACKOFF_LIMIT = 5.0, 300.0
SETUP_SECONDS = 90.0  # connecting and logging in, or one round of IDLE

Key = tuple[int, str]  # source, mailbox

log = logging.getLogger(__name__)


class Listeners:
    """The threads that wait, kept in line with the sources."""

    def __init__(self) -> None:
        self._threads: dict[Key, Listener] = {}
        self._looked_at = 0.0

    def keep(self) -> None:
        """Start what is missing, stop what is no longer wanted."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        wanted = self._wanted()
        for key, listener in list(self._threads.items()):
            if wanted.get(key) != listener.config or not listener.is_alive():
                listener.stop()
                del self._threads[key]
        for key, config in wanted.items():
            if key not in self._threads:
                self._threads[key] = Listener(key, config)
                self._threads[key].start()

    def _wanted(self) -> dict[Key, Mapping[str, Any]]:
        sources = Source.objects.filter(channel=Channel.EMAIL, enabled=True, is_stopped=False)
        wanted: dict[Key, Mapping[str, Any]] = {}
        for source in sources.only("pk", "config"):
            boxes = source.config.get("mailbox") or "INBOX"
            for name in [boxes] if isinstance(boxes, str) else boxes:
                wanted[source.pk, str(name)] = source.config | {"team": sorted(team_of(source))}
        return wanted

    def stop(self) -> None:
        """Stop all."""
        for listener in self._threads.values():
            listener.stop()


class Listener(threading.Thread):
    """Waits for one mailbox; daemonic, for it has nothing to finish."""

    def __init__(self, key: Key, config: Mapping[str, Any]) -> None:
        super().__init__(name=f"idle-{key[0]}-{key[1]}", daemon=True)
        self.source_id, self.mailbox = key
        self.config = config
        self._stopping = threading.Event()
        self._session: Any = None

    def stop(self) -> None:
        """End, at the latest after the present round."""
        self._stopping.set()
        if self._session:
            self._session.cut()

    def run(self) -> None:
        """Wait, and after a lost connection wait again; without IDLE there is nothing to do."""
        backoff = BACKOFF_FIRST
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                if not self._listen():
                    return
            except SourceStopped as error:  # the poll tells staff; a changed source starts anew
                log.warning("idle.stopped", extra={"source": self.source_id, "reason": str(error)})
                backoff = BACKOFF_LIMIT
            except ChannelError as error:
                log.info("idle.lost", extra={"source": self.source_id, "reason": str(error)})
            except Exception:
                log.exception("idle.failed", extra={"source": self.source_id})
            finally:
                connections.close_all()
            if time.monotonic() - began > 10 * BACKOFF_FIRST:
                backoff = BACKOFF_FIRST
            self._stopping.wait(backoff * (0.75 + random.random() / 2))
            backoff = min(backoff * 2, BACKOFF_LIMIT)

    def _listen(self) -> bool:
        """One connection, until it is lost. Returns False if the server has no IDLE."""
        # Imported here: a service without mailboxes pays nothing for them.
        from feedback.channels.mail.config import Config
        from feedback.channels.mail.imap import Session

        config = Config.of(self.config, frozenset(self.config.get("team") or ()))
        with Session(config.login(), SETUP_SECONDS) as session:
            self._session = session
            try:
                if not session.has("IDLE"):
                    return False
                known = session.select(self.mailbox).next - 1
                self._wake()  # what came while nobody listened
                while not self._stopping.is_set():
                    session.extend(SETUP_SECONDS)
                    session.idle(IDLE_SECONDS)
                    newest = max(session.uids(f"UID {known + 1}:*"), default=known)
                    if newest > known:
                        known = newest
                        self._wake()
            finally:
                self._session = None
        return True

    def _wake(self) -> None:
        """Have the source polled, after the poll that may be running."""
        try:
            while not polling.wake(self.source_id) and not self._stopping.is_set():
                self._stopping.wait(AGAIN_SECONDS)
        finally:
            with suppress(Exception):
                connections.close_all()
