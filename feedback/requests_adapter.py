"""Bounded HTTP for the libraries that bring `requests`: praw and tweepy.

The counterpart of `feedback.http`: a size cap, a deadline for the whole answer, no retries, no
redirects, no proxies from the environment; and every host can be made a server on loopback.
"""

import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from feedback.http import CAP_BYTES, DEADLINE, USER_AGENT

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

    def send(self, request: Any, stream: bool = False, **options: Any) -> requests.Response:  # type: ignore[override]
        """One request; raises what `requests` raises."""
        if self._base:
            parts = urlsplit(request.url)
            request.url = self._base + parts.path + (f"?{parts.query}" if parts.query else "")
        request.headers["Accept-Encoding"] = "identity"
        ends_at = time.monotonic() + DEADLINE.total_seconds()
        response = super().send(request, **(options | {"stream": True, "timeout": TIMEOUT}))
        try:
            body = _read(response, ends_at)
        except requests.RequestException:
            response.close()
            raise
        except Exception as error:  # urllib3's own
            response.close()
            raise requests.ConnectionError(error) from error
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


def _read(response: requests.Response, ends_at: float) -> bytes:
    body = bytearray()
    # read1: a read of a fixed size waits until so much is there, and no deadline fires.
    while chunk := response.raw.read1(CHUNK, decode_content=True):
        body += chunk
        if len(body) > CAP_BYTES:
            raise TooBigAnswer(f"more than {CAP_BYTES:,} bytes")
        if time.monotonic() > ends_at:
            raise requests.ReadTimeout("the answer took too long")
    return bytes(body)
