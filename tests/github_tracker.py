"""A loopback GitHub that is written to: repositories with issues, labels, discussions, advisories.

It keeps state, refuses what GitHub refuses, and can cut the connection after it took a request.
"""

import random
import threading
from datetime import UTC, datetime
from typing import Any

from tests.serve import Answer, Handler, Request, Served, after_taking

PUBLIC, PRIVATE = "corp/board", "corp/board-security"
BOT = "corp-bot[bot]"
GONE = Answer({"message": "Not Found"}, 404)


class Repo:
    """One repository, and what may be done to it."""

    def __init__(self, id_: int, name: str, *, private: bool = False) -> None:
        self.id, self.name, self.private = id_, name, private
        self.has_issues, self.has_discussions, self.archived = True, True, False
        self.may_label, self.may_write = True, True
        self.labels: dict[str, str] = {}
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.discussions: list[dict[str, Any]] = []
        self.advisories: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self.categories = [
            {"id": "C_1", "name": "General", "slug": "general", "isAnswerable": False},
            {"id": "C_2", "name": "Ideas", "slug": "ideas", "isAnswerable": False},
        ]

    def about(self) -> dict[str, Any]:
        return {
            "id": self.id, "node_id": f"R_{self.id}", "full_name": self.name,
            "private": self.private, "has_issues": self.has_issues,
            "has_discussions": self.has_discussions, "archived": self.archived,
            "permissions": {"admin": False, "push": self.may_write, "pull": True},
        }  # fmt: skip


