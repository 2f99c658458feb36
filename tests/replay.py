"""A loopback Hacker News: both services, over recorded or made-up items, with faults on demand.

As a server of its own: `python -m tests.replay [--shared DIR] [--thread COMMENTS]`.
"""

import argparse
import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

FARTHEST = 1000  # hits that Algolia's paging reaches
Fault = Callable[["Handler"], None]


class Replay:
    """The server; `items` are what Firebase tells, `hits` what Algolia searches.

    `hits = None`: there is no Algolia (404). `pages`: recorded bodies given to any search.
    `faults`: by path (without query), or "*" for every one. `requests`: paths asked for.
    """

    def __init__(self, items: Iterable[Mapping[str, Any]] = ()) -> None:
        self.items: dict[int, Any] = {item["id"]: dict(item) for item in items}
        self.hits: list[Any] | None = []
        self.pages: list[Any] = []
        self.faults: dict[str, Fault] = {}
        self.requests: list[str] = []
        self.top: list[int] = []  # ids on the front pages
        self.most_at_once = 0
        self._open = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.replay = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """The origin of both services."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def asked(self) -> list[str]:
        """The requests since the last call."""
        asked, self.requests = self.requests, []
        return asked

    def add_comment(self, parent: int, text: str = "More.", **fields: Any) -> dict[str, Any]:
        """A new comment, as the service shows it: a kid of its parent, counted by its story."""
        id_ = fields.pop("id", max(self.items) + 1)
        comment = {"by": "someone", "id": id_, "parent": parent, "text": text,
                   "time": int(time.time()), "type": "comment", **fields}  # fmt: skip
        self.items[id_] = comment
        self.items[parent].setdefault("kids", []).insert(0, id_)
        story = self.items[parent]
        while "parent" in story:
            story = self.items[story["parent"]]
        if "descendants" in story:
            story["descendants"] += 1
        return comment

    def enter(self, path: str) -> None:
        """Note a request that begins."""
        with self._lock:
            self.requests.append(path)
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)

    def leave(self) -> None:
        """Note a request that ended."""
        with self._lock:
            self._open -= 1

    def search(self, query: Mapping[str, list[str]]) -> Any:
        """What Algolia's `search_by_date` answers, newest first."""
        if self.pages:
            return self.pages[0]
        found = [hit for hit in self.hits or () if _matches(hit, query)]
        found.sort(key=lambda hit: -hit["created_at_i"])
        size, page = int(query["hitsPerPage"][0]), int(query.get("page", ["0"])[0])
        reached = found[:FARTHEST]
        return {"hits": reached[page * size : (page + 1) * size], "nbHits": len(found),
                "page": page, "nbPages": -(-len(reached) // size), "hitsPerPage": size}  # fmt: skip


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    replay: Replay

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""


class Handler(BaseHTTPRequestHandler):
    """One connection; answers go out in one piece."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536
    server: _Server

    def do_GET(self) -> None:
        replay, path = self.server.replay, urlsplit(self.path)
        replay.enter(self.path)
        try:
            fault = replay.faults.get(path.path) or replay.faults.get("*")
            if fault:
                fault(self)
            elif found := re.fullmatch(r"/v0/item/([0-9]+)\.json", path.path):
                self.answer(replay.items.get(int(found[1])))
            elif path.path == "/v0/topstories.json":
                self.answer(replay.top)
            elif path.path == "/api/v1/search_by_date" and (replay.hits is not None):
                self.answer(replay.search(parse_qs(path.query)))
            else:
                self.answer({"error": "Not Found"}, status=404)
        finally:
            replay.leave()

    def answer(self, body: Any, status: int = 200, **headers: str) -> None:
        """Send JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def send_raw(self, data: bytes) -> None:
        """Send bytes as the whole answer, and cut the connection."""
        self.close_connection = True
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Tests read `requests`."""


def answers(body: Any, status: int = 200, **headers: str) -> Fault:
    """A fault that answers this."""
    return lambda handler: handler.answer(body, status, **headers)


def cut(handler: Handler) -> None:
    """The connection ends in the middle of the body."""
    handler.send_raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"by": "some')


def hang_up(handler: Handler) -> None:
    """The connection ends before any answer."""
    handler.close_connection = True


def drip(handler: Handler, head: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n") -> None:
    """The answer comes a byte at a time, so that no time-out for one read ever fires."""
    handler.close_connection = True
    handler.wfile.write(head)
    stop = time.monotonic() + 10
    while time.monotonic() < stop:
        handler.wfile.write(b"1")
        handler.wfile.flush()
        threading.Event().wait(0.02)


def after(count: int, fault: Fault) -> Fault:
    """A fault that begins when the server has been asked `count` times."""

    def later(handler: Handler) -> None:
        replay = handler.server.replay
        if len(replay.requests) > count:
            fault(handler)
        else:
            found = re.search(r"([0-9]+)\.json", handler.path)
            handler.answer(replay.items.get(int(found[1])) if found else {"hits": []})

    return later


def recorded_items(folder: Path) -> list[dict[str, Any]]:
    """Every item of the recordings' `firebase` folder."""
    found: list[Any] = []
    for path in sorted(folder.glob("thread-*.json.gz")):
        thread = json.loads(gzip.decompress(path.read_bytes()))
        found += [thread["post"], *thread["comments"]]
    for path in sorted(folder.glob("raw-http/*.http")):
        found.append(json.loads(re.split(rb"\r?\n\r?\n", path.read_bytes(), maxsplit=1)[1]))
    for path in sorted(folder.glob("*.jsonl")):
        found += map(json.loads, filter(None, path.read_text().splitlines()))
    for path in [*sorted(folder.glob("*.json")), *sorted(folder.glob("httptest/item/*.json"))]:
        found.append(json.loads(path.read_text()))
    return [item for item in found if isinstance(item, dict) and "id" in item]


def recorded_pages(folder: Path) -> dict[str, Any]:
    """Bodies of searches of the recordings' `algolia` folder by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("search*.json"))}


def make_thread(
    comments: int = 12, *, story: int = 100, at: int | None = None, wide: int = 3
) -> list[dict[str, Any]]:
    """A thread of our own: comment n answers the one before it, every `wide`th the story."""
    start = int(time.time()) - 3600 if at is None else at
    items: dict[int, dict[str, Any]] = {
        story: {"by": "founder", "descendants": comments, "id": story, "score": 9, "time": start,
                "title": "Show HN: Generic Corp dashboard", "type": "story",
                "url": "https://dashboard.example/"}
    }  # fmt: skip
    for n in range(1, comments + 1):
        id_ = story + n
        parent = story if n % wide == 1 or wide == 1 else id_ - 1
        items[id_] = {"by": f"reader{n}", "id": id_, "parent": parent, "type": "comment",
                      "text": f"Comment {n}.<p>It&#x27;s fine.", "time": start + n}  # fmt: skip
        items[parent].setdefault("kids", []).append(id_)
    return list(items.values())


def make_hit(id_: int, text: str, at: int, *, story: int = 1, **fields: Any) -> dict[str, Any]:
    """A comment as a search shows it."""
    return {"objectID": str(id_), "comment_text": text, "created_at_i": at, "author": f"user{id_}",
            "story_id": story, "parent_id": story, "story_title": "A story",
            "_tags": ["comment", f"author_user{id_}", f"story_{story}"], **fields}  # fmt: skip


def _matches(hit: Any, query: Mapping[str, list[str]]) -> bool:
    keys = ("comment_text", "story_text", "title", "url", "story_title", "author")
    texts = " ".join(str(hit.get(key) or "") for key in keys)
    words = query.get("query", [""])[0].strip('"').casefold()
    tags = [re.sub("[()]", "", tag) for tag in _tag_groups(query.get("tags", [""])[0])]
    return (
        words in texts.casefold()
        and all(set(group.split(",")) & set(hit["_tags"]) for group in tags)
        and all(_holds(hit["created_at_i"], rule) for rule in _rules(query))
    )


def _tag_groups(tags: str) -> list[str]:
    """`(a,b),c` means (a or b) and c."""
    return re.findall(r"\([^)]*\)|[^,()]+", tags)


def _rules(query: Mapping[str, list[str]]) -> list[tuple[str, int]]:
    found = re.findall(r"created_at_i(>=|<=|<|>)(-?[0-9]+)", query.get("numericFilters", [""])[0])
    return [(sign, int(number)) for sign, number in found]


def _holds(value: int, rule: tuple[str, int]) -> bool:
    sign, number = rule
    return {">=": value >= number, "<=": value <= number, "<": value < number,
            ">": value > number}[sign]  # fmt: skip


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, help="folder with recordings/hackernews")
    parser.add_argument("--thread", type=int, default=100, help="comments of our own story 100")
    options = parser.parse_args()
    replay = Replay(make_thread(options.thread))
    if options.shared:
        folder = options.shared / "recordings/hackernews"
        replay.items |= {item["id"]: item for item in recorded_items(folder / "firebase")}
        pages = recorded_pages(folder / "algolia").values()
        replay.hits = [hit for page in pages for hit in page["hits"]]
    with replay:
        print(
            f"HACKERNEWS_FIREBASE_URL={replay.url}\nHACKERNEWS_ALGOLIA_URL={replay.url}", flush=True
        )
        threading.Event().wait()


if __name__ == "__main__":
    main()
