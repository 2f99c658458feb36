"""Bounded HTTP for all channels: a size cap, a deadline for the whole answer, no hidden retries.

What can go wrong is one of few words:

    HTTPFailure
    +-- Unreachable   no connection, or it was cut before the answer was whole
    +-- TooSlow       the whole answer took longer than its deadline
    +-- TooBig        the answer has more bytes than its cap
    +-- BadStatus     any status but 2xx, redirects included; `status`, `retry_after`
    +-- NotJSON       status 2xx with a body that is not what was asked for
"""

import json
import math
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpcore
import httpx

USER_AGENT = "feedback-triage/0.1"
CAP_BYTES = 5_000_000
DEADLINE = timedelta(seconds=20)  # of any whole answer; a caller may ask for less
LONGEST_WAIT = timedelta(days=1)


class HTTPFailure(Exception):
    """No usable answer came; the message is one line for a person."""


class Unreachable(HTTPFailure):
    """Nobody answered, or the connection was cut."""


class TooSlow(HTTPFailure):
    """The whole answer did not come before its deadline."""


class TooBig(HTTPFailure):
    """The answer is bigger than its cap."""


class NotJSON(HTTPFailure):
    """The answer's body is not JSON."""


class BadStatus(HTTPFailure):
    """The service answered, but no; `retry_after` is the pause that it asked for, if it did."""

    def __init__(self, message: str, status: int, retry_after: timedelta | None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def client(connections: int = 8, **options: Any) -> httpx.Client:
    """The one factory of clients: no redirects, no proxies from the environment, no retries."""
    transport = httpx.HTTPTransport(
        verify=_tls(),
        limits=httpx.Limits(max_connections=connections, keepalive_expiry=30),
        trust_env=False,
    )
    # httpx offers no way to pass a network backend, and its time-outs are per read: a service
    # that drips its headers would hold us for hours.
    transport._pool._network_backend = _DeadlineBackend()  # noqa: SLF001
    return httpx.Client(
        transport=transport,
        timeout=httpx.Timeout(15, connect=5, pool=60),
        follow_redirects=False,
        trust_env=False,
        headers={"accept-encoding": "identity", "user-agent": USER_AGENT},
        **options,
    )


def fetch(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    cap_bytes: int = CAP_BYTES,
    deadline: timedelta | None = None,
    **options: Any,
) -> Answer:
    """Send one request once and read its whole answer. Raises HTTPFailure, but for no status."""
    _clock.ends_at = time.monotonic() + min(deadline or DEADLINE, DEADLINE).total_seconds()
    try:
        with http.stream(method, url, **options) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise NotJSON(f"{_where(url)} sent a compressed answer, which was not asked for.")
            # Raw: a decoder would make 67 MB of 292 KB before any cap could see it.
            body = _read(response.iter_raw(), cap_bytes, url)
            return Answer(response.status_code, response.headers, body)
    except httpx.ConnectTimeout as error:
        raise Unreachable(f"{_where(url)} does not answer.") from error
    except httpx.TimeoutException as error:
        raise TooSlow(f"{_where(url)} answers too slowly.") from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        why = str(error).rstrip(".") or "cut off"
        raise Unreachable(f"{_where(url)} cannot be reached: {why}.") from error
    finally:
        _clock.ends_at = math.inf


def fetch_json(http: httpx.Client, url: str, **options: Any) -> Any:
    """GET a JSON value. Raises HTTPFailure for anything but a status of 2xx with JSON."""
    answer = fetch(http, "GET", url, **options)
    if not 200 <= answer.status < 300:
        raise BadStatus(
            f"{_where(url)} answers with status {answer.status}.",
            answer.status,
            retry_after(answer.headers),
        )
    try:
        return json.loads(answer.body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        what = "nothing" if not answer.body.strip() else "what is not JSON"
        raise NotJSON(f"{_where(url)} answers with {what}.") from error


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The pause that `Retry-After` asks for (seconds or a date), at most a day."""
    value = headers.get("retry-after", "").strip()
    try:
        pause = timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        try:
            until = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        pause = until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)
    return min(max(pause, timedelta()), LONGEST_WAIT)


@cache
def _tls() -> ssl.SSLContext:
    """Loading the certificates takes longer than a poll; `SSL_CERT_FILE` may name others."""
    return httpx.create_ssl_context()


def _read(chunks: Iterable[bytes], cap_bytes: int, url: str) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > cap_bytes:
            raise TooBig(f"{_where(url)} sends more than {cap_bytes:,} bytes.")
    return bytes(body)


def _where(url: str) -> str:
    """Host and path alone: a query may hold what must not be logged."""
    return url.split("?", 1)[0].split("://", 1)[-1][:200]


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class _Clock(threading.local):
    """When the request of this thread must be over; a pooled connection serves many threads."""

    ends_at: float = math.inf

    def left(self, timeout: float | None) -> float | None:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline")
        return timeout if math.isinf(left) else min(left, timeout or left)


_clock = _Clock()


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every read and write ends at the request's deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _clock.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(*args, **options))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore.SyncBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _DeadlineStream(super().connect_tcp(*args, **options))
