"""A back-fill of 100,000 comments keeps to a bounded memory, on Hacker News and on Reddit."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

COMMENTS = 100_000
BOUND_MB = 120  # above what the process has before its first poll
BRANCH = 10

# In a process of its own: what the server and pytest hold is not counted.
READER = """
import json, sys, os, time
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "feedback.settings"
django.setup()
from feedback.channels import make_channel
def peak_kb():
    # Not ru_maxrss: a process inherits that of the one that started it.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
channel = make_channel(sys.argv[1], json.loads(sys.argv[2]), frozenset())
before = peak_kb()
cursor, posts, polls, widest, began = {}, 0, 0, 0, time.time()
seen = bytearray(int(sys.argv[3]) + 1)
while True:
    batch = channel.poll(cursor)
    if batch.failure:
        raise batch.failure
    for post in batch.posts:
        number = int(post.url.rsplit("=", 1)[1])
        posts += not seen[number]
        seen[number] = 1
    written = json.dumps(dict(batch.cursor))
    widest, cursor, polls = max(widest, len(written)), json.loads(written), polls + 1
    if not batch.more:
        break
after = peak_kb()
print(json.dumps({"posts": posts, "polls": polls, "grown_mb": (after - before) / 1024,
                  "cursor_kb": widest / 1000, "seconds": time.time() - began}))
"""


class Forest(ThreadingHTTPServer):
    """A story with 100,000 comments, each made when it is asked for."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no error here."""


def kids(number: int) -> list[int]:
    """Comment n answers comment n // BRANCH; 0 is the story."""
    first = number * BRANCH + (number == 0)
    return list(range(first, min(number * BRANCH + BRANCH, COMMENTS + 1)))


class HackerNews(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536

    def do_GET(self) -> None:
        number = int(self.path.rsplit("/", 1)[1].removesuffix(".json")) - 1000
        item: dict[str, Any] = {
            "id": 1000 + number,
            "by": f"user{number % 999}",
            "time": NOW,
            "type": "comment",
            "text": "It does not load. " * 20,
            "parent": 1000 + number // BRANCH,
            "kids": [1000 + kid for kid in kids(number)],
        }
        if number == 0:
            del item["parent"]
            item |= {"type": "story", "title": "Ours", "descendants": COMMENTS}
        answer(self, item)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Reddit(BaseHTTPRequestHandler):
    """All comments stand behind `more` objects, a thousand ids in each answer."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        answer(self, {"access_token": "t", "expires_in": 86_400, "scope": "*"})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if "morechildren" in parts.path:
            asked = parse_qs(parts.query)["children"][0].split(",")
            things = [comment(int(one, 36)) for one in asked]
            return answer(self, {"json": {"errors": [], "data": {"things": things}}})
        head = {"kind": "t3", "data": {"name": "t3_z", "title": "Ours", "selftext": "x",
                "created_utc": NOW, "num_comments": COMMENTS, "context": "/x?n=0"}}  # fmt: skip
        ids = [base36(number) for number in range(1, COMMENTS + 1)]
        more = {"kind": "more", "data": {"children": ids, "count": COMMENTS, "id": "m"}}
        return answer(self, [listing(head), listing(more)])

    def log_message(self, *_: object) -> None:
        """Quiet."""


def comment(number: int) -> dict[str, Any]:
    data = {"name": f"t1_{base36(number)}", "id": base36(number), "author": f"u{number % 999}",
            "body": "It does not load. " * 20, "created_utc": NOW, "parent_id": "t3_z",
            "link_id": "t3_z", "context": f"/x?n={number}"}  # fmt: skip
    return {"kind": "t1", "data": data}


def listing(thing: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"children": [thing], "after": None}}


def base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def answer(handler: BaseHTTPRequestHandler, value: Any) -> None:
    body = json.dumps(value).encode()
    handler.send_response(200)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


NOW = int(time.time()) - 600
PLACES: dict[str, tuple[type[BaseHTTPRequestHandler], dict[str, Any]]] = {
    "hackernews": (HackerNews, {"stories": [1000]}),
    "reddit": (Reddit, {"submissions": ["zz"]}),
}


@pytest.mark.parametrize("channel", PLACES)
def test_a_back_fill_keeps_to_its_memory(tmp_path: Path, channel: str) -> None:
    handler, config = PLACES[channel]
    with Forest(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        names = ("HACKERNEWS_FIREBASE_URL", "HACKERNEWS_ALGOLIA_URL", "REDDIT_URL")
        env = {
            **os.environ,
            **dict.fromkeys((*names, "REDDIT_OAUTH_URL"), url),
            "REDDIT_CLIENT_ID": "i",
            "DATA_DIR": str(tmp_path),
        }
        last = 1000 + COMMENTS
        words = [sys.executable, "-c", READER, channel, json.dumps(config), str(last)]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(
        f"\n{channel}: {found['posts']:,} posts in {found['polls']} polls,"
        f" {found['seconds']:.0f} s;"
        f" memory grew by {found['grown_mb']:.0f} MB (bound: {BOUND_MB}),"
        f" the widest cursor has {found['cursor_kb']:.0f} kB"
    )
    assert found["posts"] == COMMENTS + 1
    assert found["grown_mb"] < BOUND_MB
