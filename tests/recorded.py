"""Loopback services that answer with what was recorded, as far as a source reads them.

Each says what must come of it (`expected`: the services' own ids), counted from the recordings
by its own rule. Reddit's listings are moved in time, so that they are not older than a back-fill.
"""

import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import replay as hn
from tests.serve import Answer, Handler, Request, Served

MARKERS = ("[deleted]", "[removed]")
STORY = 41129813
SUBMISSION = "3hahrw"


def opened(path: Path) -> str:
    """A recording's text, packed or not."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode()
    return path.read_text(encoding="utf-8")


class Recorded(Served):
    """A service whose answers may be cut at random points."""

    def __init__(self, route: Callable[[Request], Answer]) -> None:
        super().__init__(route)
        self.expected: set[str] = set()

    def cut_at_random(self, share: float, seed: int) -> None:
        """End connections before an answer, or in the middle of it."""
        rng = random.Random(seed)

        def cut(handler: Handler) -> bool | None:
            if rng.random() > share:
                return False
            handler.close_connection = True
            body = self.route(handler.request_seen).body
            if rng.random() < 0.5:
                head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
                handler.wfile.write(head.encode() + body[: rng.randrange(len(body) or 1)])
            return None

        self.fault = cut


def hackernews(folder: Path) -> hn.Replay:
    """The recorded thread; no Algolia."""
    items = hn.recorded_items(folder / "firebase")
    server = hn.Replay(items)
    server.hits = None
    mine = [i for i in items if STORY in (i["id"], i.get("parent"))]
    server.expected = {  # type: ignore[attr-defined]
        str(i["id"]) for i in mine if not i.get("dead") and not i.get("deleted")
    }
    return server


def cut_replay(server: hn.Replay, share: float, seed: int) -> None:
    """The same for Hacker News, whose server has a door of its own."""
    rng = random.Random(seed)

    def cut(handler: Any) -> None:
        if rng.random() < share:
            (hn.cut if rng.random() < 0.5 else hn.hang_up)(handler)
            return
        name = handler.path.rsplit("/", 1)[1].removesuffix(".json")
        handler.answer(server.items.get(int(name)) if name.isdecimal() else [])

    server.faults["*"] = cut


def twitter(folder: Path) -> Recorded:
    """Two recorded pages of a search, one after the other, and nothing after them."""
    names = ("brexit.jsonl.gz", "noflat.jsonl.gz")
    pages = [json.loads(opened(folder / "twarc-csv" / name)) for name in names]
    pages[0]["meta"]["next_token"] = "second"
    del pages[1]["meta"]["next_token"]

    def route(request: Request) -> Answer:
        if "since_id" in request.query:
            return Answer({"meta": {"result_count": 0}})
        return Answer(pages[request.query.get("next_token") == "second"])

    server = Recorded(route)
    for page in pages:
        for row in page["data"]:
            kinds = [one["type"] for one in row.get("referenced_tweets", [])]
            if "retweeted" not in kinds:
                server.expected.add((row.get("edit_history_tweet_ids") or [row["id"]])[0])
    return server


def reddit(folder: Path) -> Recorded:
    """A subreddit's newest posts and comments, an inbox, and a submission's tree."""
    said = {
        "r/askreddit/new": _bodies(folder, "TestSubredditListings.test_new")[0],
        "r/askreddit/comments": _bodies(folder, "TestSubredditListings.test_comments")[0],
        "message/inbox": _bodies(folder, "TestInbox.test_all")[0],
    }
    for listing in said.values():
        _move(listing)
        listing["data"]["after"] = None
    tree, more = _bodies(folder, "TestCommentForest.test_replace__skip_at_limit")
    asked: list[str] = []

    def route(request: Request) -> Answer:
        path = request.path.strip("/")
        if path == "api/v1/access_token":
            return Answer({"access_token": "t", "expires_in": 3600, "scope": "*"})
        if path == f"comments/{SUBMISSION}":
            nothing = {"kind": "Listing", "data": {"children": []}}
            return Answer([tree[0], nothing] if "comment" in request.query else tree)
        if path == "api/morechildren":
            first = not asked or asked[0] == request.query["children"]
            asked.append(request.query["children"])
            return Answer(more if first else {"json": {"errors": [], "data": {"things": []}}})
        return Answer(said[path]) if path in said else Answer({"error": 404}, 404)

    server = Recorded(route)
    oldest = time.time() - 30 * 86_400
    for listing in said.values():
        rows = [row["data"] for row in listing["data"]["children"]]
        server.expected |= {d["name"] for d in rows if _speaks(d) and d["created_utc"] > oldest}
    server.expected |= {d["name"] for d in _things([tree, more]) if _speaks(d)}
    return server


def github(folder: Path) -> Recorded:
    """A repository's issues and the comments of one; discussions are another test's."""
    issues = _eleven(folder / "Repository.testGetIssues.txt")
    issue = _eleven(folder / "Issue.setUp.txt", 1)
    comments = _eleven(folder / "Issue.testGetComments.txt")
    for row in comments:  # those of 2012 do not yet name their issue
        row["issue_url"] = "https://api.github.com/repos/PyGithub/PyGithub/issues/28"
    answers = {"issues": issues, "comments": comments}

    def route(request: Request) -> Answer:
        path = request.path.rsplit("/", 1)[1]
        if path == "PyGithub":
            return Answer({"id": 3544490, "full_name": "PyGithub/PyGithub"})
        if path == "28":
            return Answer(issue)
        if path == "user":
            return Answer({"login": "corp-bot"})
        begin = request.query["since"]
        rows = [row for row in answers[path] if row["updated_at"] >= begin or begin > "2020"]
        return Answer(sorted(rows, key=lambda row: row["updated_at"]))

    server = Recorded(route)
    numbers = [
        row["number"] for row in issues if not (row.get("pull_request") or {}).get("diff_url")
    ]
    server.expected = {f"R3544490#{number}" for number in numbers}
    server.expected |= {f"R3544490#28/c{row['id']}" for row in comments}
    return server


def _bodies(folder: Path, name: str) -> list[Any]:
    """The JSON bodies of a cassette, but for the token."""
    path = next(folder.glob(f"praw/{name}.json*"))
    found = [
        json.loads(one["response"]["body"]["string"])
        for one in json.loads(opened(path))["interactions"]
    ]
    return [body for body in found if "access_token" not in body]


def _move(listing: Any) -> None:
    rows = [row["data"] for row in listing["data"]["children"]]
    later = time.time() - 3600 - max(row["created_utc"] for row in rows)
    for row in rows:
        row["created_utc"] += later


def _speaks(data: Any) -> bool:
    texts = [data.get("body"), data.get("selftext"), data.get("title")]
    marked = data.get("body") in MARKERS or data.get("selftext") in MARKERS
    return not marked and any(text for text in texts)


def _things(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _things(one)
    elif isinstance(value, dict):
        data = value.get("data")
        if value.get("kind") in ("t1", "t3") and isinstance(data, dict):
            yield data
        for one in value.values():
            yield from _things(one)


def _eleven(path: Path, number: int = 0) -> Any:
    """A record's answer: records have eleven lines, the tenth is the body."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return json.loads(lines[number * 11 + 9])
