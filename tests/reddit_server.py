"""A loopback Reddit that keeps state: a subreddit, trees of comments, an inbox, a form."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.serve import Answer, Request, Served

BEGIN = datetime(2026, 11, 24, 10, tzinfo=UTC)
ME = "genericcorp"


class Board(Served):
    """One subreddit, its submissions and comments, an inbox, and a form for comments."""

    def __init__(self) -> None:
        super().__init__(self._route)
        self.things: list[dict[str, Any]] = []
        self.hidden: list[str] = []  # comments that stand behind "more"
        self.inbox: list[dict[str, Any]] = []
        self.refuses_token = False
        self.form: Any = None
        self.votes: list[tuple[str, str]] = []
        self.begin = BEGIN
        self.cut_below = ""  # a comment whose answers stand behind "continue this thread"
        self.page, self.lists = 3, 1_000  # things of a page, and of a listing in all
        self.forgets = False  # a page that begins at a vanished post is empty
        self.limits = {"x_ratelimit_remaining": "500.0", "x_ratelimit_reset": "60",
                       "x_ratelimit_used": "1"}  # fmt: skip

    def submit(self, title: str, text: str = "", **fields: Any) -> str:
        return self._add("t3", title=title, selftext=text, is_self=True, num_comments=0, **fields)

    def comment(self, parent: str, text: str, **fields: Any) -> str:
        root = parent
        while root.startswith("t1_"):
            root = self._data(root)["parent_id"]
        self._data(root)["num_comments"] += 1
        title = self._data(root)["title"]
        return self._add(
            "t1", body=text, parent_id=parent, link_id=root, link_title=title, **fields
        )

    def _add(self, kind: str, **fields: Any) -> str:
        number = len(self.things)
        name = f"{kind}_{number:04x}"
        at = (self.begin + timedelta(seconds=number)).timestamp()
        data = {"id": name[3:], "name": name, "author": "ann", "created_utc": at,
                "permalink": f"/r/corp/comments/{name}", **fields}  # fmt: skip
        self.things.append({"kind": kind, "data": data})
        return name

    def _data(self, name: str) -> dict[str, Any]:
        return next(t["data"] for t in self.things if t["data"]["name"] == name)

    def _route(self, request: Request) -> Answer:
        path = request.path.strip("/")
        if path == "api/v1/access_token":
            if self.refuses_token:
                return Answer({"error": "invalid_grant"})
            return Answer({"access_token": "t", "expires_in": 3600, "scope": "*"})
        return self._answer(path, request, self.limits)

    def _answer(self, path: str, request: Request, headers: Mapping[str, str]) -> Answer:
        newest = sorted(self.things, key=lambda t: -t["data"]["created_utc"])
        match path.split("/"):
            case ["r", "corp", "new"]:
                rows = [thing for thing in newest if thing["kind"] == "t3"]
            case ["r", "corp", "comments"]:
                rows = [thing for thing in newest if thing["kind"] == "t1"]
            case ["r", name, _] if name.startswith("other"):
                rows = []
            case ["message", "inbox"]:
                rows = self.inbox
            case ["user", _, "comments"]:
                rows = [thing for thing in newest if thing["data"]["author"] == ME]
            case ["api", "info"]:
                ids = request.query["id"].split(",")
                rows = [thing for thing in newest if thing["data"]["name"] in ids]
            case ["comments", id_]:
                return Answer(self._tree(f"t3_{id_}", request.query.get("comment")), **headers)
            case ["api", "morechildren"]:
                ids = request.query["children"].split(",")
                found = [thing for thing in newest if thing["data"]["id"] in ids]
                return Answer({"json": {"errors": [], "data": {"things": found}}}, **headers)
            case ["api", "comment"]:
                return Answer(self.form or self._posted(request), **headers)
            case ["api", "vote"]:
                self.votes.append((request.form["id"], request.form["dir"]))
                return Answer({}, **headers)
            case ["api", "v1", "me"]:
                return Answer({"name": ME}, **headers)
            case _:
                return Answer({"message": "Not Found", "error": 404}, 404, **headers)
        return Answer(self._listing(rows, request), **headers)

    def _listing(self, rows: list[dict[str, Any]], request: Request) -> dict[str, Any]:
        rows = rows[: self.lists]
        names = [row["data"]["name"] for row in rows]
        after = request.query.get("after")
        if self.forgets and after and after not in names:
            return {"kind": "Listing", "data": {"children": [], "after": None, "before": None}}
        start = names.index(after) + 1 if after in names else 0
        page = rows[start : start + self.page]
        more = page[-1]["data"]["name"] if start + self.page < len(rows) else None
        return {"kind": "Listing", "data": {"children": page, "after": more, "before": None}}

    def _tree(self, root: str, comment: str | None) -> list[Any]:
        def answers(parent: str) -> Any:
            if parent == self.cut_below and not comment:
                onward = {"children": [], "count": 0, "id": "_", "parent_id": parent}
                return {"kind": "Listing", "data": {"children": [{"kind": "more", "data": onward}]}}
            rows = [t for t in self.things if t["data"].get("parent_id") == parent]
            shown = [
                {**t, "data": {**t["data"], "replies": answers(t["data"]["name"])}}
                for t in rows
                if t["data"]["name"] not in self.hidden
            ]
            if shown and parent == root and self.hidden:
                ids = [name[3:] for name in self.hidden]
                shown.append({"kind": "more", "data": {"children": ids, "count": len(ids)}})
            return {"kind": "Listing", "data": {"children": shown}} if shown else ""

        head = [t for t in self.things if t["data"]["name"] == root]
        if comment:
            top = next(t for t in self.things if t["data"]["id"] == comment)
            shown = {**top, "data": {**top["data"], "replies": answers(top["data"]["name"])}}
            return [{"kind": "Listing", "data": {"children": head}},
                    {"kind": "Listing", "data": {"children": [shown]}}]  # fmt: skip
        body = answers(root) or {"kind": "Listing", "data": {"children": []}}
        return [{"kind": "Listing", "data": {"children": head}}, body]

    def _posted(self, request: Request) -> Any:
        name = self.comment(request.form["thing_id"], request.form["text"], author=ME)
        return {"json": {"errors": [], "data": {"things": [{"data": self._data(name)}]}}}
