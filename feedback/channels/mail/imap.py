"""A bounded connection to a mailbox: time-outs, a deadline for all of it, no endless answers."""

import imaplib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Self

from imap_tools import BaseMailBox
from imap_tools.errors import ImapToolsError, MailboxFolderSelectError, MailboxLoginError

from feedback.channels.base import ChannelError, SourceStopped, TryLater
from feedback.channels.mail import oauth

TIMEOUT_SECONDS = 20  # of one answer
DEADLINE_SECONDS = 120  # of a whole poll
SLICE = 262_144
LITERAL_LIMIT = 4_000_000  # bytes that an answer may bring at once
STARTTLS_PORT = 143
_LATER = re.compile(
    r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA|THROTTLED)\]|too many", re.IGNORECASE
)
_UID = re.compile(rb"UID (\d+)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_RECEIVED = re.compile(rb'INTERNALDATE "([^"]+)"')
_SENT_NAMES = (
    "sent|sent items|sent messages|sent mail|gesendet|gesendete objekte|gesendete elemente|"
    "envoyés|messages envoyés|éléments envoyés|enviados|elementos enviados|inviata|posta inviata|"
    "verzonden|verzonden items|skickat|skickade objekt|sendt|wysłane|отправленные"
).split("|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where a mailbox is and how to get in; `token` is for XOAUTH2, in place of a password."""

    host: str
    port: int
    tls: bool
    user: str
    password: str = ""
    token: str = ""
    secret_name: str = ""


@dataclass(frozen=True, slots=True)
class Selected:
    """An opened mailbox: the age of its numbering, and the next number that it will give."""

    name: str
    validity: int
    next: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of a mail before it is fetched."""

    uid: int
    size_bytes: int
    received: datetime | None


class NotGiven(Exception):
    """The server does not give this one mail."""


class _Bounded(imaplib.IMAP4):
    """Its literals have an end, and its socket can be cut from outside."""

    def read(self, size: int) -> bytes:
        """As imaplib, but for no more than we asked for."""
        if size > LITERAL_LIMIT:
            raise self.abort(f"the server sends {size:,} bytes at once")
        return super().read(size)

    def cut(self) -> None:
        """End the connection under whoever waits on it."""
        with suppress(OSError, AttributeError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _Plain(_Bounded):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        self.sock = super()._create_socket(timeout)  # type: ignore[misc]
        _keep_alive(self.sock)
        return self.sock


class _Tls(_Bounded):
    """TLS from the first byte."""

    def __init__(self, host: str, port: int, timeout: float, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__(host, port, timeout)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        bare = super()._create_socket(timeout)  # type: ignore[misc]
        _keep_alive(bare)
        wrapped = self.context.wrap_socket(
            bare, server_hostname=self.host, do_handshake_on_connect=False
        )
        self.sock = wrapped
        wrapped.do_handshake()
        return wrapped


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class _MailBox(BaseMailBox):
    """imap_tools' folders, logins and IDLE over a bounded client."""

    def __init__(self, client: _Bounded) -> None:
        self._made = client
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return self._made


class Session:
    """One connection, logged in. Raises TryLater or SourceStopped, whatever goes wrong."""

    def __init__(self, login: Login, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self.login = login
        self._client: _Bounded | None = None
        self._ends_at = 0.0
        self._is_lost = False
        self.extend(deadline_seconds)
        with self.telling():
            self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def extend(self, seconds: float = DEADLINE_SECONDS) -> None:
        """What follows may take `seconds`; then the connection is cut."""
        self._ends_at = time.monotonic() + seconds
        self._watch(seconds)

    def _watch(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._cut_if_late)
        timer.daemon = True
        timer.start()
        if old := getattr(self, "_timer", None):
            old.cancel()
        self._timer = timer

    def _cut_if_late(self) -> None:
        if self._client and time.monotonic() >= self._ends_at - 0.1:
            self._client.cut()

    @property
    def is_lost(self) -> bool:
        """Whether the connection ended under us."""
        return self._is_lost

    def cut(self) -> None:
        """End the connection under whoever waits on it."""
        if self._client:
            self._client.cut()

    def idle(self, seconds: int) -> None:
        """Wait until the server tells of something, at most so long, then ask whether it is so."""
        with self.telling():
            self.box.idle.wait(timeout=seconds)
            self.box.client.noop()  # what it told in an earlier answer is not told again

    def close(self) -> None:
        """Say goodbye, if anybody listens."""
        self._timer.cancel()
        if self._client:
            with suppress(Exception):
                self._client.logout()

    def _connect(self) -> None:
        login = self.login
        context = ssl.create_default_context() if login.tls else None
        starts_later = context is not None and login.port == STARTTLS_PORT
        # Assigned by `__new__`, so that the deadline holds while the greeting is awaited.
        if context and not starts_later:
            client: _Bounded = _Tls.__new__(_Tls)
            self._client = client
            _Tls.__init__(client, login.host, login.port, TIMEOUT_SECONDS, context)  # type: ignore[arg-type]
        else:
            client = _Plain.__new__(_Plain)
            self._client = client
            _Plain.__init__(client, login.host, login.port, TIMEOUT_SECONDS)
        if starts_later:
            client.starttls(context)
        self.box = _MailBox(client)
        self._log_in()

    def _log_in(self) -> None:
        login = self.login
        try:
            if login.token:
                self.box.xoauth2(login.user, login.token, initial_folder=None)
            elif (login.user + login.password).isascii():
                self.box.login(login.user, login.password, initial_folder=None)
            else:
                self.box.login_utf8(login.user, login.password, initial_folder=None)
        except imaplib.IMAP4.abort:
            raise
        except (MailboxLoginError, imaplib.IMAP4.error) as error:
            said = _said(error)
            if _LATER.search(said):
                raise TryLater(f"{login.host} lets nobody in now: {said}") from error
            if oauth.forget(login.token):
                raise TryLater(f"{login.host} refuses our token: a new one is made.") from error
            raise SourceStopped(
                f"{login.host} refuses the login of {login.user}: {said} "
                f"Put {login.secret_name or 'the password'} right, then poll the source again."
            ) from error

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Whatever goes wrong with the connection, as one of our words."""
        where = f"{self.login.host}:{self.login.port}"
        try:
            yield
        except ChannelError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise TryLater(
                f"{where} shows a certificate that cannot be trusted: {error.verify_message}. "
                "Check the host's name; a certificate authority of your own goes into "
                "SSL_CERT_FILE."
            ) from error
        except ssl.SSLError as error:
            raise TryLater(
                f"{where} does not speak TLS as we do ({error.reason or 'cut off'}). "
                "Check port and tls of the source."
            ) from error
        except TimeoutError as error:
            self._is_lost = True
            raise TryLater(f"{where} does not answer.") from error
        except (OSError, imaplib.IMAP4.abort, EOFError, AttributeError) as error:
            self._is_lost = True
            reason = getattr(error, "strerror", None) or _said(error) or "it ended"
            raise TryLater(f"The connection to {where} was lost: {reason}") from error
        except (imaplib.IMAP4.error, ImapToolsError) as error:
            raise TryLater(f"{where} says: {_said(error)}") from error

    def select(self, name: str) -> Selected:
        """Open a mailbox for reading alone: no flag changes."""
        with self.telling():
            try:
                self.box.folder.set(name, readonly=True)
            except MailboxFolderSelectError as error:
                said = _said(error)
                if _LATER.search(said):
                    raise
                raise SourceStopped(
                    f'{self.login.host} has no mailbox "{name}": {said} Put its name right.'
                ) from error
            return Selected(name, self._number("UIDVALIDITY"), self._number("UIDNEXT"))

    def _number(self, name: str) -> int:
        told: Any = self.box.client.untagged_responses.get(name) or [b"0"]
        return int(told[-1]) if bytes(told[-1]).isdigit() else 0

    def uids(self, criteria: str) -> list[int]:
        """Numbers of the mails that match."""
        with self.telling():
            return sorted(int(uid) for uid in self.box.uids(criteria, charset=None))

    def envelopes(self, uids: Sequence[int]) -> dict[int, Envelope]:
        """Sizes and times of arrival; mails that are gone are left out."""
        with self.telling():
            asked = ",".join(map(str, uids))
            told = self._fetch(asked, "(UID RFC822.SIZE INTERNALDATE)")
        found = {}
        for row in told:
            line = row if isinstance(row, bytes) else b"".join(row)
            uid, size = _UID.search(line), _SIZE.search(line)
            if uid and size:
                number = int(uid[1])
                found[number] = Envelope(number, int(size[1]), _received(line))
        return found

    def whole(self, uids: Sequence[int]) -> dict[int, bytes]:
        """Small mails, several at once; those that did not come are left out."""
        with self.telling():
            told = self._fetch(",".join(map(str, uids)), f"(UID BODY.PEEK[]<0.{SLICE}>)")
        found = {}
        for row, after in zip(told, [*told[1:], b""], strict=True):
            if isinstance(row, tuple):
                rest = after if isinstance(after, bytes) else b""
                if uid := _UID.search(row[0]) or _UID.search(rest):
                    found[int(uid[1])] = row[1]
        return found

    def slices(self, uid: int, size_bytes: int) -> Iterator[bytes]:
        """One mail in pieces, at most `size_bytes` of it."""
        at = 0
        while at < size_bytes:
            with self.telling():
                told = self._fetch(str(uid), f"(UID BODY.PEEK[]<{at}.{SLICE}>)")
            piece = next((row[1] for row in told if isinstance(row, tuple)), b"")
            if not piece:
                return
            at += len(piece)
            yield piece

    def _fetch(self, uids: str, what: str) -> list[Any]:
        status, told = self.box.client.uid("FETCH", uids, what)
        if status != "OK":
            raise NotGiven(_said_of(told))
        return [row for row in told if row is not None]

    def sent_folder(self) -> str:
        """The mailbox for what was sent, by its mark or its name; "" if there is none."""
        with self.telling():
            folders = self.box.folder.list()
        for folder in folders:
            if "\\sent" in [flag.casefold() for flag in folder.flags]:
                return str(folder.name)
        for folder in folders:
            last = folder.name.rsplit(folder.delim or "/", 1)[-1]
            if last.casefold() in _SENT_NAMES and "\\Noselect" not in folder.flags:
                return str(folder.name)
        return ""

    def has(self, capability: str) -> bool:
        """Whether the server can do something."""
        return capability in self.box.client.capabilities

    def holds(self, headers: Mapping[str, str]) -> bool:
        """Whether the open mailbox has a mail with one of these headers."""
        return any(
            self.uids(f'HEADER {name} "{value}"') for name, value in headers.items() if value
        )


def day(instant: datetime) -> str:
    """A date as IMAP writes it, whatever the language of this machine."""
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    on: date = instant.astimezone(UTC).date()
    return f"{on.day:02d}-{months[on.month - 1]}-{on.year}"


def _received(line: bytes) -> datetime | None:
    found = _RECEIVED.search(line)
    if not found:
        return None
    try:
        return datetime.strptime(found[1].decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except ValueError:
        return None


def _said(error: BaseException) -> str:
    """What the server said, without what the libraries say around it."""
    text = str(error.args[0] if error.args else error)
    if found := re.search(r"Data: (.*)", str(error), re.DOTALL):
        text = found[1]
    return _line(text)


def _said_of(told: Sequence[Any]) -> str:
    return _line(" ".join(str(row) for row in told))


def _line(text: str) -> str:
    line = " ".join(re.sub(r"""\\[rn]|^\W*\[?b['"]|['"]\]?$""", " ", text).split())[:200]
    return line if line.endswith((".", "!", "?")) or not line else f"{line}."
