"""A loopback GitHub that keeps state: issues, their comments, discussions, by REST and GraphQL."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.serve import Answer, Request, Served

REPOSITORY = "corp/board"
REPOSITORY_ID = 4711
BEGIN = datetime(2026, 11, 24, 10, tzinfo=UTC)


class Hub(Served):
    """One repository; `page` rows a page, however many are asked for."""

    def __init__(self) -> None:
        super().__init__(self._route)
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.discussions: list[dict[str, Any]] = []
        self.page = 3
        self.has_discussions = True
        self.login = "corp-bot"
        self.moved: set[int] = set()  # issues that were transferred to another repository
        self.is_hidden = False  # the repository is not shown to this credential
        self.headers: dict[str, str] = {}
        self.thumbs: list[str] = []
        self.names: set[str] = set()  # further repositories, empty ones
        self._clock = 0

    def open(self, title: str, body: str | None = "It broke.", **fields: Any) -> dict[str, Any]:
        """A new issue by ann."""
        number = len(self.issues) + len(self.discussions) + 1
        issue = {"id": 900 + number, "node_id": f"I_{number}", "number": number, "title": title,
                 "body": body, "user": {"login": "ann"}, "state": "open", "labels": [],
                 "html_url": f"https://github.com/{REPOSITORY}/issues/{number}",
                 "created_at": self._now(), **fields}  # fmt: skip
        issue["updated_at"] = issue["created_at"]
        self.issues.append(issue)
        return issue

    def comment(self, number: int, body: str, login: str = "bob", **fields: Any) -> dict[str, Any]:
        """A new comment on an issue."""
        id_ = 5000 + len(self.comments)
        row = {"id": id_, "node_id": f"IC_{id_}", "body": body, "user": {"login": login},
               "issue_url": f"https://api.github.com/repos/{REPOSITORY}/issues/{number}",
               "html_url": f"https://github.com/{REPOSITORY}/issues/{number}#c{id_}",
               "created_at": self._now(), **fields}  # fmt: skip
        row["updated_at"] = row["created_at"]
        self.comments.append(row)
        return row

    def discuss(self, title: str, body: str = "I wish…") -> dict[str, Any]:
        """A new discussion by ann."""
        number = len(self.issues) + len(self.discussions) + 1
        row = {"id": f"D_{number}", "number": number, "title": title, "body": body,
               "url": f"https://github.com/{REPOSITORY}/discussions/{number}",
               "createdAt": self._now(), "author": {"login": "ann"}, "comments": []}  # fmt: skip
        row["updatedAt"] = row["createdAt"]
        self.discussions.append(row)
        return row

    def say(self, below: dict[str, Any], body: str, login: str = "bob") -> dict[str, Any]:
        """A comment on a discussion, or an answer to a comment."""
        id_ = f"DC_{self._clock}"
        row = {"id": id_, "body": body, "url": f"https://github.com/x#{id_}",
               "createdAt": self._now(), "author": {"login": login}, "comments": []}  # fmt: skip
        below["comments"].append(row)
        for discussion in self.discussions:
            discussion["updatedAt"] = self._now()
        return row

    def _now(self) -> str:
        self._clock += 1
        return (BEGIN + timedelta(seconds=self._clock)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _route(self, request: Request) -> Answer:
        if "authorization" not in request.headers:
            return Answer({"message": "Bad credentials"}, 401)
        path = request.path.strip("/").split("/")
        if path[0] == "repos" and "/".join(path[1:3]) in self.names:
            return Answer([] if path[3:] else {"id": 5000, "has_issues": True})
        match [request.method, *path]:
            case ["POST", "graphql"]:
                return self._graphql(request.json)
            case ["GET", "user"]:
                return Answer({"login": self.login})
            case ["GET", "repositories", *_] if self.is_hidden:
                return Answer({"message": "Not Found"}, 404)
            case ["GET", "repositories", _]:
                return Answer({"id": REPOSITORY_ID})
            case ["GET", "repositories", _, "issues", number] if int(number) in self.moved:
                return Answer({"message": "Moved Permanently"}, 301, location="/elsewhere")
            case ["GET", "repos", "corp", "board"]:
                about = {"id": REPOSITORY_ID, "full_name": REPOSITORY, "has_issues": True}
                return Answer(about | {"has_discussions": self.has_discussions})
            case ["GET", "repos", "corp", "board", "issues"]:
                return self._changed(self.issues, request)
            case ["GET", "repos", "corp", "board", "issues", "comments"]:
                return self._changed(self.comments, request)
            case ["GET", "repos", "corp", "board", "issues", number, "comments"]:
                rows = [c for c in self.comments if c["issue_url"].endswith(f"/{number}")]
                return Answer(rows)
            case ["POST", "repos", "corp", "board", "issues", number, "comments"]:
                made = self.comment(int(number), request.json["body"], "corp-bot[bot]")
                return Answer(made, 201)
            case ["GET", "repos" | "repositories", *_, "issues", "comments", id_]:
                return self._one([c for c in self.comments if str(c["id"]) == id_])
            case ["GET", "repos" | "repositories", *_, "issues", number]:
                return self._one([i for i in self.issues if str(i["number"]) == number])
        return Answer({"message": "Not Found"}, 404)

    def _one(self, rows: list[dict[str, Any]]) -> Answer:
        return Answer(rows[0]) if rows else Answer({"message": "Not Found"}, 404)

    def _changed(self, rows: list[dict[str, Any]], request: Request) -> Answer:
        rows = sorted(
            (row for row in rows if row["updated_at"] >= request.query["since"]),
            key=lambda row: row["updated_at"],
        )
        number = int(request.query["page"])
        page = rows[(number - 1) * self.page : number * self.page]
        etag = f'W/"{hash(json.dumps(page))}"'
        if request.headers.get("if-none-match") == etag:
            return Answer(b"", 304, etag=etag)
        headers = {"etag": etag, "x_ratelimit_remaining": "4990", **self.headers}
        if number * self.page < len(rows):
            headers["link"] = f'<{self.url}/next>; rel="next"'
        return Answer(page, **headers)

    def _graphql(self, asked: dict[str, Any]) -> Answer:
        given, query = asked["variables"], asked["query"]
        if "mutation Thumb" in query:
            self.thumbs.append(given["subject"])
            return Answer({"data": {"addReaction": {"reaction": {"content": "THUMBS_UP"}}}})
        if "mutation" in query:
            place = self._find(given["parent"] or given["discussion"])
            made = self.say(place, given["body"], "corp-bot[bot]")
            comment = {"id": made["id"], "url": made["url"]}
            return Answer({"data": {"addDiscussionComment": {"comment": comment}}})
        if "$owner" in query:
            start = int(given["after"] or 0)
            rows = sorted(self.discussions, key=lambda row: row["updatedAt"], reverse=True)
            page = [self._shown(row) for row in rows[start : start + self.page]]
            info = {
                "endCursor": str(start + self.page),
                "hasNextPage": start + self.page < len(rows),
            }
            found = {"discussions": {"pageInfo": info, "nodes": page}}
            return Answer({"data": {"repository": found}})
        if "ids" in given:
            return self._nodes(given["ids"])
        start = int(given["after"] or 0) if "after" in given else 0
        return Answer({"data": {"node": self._shown(self._find(given["id"]), start)}})

    def _nodes(self, ids: list[str]) -> Answer:
        found: list[Any] = []
        for id_ in ids:
            try:
                found.append(self._find(id_) | {"discussion": self._root(id_)})
            except KeyError:
                found.append(None)
        if None in found:
            error = {"type": "NOT_FOUND", "message": "Could not resolve to a node"}
            return Answer({"data": {"nodes": found}, "errors": [error]})
        return Answer({"data": {"nodes": found}})

    def _find(self, id_: str) -> dict[str, Any]:
        rows = list(self.discussions)
        for row in rows:
            rows += row["comments"]
            if row["id"] == id_:
                return row
        raise KeyError(id_)

    def _root(self, id_: str) -> dict[str, Any] | None:
        def below(row: dict[str, Any]) -> list[str]:
            return [id_ for one in row["comments"] for id_ in (one["id"], *below(one))]

        return next((row for row in self.discussions if id_ in below(row)), None)

    def _shown(self, row: dict[str, Any], start: int = 0, size: int = 50) -> dict[str, Any]:
        tops = [
            {**top, "replies": _page(top["comments"], 0, size)}
            for top in row["comments"][start : start + size]
        ]
        shown = _page(row["comments"], start, size) | {"nodes": tops}
        return {**row, "comments": shown, "replies": shown}


def _page(rows: list[dict[str, Any]], start: int, size: int) -> dict[str, Any]:
    info = {"endCursor": str(start + size), "hasNextPage": start + size < len(rows)}
    return {"pageInfo": info, "nodes": rows[start : start + size]}
