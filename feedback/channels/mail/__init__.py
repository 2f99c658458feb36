"""Email: mailboxes read by IMAP, answered by SMTP, the folder of sent mail read too."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from feedback.channels.base import (
    Batch,
    ByHand,
    ChannelError,
    Health,
    Later,
    Post,
    Refused,
    Reply,
    Sent,
    TryLater,
    Unknown,
    Unsure,
)
from feedback.channels.mail import out, smtp
from feedback.channels.mail.config import Config
from feedback.channels.mail.imap import Session
from feedback.channels.mail.posts import Ours, post_of, read_kept
from feedback.channels.mail.reading import Reading, is_wanted, kept_origin

LOOKED_FOR = timedelta(minutes=15)  # a copy may take its time; then a person is asked

log = logging.getLogger(__name__)


class Email:
    """One source: `host`, `user`, `mailbox` (one or several), and how to log in."""

    can_reply: ClassVar[bool] = True

    def __init__(self, config: Mapping[str, Any], *, team: frozenset[str] = frozenset()) -> None:
        self._config = Config.of(config, team)
        self._session: Session | None = None

    @property
    def _ours(self) -> Ours:
        return self._config.ours()

    def poll(self, cursor: Mapping[str, Any]) -> Batch:
        """Read the mailboxes on from their UIDs, the folder of sent mail last."""
        states = _states(cursor)
        try:
            session = self._open()
            reading = Reading(session, self._ours, self._config.backfill)
            more = False
            for name, is_sent in self._mailboxes(session):
                state = states.setdefault(name, {})
                more |= reading.mailbox(name, state, is_sent=is_sent)
        except Exception:
            self._close()
            raise
        if not more or session.is_lost:
            self._close()
        return Batch(
            posts=tuple(reading.posts),
            unreadable=tuple(reading.unreadable),
            cursor={"mailboxes": states},
            account=self._config.address,
            more=more,
            meter={"mails waiting": reading.waiting} if reading.waiting else {},
        )

    def _mailboxes(self, session: Session) -> list[tuple[str, bool]]:
        found = [(name, False) for name in self._config.mailboxes]
        if self._config.reads_sent and (sent := self._config.sent or session.sent_folder()):
            found.append((sent, True))
        return found

    def _open(self) -> Session:
        """The connection of the batch before, or a new one."""
        if self._session is None:
            self._session = Session(self._config.login())
        else:
            self._session.extend()
        return self._session

    def _close(self) -> None:
        if self._session:
            self._session.close()
        self._session = None

    def parse(self, raw: Any) -> Post:
        """Read a kept mail again. Raises ValueError."""
        if not isinstance(raw, Mapping) or not raw.get("mail"):
            raise ValueError("this mail was not kept, so it cannot be read again")
        origin, kept = kept_origin(raw), str(raw["mail"])
        mail = read_kept(kept, origin, self._ours)
        is_wanted(mail, origin, self._ours)
        return post_of(mail, kept, origin, self._ours)

    def refresh(self, external_ids: Sequence[str]) -> list[Post]:
        """A mail stays as it was sent."""
        del external_ids
        return []

    def check(self) -> Health:
        """Log in, open every mailbox, and greet the outgoing server."""
        try:
            with Session(self._config.login()) as session:
                boxes = self._mailboxes(session)
                for name, _ in boxes:
                    session.select(name)
                wakes = session.has("IDLE")
        except ChannelError as error:
            return Health(ok=False, message=str(error))
        said = [f"Reads {', '.join(name for name, _ in boxes)}."]
        if self._config.reads_sent and not any(is_sent for _, is_sent in boxes):
            said.append("No folder of sent mail was found: name it with sent = “…”.")
        if not wakes:
            said.append("The server cannot wake us (no IDLE): mails come with the next poll.")
        wrong = smtp.check()
        said.append(wrong or "Replies go out.")
        return Health(ok=not wrong or wrong == smtp.NOT_SET, message=" ".join(said))

    def reply_id(self, reply: Reply) -> str:
        """The id that a reply has, known before it is sent."""
        return out.message_id(reply.key, self._config.domain)

    def reply(self, reply: Reply) -> Sent | Later | ByHand | Refused | Unsure:
        """Send once."""
        return self.send(reply, lambda: True)

    def send(
        self, reply: Reply, begins: Callable[[], bool]
    ) -> Sent | Later | ByHand | Refused | Unsure:
        """Send once; `begins` is called when the mail itself is handed over, and may forbid it."""
        config = self._config
        try:
            server = smtp.server()
            letter = out.letter(reply, config)
        except smtp.NotSet:
            return ByHand(f"{smtp.NOT_SET} Until then answer from a mail program.")
        except ValueError as error:
            return Refused(str(error))
        copy_to = config.address if config.copies else ""
        way = smtp.Way(sender=config.address, recipient=letter.recipient, copy_to=copy_to)
        outcome = smtp.send(server, letter.content, way, begins)
        return Sent(self.reply_id(reply)) if outcome is None else outcome

    def find(self, reply: Reply) -> Sent | Unknown:
        """Ask the mailboxes for the reply's id; that it is not there proves nothing."""
        id_ = self.reply_id(reply)
        with Session(self._config.login()) as session:
            for name, _ in self._mailboxes(session):
                session.select(name)
                if session.holds({"Message-ID": id_, out.MARK_HEADER: out.digest(reply.key)}):
                    return Sent(id_)
        if reply.decided_at and datetime.now(UTC) - reply.decided_at < LOOKED_FOR:
            raise TryLater("Neither the folder of sent mail nor the inbox has it yet.")
        return Unknown(
            "The connection ended while this mail was handed over, and no mailbox of ours has a "
            "copy. Look into the folder of sent mail, or ask the author."
        )


def _states(cursor: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    kept = cursor.get("mailboxes")
    return {k: dict(v) for k, v in kept.items()} if isinstance(kept, Mapping) else {}
