"""Bounded HTTP for the libraries that bring `requests`: praw and tweepy.

The counterpart of `feedback.http`: a size cap, a deadline for the whole answer, no retries, no
redirects, no proxies from the environment; and every host can be made a server on loopback.
"""

import socket
import threading
import time
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from feedback import http
from feedback.http import CAP_BYTES, USER_AGENT

CHUNK = 65_536
TIMEOUT = (5, 15)  # seconds to connect, and between two reads


class TooBigAnswer(requests.RequestException):
    """The answer has more bytes than its cap."""


class BoundedAdapter(HTTPAdapter):
    """Sends once, reads the whole answer within its cap and deadline."""

    def __init__(self, base: str = "") -> None:
        """`base`: the origin to which every request goes, whatever host it names."""
        self._base = base.rstrip("/")
        super().__init__(max_retries=0)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def send(self, request: Any, stream: bool = False, **options: Any) -> requests.Response:  # type: ignore[override]
        """One request; raises what `requests` raises."""
        if self._base:
            parts = urlsplit(request.url)
            request.url = self._base + parts.path + (f"?{parts.query}" if parts.query else "")
        request.headers["Accept-Encoding"] = "identity"
        with _Deadline(http.DEADLINE.total_seconds()) as deadline:
            try:
                response = super().send(request, **(options | {"stream": True, "timeout": TIMEOUT}))
                body = _read(response, deadline)
                if deadline.is_over:  # a cut connection looks like an end
                    raise requests.ReadTimeout("the answer took too long")
            except TooBigAnswer:
                raise
            except Exception as error:
                if deadline.is_over:
                    raise requests.ReadTimeout("the answer took too long") from error
                if isinstance(error, requests.RequestException):
                    raise
                raise requests.ConnectionError(error) from error  # urllib3's own
        response._content = body  # noqa: SLF001 - there is no other way to hand over what was read
        response._content_consumed = True  # noqa: SLF001
        return response


def session(base: str = "") -> requests.Session:
    """A bounded session; with `base` it reaches that origin alone, whatever host is asked for."""
    made = requests.Session()
    made.trust_env = False
    made.max_redirects = 0
    made.headers["User-Agent"] = USER_AGENT
    for scheme in ("https://", "http://"):
        made.mount(scheme, BoundedAdapter(base))
    return made


def reason(error: Exception) -> str:
    """Why no answer came, in a few words for a person."""
    match error:
        case requests.exceptions.SSLError():
            return "its certificate cannot be trusted"
        case requests.ConnectTimeout():
            return "it does not answer"
        case requests.Timeout():
            return "it answers too slowly"
        case TooBigAnswer():
            return f"its answer has more than {CAP_BYTES:,} bytes"
        case requests.TooManyRedirects():
            return "it redirects"
        case requests.ConnectionError():
            return "the connection was refused or cut"
    return type(error).__name__


class _Deadline:
    """Cuts the connection of this thread's request when its time is over.

    Time-outs are per read: a server that drips its headers would hold the worker for hours.
    """

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self.connection: Any = None

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._ends_at

    def __enter__(self) -> Self:
        _here.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _here.deadline = None

    def _cut(self) -> None:
        sock = getattr(self.connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Here(threading.local):
    deadline: _Deadline | None = None


_here = _Here()


class _Connection(HTTPConnection):
    def request(self, *args: Any, **options: Any) -> None:
        if _here.deadline:
            _here.deadline.connection = self
        super().request(*args, **options)


class _TLSConnection(HTTPSConnection):
    def request(self, *args: Any, **options: Any) -> None:
        if _here.deadline:
            _here.deadline.connection = self
        super().request(*args, **options)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def _read(response: requests.Response, deadline: _Deadline) -> bytes:
    body = bytearray()
    try:
        # read1: a read of a fixed size waits until so much is there.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            body += chunk
            if len(body) > CAP_BYTES:
                raise TooBigAnswer(f"more than {CAP_BYTES:,} bytes")
            if deadline.is_over:
                raise requests.ReadTimeout("the answer took too long")
    except Exception:
        response.close()
        raise
    return bytes(body)
