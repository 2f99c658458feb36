"""Handing a mail over, once: what was refused, what may be tried again, what nobody knows.

Until the mail itself is sent nothing can have arrived. A connection that is lost after it, before
the server's word, leaves it unknown: that is asked about, never repeated.
"""

import smtplib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from feedback.channels.base import Later, Refused, Unsure
from feedback.channels.mail.imap import TIMEOUT_SECONDS
from feedback.credentials import credential

DEADLINE_SECONDS = 75
NOT_SET = "EMAIL_URL is not set, so replies cannot be sent."
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class NotSet(Exception):
    """There is no outgoing server."""


class _NotSecure(Exception):
    """The server does not offer TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The outgoing server, as EMAIL_URL names it."""

    host: str
    port: int
    is_tls: bool
    user: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From whom, to whom; `copy_to` is our own mailbox, where the mail is found again."""

    sender: str
    recipient: str
    copy_to: str = ""


def server() -> Server:
    """The server that is set. Raises NotSet."""
    url = credential("EMAIL_URL")
    if not url:
        raise NotSet
    parts = urlsplit(url)
    is_tls = parts.scheme == "smtps"
    return Server(
        host=parts.hostname or "localhost",
        port=parts.port or (465 if is_tls else 587),
        is_tls=is_tls,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def send(
    to: Server, content: bytes, way: Way, begins: Callable[[], bool]
) -> Later | Refused | Unsure | None:
    """Hand a mail over once; None if the server took it.

    `begins` is asked before the mail itself is sent: nothing has gone out until then.
    """
    is_given = False
    try:
        with _connected(to) as line:
            if refused := _envelope(line, way):
                return refused
            if not begins():
                return Later("Somebody else delivers this mail.")
            line.putcmd("data")
            code, said = line.getreply()
            if code != 354:
                return _refused(code, said)
            is_given = True
            line.send(_dotted(content))
            code, said = line.getreply()
            return None if code == 250 else _refused(code, said)
    except smtplib.SMTPAuthenticationError as error:
        return _login_refused(error, to)
    except _NotSecure as error:
        return Refused(str(error))
    except (OSError, smtplib.SMTPException) as error:
        if is_given:
            return Unsure(f"The connection to {to.host} was lost while the mail was handed over.")
        return Later(f"{to.host}:{to.port} cannot be reached: {_line(error)}")


def check() -> str:
    """What keeps mails from going out, or "" if nothing does."""
    try:
        to = server()
        with _connected(to) as line:
            line.noop()
    except NotSet:
        return NOT_SET
    except smtplib.SMTPAuthenticationError as error:
        return f"{to.host} refuses the login of EMAIL_URL: {_text(error.smtp_error)}"
    except _NotSecure as error:
        return str(error)
    except (OSError, smtplib.SMTPException) as error:
        return f"{to.host}:{to.port}, of EMAIL_URL, cannot be reached: {_line(error)}"
    return ""


@contextmanager
def _connected(to: Server) -> Iterator[smtplib.SMTP]:
    """A connection, logged in, that is cut after DEADLINE_SECONDS whatever it does."""
    context = ssl.create_default_context()
    line = (
        smtplib.SMTP_SSL(timeout=TIMEOUT_SECONDS, context=context)
        if to.is_tls
        else smtplib.SMTP(timeout=TIMEOUT_SECONDS)
    )
    timer = threading.Timer(DEADLINE_SECONDS, line.close)
    timer.daemon = True
    timer.start()
    try:
        line._host = to.host  # type: ignore[attr-defined]  # noqa: SLF001 - the name for TLS
        line.connect(to.host, to.port)
        line.ehlo_or_helo_if_needed()
        if not to.is_tls:
            if line.has_extn("starttls"):
                line.starttls(context=context)
                line.ehlo()
            elif to.host not in LOOPBACK:
                raise _NotSecure(
                    f"{to.host} offers no TLS on port {to.port}. Write smtps:// in EMAIL_URL, or "
                    "name a port that has STARTTLS."
                )
        if to.user:
            line.login(to.user, to.password)
        yield line
        with suppress(OSError, smtplib.SMTPException):
            line.quit()
    finally:
        timer.cancel()
        line.close()


def _envelope(line: smtplib.SMTP, way: Way) -> Later | Refused | None:
    """Who sends and who receives; the author first, for without them there is no mail.

    That our own copy is refused is no harm.
    """
    options = []
    if not (way.sender + way.recipient).isascii():
        if not line.has_extn("smtputf8"):
            return Refused(f"The outgoing server cannot write to {way.recipient}.")
        options = ["SMTPUTF8"]
    code, said = line.mail(way.sender, options)
    if code != 250:
        return _refused(code, said)
    code, said = line.rcpt(way.recipient)
    if code not in (250, 251, 252):
        return _refused(code, said)
    if way.copy_to and way.copy_to != way.recipient:
        line.rcpt(way.copy_to)
    return None


def _dotted(content: bytes) -> bytes:
    """A mail as SMTP wants it: CRLF, lines that begin with a dot with one more, and its end."""
    text = b"\r\n".join(content.splitlines())
    return (
        b"\r\n".join(b"." + row if row.startswith(b".") else row for row in text.split(b"\r\n"))
        + b"\r\n.\r\n"
    )


def _refused(code: int, said: bytes) -> Later | Refused:
    if 400 <= code < 500 or code == -1:
        wait = timedelta(minutes=5) if code in (421, 450, 451, 452) else None
        return Later(f"The outgoing server asks for patience: {code} {_text(said)}", wait)
    return Refused(f"The outgoing server refuses it: {code} {_text(said)} {_hint(said)}")


def _hint(said: bytes) -> str:
    """What a person can do about a refusal."""
    text = said.decode("utf-8", "replace").casefold()
    if "5.1." in text or "user unknown" in text or "no such user" in text or "mailbox" in text:
        return "The address does not exist there: ask the author another way, or take it back."
    if "5.7." in text or "spf" in text or "relay" in text or "sender" in text:
        return "The server may not send for this address: see EMAIL_URL and address of the source."
    if "5.3.4" in text or "size" in text:
        return "The mail is too big: shorten it."
    return "Put right what it says, then try again, or take it back."


def _login_refused(error: smtplib.SMTPAuthenticationError, to: Server) -> Later | Refused:
    said = _text(error.smtp_error)
    if 400 <= error.smtp_code < 500:
        return Later(f"{to.host} lets nobody in now: {said}")
    return Refused(f"{to.host} refuses the login: {said} Put EMAIL_URL right, then try again.")


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:300]


def _line(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error or "cut off").split())[:200]
