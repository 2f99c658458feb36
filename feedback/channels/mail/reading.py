"""What one poll reads of one mailbox after another, and the cursor that covers exactly this.

The cursor is the mailbox's UIDVALIDITY and the next UID, never a flag: what a person reads in a
mail program is read here too. Another UIDVALIDITY means that the mailbox was numbered anew; it
is read again from where it was first read, and what is known is known by its content.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from feedback import files
from feedback.channels.base import ChannelError, Post, Unreadable
from feedback.channels.mail.imap import SLICE, Envelope, NotGiven, Selected, Session, day
from feedback.channels.mail.parse import Mail, parse
from feedback.channels.mail.posts import (
    BIG,
    MAIL_LIMIT,
    Origin,
    Ours,
    kept_raw,
    own_digest,
    post_of,
    read_kept,
)

MAILS = 100  # of one batch
BYTES = 8_000_000  # of one batch, but for a single bigger mail
SECONDS = 40  # of one batch
TOGETHER = 1_000_000  # bytes of small mails that are fetched at once
ASKED = 200  # envelopes at once

log = logging.getLogger(__name__)


class Reading:
    """The posts of one batch."""

    def __init__(self, session: Session, ours: Ours, backfill: timedelta) -> None:
        self.session, self.ours, self.backfill = session, ours, backfill
        self.posts: list[Post] = []
        self.unreadable: list[Unreadable] = []
        self.count = self.size = self.waiting = 0
        self.ends_at = time.monotonic() + SECONDS

    @property
    def is_full(self) -> bool:
        """Whether this batch should be stored before more is read."""
        is_late = self.count > 0 and time.monotonic() > self.ends_at
        return self.count >= MAILS or self.size >= BYTES or is_late

    def mailbox(self, name: str, state: dict[str, Any], *, is_sent: bool) -> bool:
        """Read what is new in a mailbox and move its state along. Returns whether more is there.

        What goes wrong after some mails were read is no failure yet: they are stored, and the
        next batch meets it again.
        """
        if self.is_full:
            return True
        try:
            uids = self._new(self.session.select(name), state)
            for at in range(0, len(uids), ASKED):
                if self._chunk(name, uids[at : at + ASKED], state, is_sent):
                    self.waiting += len([uid for uid in uids if uid >= state["next"]])
                    return True
        except ChannelError:
            if not self.count:
                raise
            return True
        return False

    def _new(self, box: Selected, state: dict[str, Any]) -> list[int]:
        """UIDs still to be read; a mailbox met first, or numbered anew, from the backfill on."""
        since = state.get("since") or (datetime.now(UTC) - self.backfill).isoformat()
        if state.get("validity") != box.validity:
            state.clear()
            state |= {"validity": box.validity, "next": 1, "until": box.next, "since": since}
        first, until = int(state["next"]), int(state["until"])
        uids = self.session.uids(f"UID {max(first, until)}:*")
        found = {uid for uid in uids if uid >= max(first, until)}
        if first < until:
            begin = datetime.fromisoformat(since)
            # A day earlier: servers take the day from their own zone.
            earlier = day(begin - timedelta(days=1))
            found |= set(self.session.uids(f"UID {first}:{until - 1} SINCE {earlier}"))
        return sorted(uid for uid in found if uid >= first)

    def _chunk(self, name: str, uids: list[int], state: dict[str, Any], is_sent: bool) -> bool:
        """Read these mails in order. Returns whether the batch was full before their end."""
        envelopes = self.session.envelopes(uids)
        begin = datetime.fromisoformat(state["since"])
        wanted = [
            envelopes[uid]
            for uid in uids
            if uid in envelopes and not _is_old(envelopes[uid], begin, int(state["until"]))
        ]
        for envelope, raw in self._fetched(wanted):
            if self.is_full:
                state["next"] = envelope.uid
                return True
            origin = Origin(
                box=name,
                uid=envelope.uid,
                received=envelope.received,
                is_sent=is_sent,
                is_cut=envelope.size_bytes > MAIL_LIMIT,
                size_bytes=envelope.size_bytes,
            )
            self._take(envelope, origin, raw)
            state["next"] = envelope.uid + 1
        state["next"] = max(int(state["next"]), uids[-1] + 1)
        return False

    def _fetched(self, envelopes: list[Envelope]) -> Iterator[tuple[Envelope, bytes | None]]:
        """Each mail with its bytes, several small ones an answer; None for one to be sliced."""
        waiting = list(envelopes)
        while waiting:
            together: list[Envelope] = []
            size = 0
            for envelope in waiting:
                size += envelope.size_bytes
                if envelope.size_bytes >= SLICE or size > TOGETHER:
                    break
                together.append(envelope)
            if not together:
                yield waiting.pop(0), None
                continue
            waiting = waiting[len(together) :]
            yield from self._small(together)

    def _small(self, envelopes: list[Envelope]) -> Iterator[tuple[Envelope, bytes | None]]:
        try:
            found = self.session.whole([envelope.uid for envelope in envelopes])
        except NotGiven:  # one of them is at fault: each by itself
            found = {}
        for envelope in envelopes:
            yield envelope, found.get(envelope.uid)

    def _take(self, envelope: Envelope, origin: Origin, raw: bytes | None) -> None:
        """Keep one mail and read it; what cannot be read is set aside, and the rest goes on."""
        kept, head = "", raw or b""
        try:
            if raw is None:
                kept, head = self._keep_slices(envelope)
            else:
                kept = files.keep(raw, packed=True)
                self.size += len(raw)
            self.count += 1
            if not head:  # expunged meanwhile
                return
            self._read(kept, origin, raw)
        except (ChannelError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - one odd mail must not stop the mailbox
            log.warning("mail.unreadable", extra={"uid": envelope.uid, "error": repr(error)[:200]})
            self.unreadable.append(
                Unreadable(
                    external_id=f"{origin.box}:{kept or envelope.uid}"[:300],
                    raw=kept_raw(kept, origin, head),
                    error=_words(error),
                )
            )

    def _read(self, kept: str, origin: Origin, raw: bytes | None) -> None:
        if raw is not None and len(raw) <= BIG:
            mail = parse(raw, origin.received, lists=self.ours.lists)
        else:
            mail = read_kept(kept, origin, self.ours)
        if is_wanted(mail, origin, self.ours):
            self.posts.append(post_of(mail, kept, origin, self.ours))

    def _keep_slices(self, envelope: Envelope) -> tuple[str, bytes]:
        head = b""
        limit = envelope.size_bytes if envelope.size_bytes <= MAIL_LIMIT else BIG
        with files.Keeping(packed=True) as file:
            for piece in self.session.slices(envelope.uid, limit):
                head = head or piece[:8_000]
                file.write(piece)
                self.session.extend()
            self.size += file.size_bytes
            return (file.done() if head else ""), head


def is_wanted(mail: Mail, origin: Origin, ours: Ours) -> bool:
    """Whether a mail is more than a letter of ours to somebody who wrote nothing to us.

    Raises ValueError for a mail that says nothing.
    """
    if own_digest(mail, ours):
        return bool(mail.references)
    if origin.is_sent:  # what answers nothing is nobody's reply
        return bool(mail.references or mail.marks_of_ours) and not mail.automatic
    if not (mail.own or mail.subject or mail.attached):
        raise ValueError("It has no subject, no text and no files.")
    return True


def _is_old(envelope: Envelope, begin: datetime, until: int) -> bool:
    """Whether a mail was there before the first poll, and is older than we look back."""
    is_before = envelope.uid < until
    return is_before and envelope.received is not None and envelope.received < begin


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "Its parts are nested too deep to be read."
    if isinstance(error, NotGiven):
        return f"The server does not give it: {error}"
    return f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def kept_origin(raw: Mapping[str, Any]) -> Origin:
    """Where a mail that was set aside had lain. Raises ValueError."""
    told = str(raw.get("received") or "")
    return Origin(
        box=str(raw.get("box") or ""),
        uid=int(raw.get("uid") or 0),
        received=datetime.fromisoformat(told) if told else None,
        is_sent=bool(raw.get("is_sent")),
    )
