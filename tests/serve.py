"""A loopback server for tests: routes by path, faults on demand, and what was asked."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


class Request:
    """What was asked; `form` has the fields of a body, `query` those of the address."""

    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        parts = urlsplit(target)
        self.method, self.path, self.headers, self.body = method, parts.path, headers, body
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.form = {
            name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()
        }

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer:
    """What to answer: a value as JSON, or bytes as they are."""

    def __init__(self, value: Any = None, status: int = 200, **headers: str) -> None:
        is_raw = isinstance(value, bytes)
        self.body: bytes = value if is_raw else json.dumps(value).encode()
        self.status = status
        self.headers = {"content-type": "text/html" if is_raw else "application/json"}
        self.headers |= {name.replace("_", "-"): str(text) for name, text in headers.items()}


Route = Callable[[Request], Answer]


class Served:
    """The server; `route` answers, `fault` goes before it while it is set."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.fault: Callable[[Handler], bool | None] | None = None
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.served = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        served: Served = self.server.served  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.request_seen = Request(self.command, self.path, self.headers, body)
        served.requests.append(self.request_seen)
        if served.fault and served.fault(self) is not False:
            return
        self.answer(served.route(self.request_seen))

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle  # noqa: N815 - their names

    def answer(self, answer: Answer) -> None:
        """Send a whole answer."""
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(answer.body)))
        if self.close_connection:  # asked for by the client
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def says(value: Any = b"", status: int = 200, **headers: str) -> Callable[[Handler], None]:
    """A fault: this answer, whatever was asked."""
    return lambda handler: handler.answer(Answer(value, status, **headers))


def hangs(handler: Handler) -> None:
    """A fault: no answer for two seconds, then a cut."""
    time.sleep(2)
    handler.close_connection = True


def cuts(handler: Handler) -> None:
    """A fault: the connection ends in the middle of an answer."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.close_connection = True


def after_taking(handler: Handler) -> None:
    """A fault: the request takes effect, its answer is lost."""
    served: Served = handler.server.served  # type: ignore[attr-defined]
    served.route(handler.request_seen)
    handler.close_connection = True


FAULTS = {
    "rate limit": says({"error": "slow down"}, 429, retry_after="7"),
    "server error": says(b"", 500),
    "bad gateway": says(b"<html>Bad gateway</html>", 502),
    "empty": says(b""),
    "half a JSON": says(b'{"data": ['),
    "a list": says(b"[1]"),
    "too big": says(b"[" + b"1," * 5_200_000),
    "a cut": cuts,
    "a redirect": says(b"", 302, location="/elsewhere"),
}