class Tracker(Served):
    """The server; `repos` by name, `renamed` from old names to ids."""

    def __init__(self) -> None:
        super().__init__(self._locked)
        self.public = Repo(4711, PUBLIC)
        self.private = Repo(4712, PRIVATE, private=True)
        self.repos = {PUBLIC: self.public, PRIVATE: self.private}
        self.renamed: dict[str, int] = {}
        self.scopes = ""
        self.page = 100
        self._count = 0
        self._lock = threading.RLock()

    # What people do there.

    def issue(self, number: int, repo: Repo | None = None) -> dict[str, Any]:
        return next(i for i in (repo or self.public).issues if i["number"] == number)

    def open(
        self, title: str, body: str = "", repo: Repo | None = None, **more: Any
    ) -> dict[str, Any]:
        """Somebody opens an issue."""
        with self._lock:
            return self._open(repo or self.public, title, body, "ann", [], **more)

    def close(self, number: int, reason: str = "completed", milestone: str = "") -> dict[str, Any]:
        """An engineer closes an issue."""
        issue = self.issue(number)
        issue |= {"state": "closed", "state_reason": reason, "closed_at": self._now(),
                  "updated_at": self._now()}  # fmt: skip
        if milestone:
            issue["milestone"] = {"title": milestone, "number": 1}
        return issue

    def reopen(self, number: int) -> dict[str, Any]:
        issue = self.issue(number)
        issue |= {"state": "open", "state_reason": "reopened", "closed_at": None,
                  "updated_at": self._now()}  # fmt: skip
        return issue

    def say(
        self, number: int, body: str, login: str = "eng", rights: str = "MEMBER"
    ) -> dict[str, Any]:
        """Somebody comments on an issue."""
        return self._comment(self.public, number, body, login, rights)

    def counters(self, number: int) -> list[str]:
        """The comments that count, of one issue."""
        ending = f"/issues/{number}"
        rows = (self.public.comments, self.private.comments)
        return [c["body"] for some in rows for c in some
                if "feedback:count:" in c["body"] and c["issue_url"].endswith(ending)]  # fmt: skip

    def cut_at_random(self, share: float, seed: int) -> None:
        """Of so many writes the answer is lost after they took effect."""
        rng = random.Random(seed)

        def fault(handler: Handler) -> bool | None:
            seen = handler.request_seen
            is_write = seen.method != "GET" and (
                not seen.path.endswith("/graphql") or "mutation" in seen.json["query"]
            )
            if is_write and rng.random() < share:
                after_taking(handler)
                return True
            return False

        self.fault = fault

    # What it answers.

    def _locked(self, request: Request) -> Answer:
        with self._lock:
            return self._route(request)

    def _route(self, request: Request) -> Answer:
        if request.headers.get("authorization") == "Bearer expired":
            return Answer({"message": "Bad credentials"}, 401)
        path = request.path.removeprefix("/api/v3").strip("/").split("/")
        match path:
            case ["graphql"] | ["api", "graphql"]:
                return self._graphql(request.json)
            case ["repositories", id_, *rest]:
                repo = next((r for r in self.repos.values() if str(r.id) == id_), None)
                return self._of(repo, rest, request) if repo else GONE
            case ["repos", owner, name, *rest]:
                full = f"{owner}/{name}"
                if full in self.renamed:
                    to = f"{self.url}/repositories/{self.renamed[full]}"
                    status = 301 if request.method == "GET" else 307
                    return Answer({"message": "Moved Permanently", "url": to}, status, location=to)
                repo = self.repos.get(full)
                return self._of(repo, rest, request) if repo else GONE
        return GONE

    def _of(self, repo: Repo, path: list[str], request: Request) -> Answer:
        method = request.method
        if not path:
            return (
                Answer(repo.about(), x_oauth_scopes=self.scopes)
                if self.scopes
                else Answer(repo.about())
            )
        if method != "GET" and repo.archived:
            return Answer({"message": "Repository was archived so is read-only."}, 403)
        if method != "GET" and not repo.may_write:
            return Answer({"message": "Resource not accessible by personal access token"}, 403,
                          x_accepted_github_permissions="issues=write")  # fmt: skip
        if path[0] == "issues" and not repo.has_issues:
            return Answer({"message": "Issues has been disabled in this repository."}, 410)
        match [method, *path]:
            case ["GET", "issues"]:
                return self._listed(repo.issues, request, "")
            case ["GET", "issues", "comments"]:
                return self._listed(repo.comments, request, "")
            case ["POST", "issues"]:
                return self._file(repo, request.json)
            case ["GET" | "PATCH", "issues", "comments", id_]:
                return self._edit([c for c in repo.comments if str(c["id"]) == id_], request)
            case ["GET" | "PATCH", "issues", number]:
                return self._edit([i for i in repo.issues if str(i["number"]) == number], request)
            case ["GET", "issues", number, "comments"]:
                return self._listed(repo.comments, request, f"/issues/{number}")
            case ["POST", "issues", number, "comments"]:
                if not any(str(i["number"]) == number for i in repo.issues):
                    return GONE
                return Answer(
                    self._comment(repo, int(number), request.json["body"], BOT, "NONE"), 201
                )
            case ["POST", "issues", number, "labels"]:
                issue = self.issue(int(number), repo)
                names = [label["name"] for label in issue["labels"]]
                issue["labels"] = [
                    {"name": n} for n in dict.fromkeys([*names, *request.json["labels"]])
                ]
                return Answer(issue["labels"])
            case ["DELETE", "issues", number, "labels", label]:
                issue = self.issue(int(number), repo)
                issue["labels"] = [one for one in issue["labels"] if one["name"] != label]
                return Answer(issue["labels"])
            case ["GET", "labels", label]:
                name = label.replace("%3A", ":").replace("%20", " ")
                found = repo.labels.get(name)
                return Answer({"name": name, "node_id": found}) if found else GONE
            case ["POST", "labels"]:
                return self._label(repo, request.json)
            case ["GET", "releases"]:
                return Answer(repo.releases)
            case ["GET", "releases", "latest"]:
                return Answer(repo.releases[-1]) if repo.releases else GONE
            case ["GET", "security-advisories"]:
                return Answer([a for a in repo.advisories if a["state"] == "draft"])
            case ["POST", "security-advisories"]:
                ghsa = f"GHSA-2222-3333-{4444 + len(repo.advisories)}"
                address = f"https://github.com/{repo.name}/security/advisories/{ghsa}"
                made = {**request.json, "ghsa_id": ghsa, "state": "draft", "html_url": address}
                repo.advisories.append(made)
                return Answer(made, 201)
            case ["PATCH", "security-advisories", ghsa]:
                return self._edit([a for a in repo.advisories if a["ghsa_id"] == ghsa], request)
        return GONE

    def _file(self, repo: Repo, asked: dict[str, Any]) -> Answer:
        if not asked.get("title"):
            errors = [{"resource": "Issue", "code": "missing_field", "field": "title"}]
            return Answer({"message": "Validation Failed", "errors": errors}, 422)
        made = self._open(repo, asked["title"], asked["body"], BOT, asked.get("labels") or [])
        return Answer(made, 201)

    def _open(
        self, repo: Repo, title: str, body: str, login: str, labels: list[str], **more: Any
    ) -> dict[str, Any]:
        number = len(repo.issues) + len(repo.discussions) + 1
        made = {"id": 900 + number, "node_id": f"I_{repo.id}_{number}", "number": number,
                "title": title, "body": body, "user": {"login": login}, "state": "open",
                "state_reason": None, "milestone": None, "closed_at": None, "comments": 0,
                "labels": [{"name": name} for name in labels], "author_association": "NONE",
                "html_url": f"https://github.com/{repo.name}/issues/{number}",
                "created_at": self._now(), **more}  # fmt: skip
        made["updated_at"] = made["created_at"]
        repo.issues.append(made)
        return made

    def _comment(
        self, repo: Repo, number: int, body: str, login: str, rights: str
    ) -> dict[str, Any]:
        with self._lock:
            id_ = 5000 + len(repo.comments)
            row = {"id": id_, "node_id": f"IC_{id_}", "body": body, "user": {"login": login},
                   "author_association": rights,
                   "issue_url": f"https://api.github.com/repos/{repo.name}/issues/{number}",
                   "html_url": f"https://github.com/{repo.name}/issues/{number}#c{id_}",
                   "created_at": self._now()}  # fmt: skip
            row["updated_at"] = row["created_at"]
            repo.comments.append(row)
            return row

    def _edit(self, rows: list[dict[str, Any]], request: Request) -> Answer:
        if not rows:
            return GONE
        if request.method == "PATCH":
            rows[0] |= {**request.json, "updated_at": self._now()}
            if request.json.get("state") == "closed":
                rows[0]["closed_at"] = self._now()
        return Answer(rows[0])

    def _label(self, repo: Repo, asked: dict[str, Any]) -> Answer:
        if not repo.may_label:
            return Answer({"message": "Resource not accessible by personal access token"}, 403)
        if asked["name"] in repo.labels:
            errors = [{"resource": "Label", "code": "already_exists", "field": "name"}]
            return Answer({"message": "Validation Failed", "errors": errors}, 422)
        repo.labels[asked["name"]] = f"LA_{repo.id}_{len(repo.labels)}"
        return Answer({"name": asked["name"], "node_id": repo.labels[asked["name"]]}, 201)

    def _listed(self, rows: list[dict[str, Any]], request: Request, below: str) -> Answer:
        since = request.query.get("since", "")
        found = [row for row in rows if row["updated_at"] >= since]
        if below:
            found = [row for row in found if row["issue_url"].endswith(below)]
        if request.query.get("sort") == "updated":
            found.sort(key=lambda row: row["updated_at"])
        number, size = int(request.query.get("page", 1)), int(request.query.get("per_page", 30))
        size = min(size, self.page)
        page = found[(number - 1) * size : number * size]
        if number * size < len(found):
            return Answer(page, link=f'<{self.url}/next>; rel="next"')
        return Answer(page)

    def _graphql(self, asked: dict[str, Any]) -> Answer:
        given = asked["variables"]
        operation = asked["query"].split("(")[0].split()[-1]
        repo = self.repos.get(f"{given.get('owner')}/{given.get('name')}", self.public)
        match operation:
            case "Categories":
                nodes = repo.categories if repo.has_discussions else []
                found = {"id": f"R_{repo.id}", "discussionCategories": {"nodes": nodes}}
                return Answer({"data": {"repository": found}})
            case "File":
                made = self._discuss(repo, given["title"], given["body"], given["category"])
                named = {key: made[key] for key in ("id", "number", "url")}
                return Answer({"data": {"createDiscussion": {"discussion": named}}})
            case "Newest":
                nodes = list(reversed(repo.discussions))
                return Answer({"data": {"repository": {"discussions": {"nodes": nodes}}}})
            case "Enabled":
                return Answer({"data": {"repository": {"discussions": {"totalCount": 0}}}})
            case "Discussions":
                nodes = list(reversed(repo.discussions))
                info = {"endCursor": None, "hasNextPage": False}
                page = {"pageInfo": info, "nodes": nodes}
                return Answer({"data": {"repository": {"discussions": page}}})
        row = self._node(given)
        if row is None:
            error = {"type": "NOT_FOUND", "message": "Could not resolve to a node."}
            return Answer({"data": None, "errors": [error]})
        match operation:
            case "Label":
                names = {id_: name for name, id_ in repo.labels.items()}
                row["labels"]["nodes"] += [{"name": names[id_]} for id_ in given["labels"]]
                return Answer({"data": {"addLabelsToLabelable": {"clientMutationId": None}}})
            case "Comment":
                id_ = f"DC_{self._tick()}"
                said = {"id": id_, "body": given["body"], "url": f"{row['url']}#{id_}",
                        "createdAt": self._now(), "authorAssociation": "NONE",
                        "author": {"login": BOT}, "replies": {"nodes": []}}  # fmt: skip
                row["comments"]["nodes"].append(said)
                return Answer({"data": {"addDiscussionComment": {"comment": said}}})
            case "Edit":
                row["body"] = given["body"]
                return Answer({"data": {"updateDiscussionComment": {"comment": {"id": row["id"]}}}})
            case "Close":
                row |= {"closed": True, "stateReason": "DUPLICATE"}
                return Answer({"data": {"closeDiscussion": {"discussion": {"id": row["id"]}}}})
            case "Look":
                return Answer({"data": {"node": row}})
        return Answer({"errors": [{"message": f"{operation} is not known here"}]})

    def _discuss(self, repo: Repo, title: str, body: str, category: str) -> dict[str, Any]:
        number = len(repo.issues) + len(repo.discussions) + 1
        made = {"id": f"D_{number}", "number": number, "title": title, "body": body,
                "category": category, "createdAt": self._now(), "updatedAt": self._now(),
                "url": f"https://github.com/{repo.name}/discussions/{number}", "closed": False,
                "closedAt": None, "stateReason": None, "author": {"login": BOT},
                "labels": {"nodes": []}, "comments": {"nodes": []}}  # fmt: skip
        repo.discussions.append(made)
        return made

    def _node(self, given: dict[str, Any]) -> dict[str, Any] | None:
        wanted = next(
            (given[key] for key in ("id", "discussion", "labelable", "comment") if key in given), ""
        )
        for repo in self.repos.values():
            for discussion in repo.discussions:
                if discussion["id"] == wanted:
                    return discussion
                for comment in discussion["comments"]["nodes"]:
                    if comment["id"] == wanted:
                        return comment
        return None

    def _tick(self) -> int:
        self._count += 1
        return self._count

    def _now(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
