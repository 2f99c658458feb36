"""A loopback X that keeps state: mentions, recent search, look-up, own timeline and posting."""

import json
from typing import Any

from tests.serve import Answer, Request, Served

US = "42"
USERS = [
    {"id": "7", "username": "ann", "name": "Ann"},
    {"id": US, "username": "genericcorp", "name": "Generic Corp"},
]


class X(Served):
    """Mentions, recent search, look-up, own timeline and posting, a page of three at a time."""

    def __init__(self) -> None:
        super().__init__(self._route)
        self.tweets: list[dict[str, Any]] = []
        self.page = 3
        self.liked: list[str] = []

    def say(self, text: str, **fields: Any) -> dict[str, Any]:
        """A post by ann that mentions us, unless said otherwise."""
        id_ = str(1_860_000_000_000_000_000 + len(self.tweets) * 1000)
        tweet = {"id": id_, "text": text, "author_id": "7", "conversation_id": id_,
                 "created_at": f"2026-11-24T10:{len(self.tweets):02}:00.000Z",
                 "edit_history_tweet_ids": [id_], **fields}  # fmt: skip
        self.tweets.append(tweet)
        return tweet

    def _route(self, request: Request) -> Answer:
        path = request.path
        if path.startswith("/2/users/by/username/"):
            name = path.rsplit("/", 1)[1]
            found = [user for user in USERS if user["username"] == name]
            return Answer({"data": found[0]} if found else {"errors": [{"title": "Not Found"}]})
        if path == f"/2/users/{US}/likes":
            self.liked.append(request.json["tweet_id"])
            return Answer({"data": {"liked": True}})
        if path == "/2/users/me":
            return Answer({"data": USERS[1]})
        if request.method == "POST":
            body = request.json
            parent = body["reply"]["in_reply_to_tweet_id"]
            references = [{"type": "replied_to", "id": parent}]
            made = self.say(body["text"], author_id=US, referenced_tweets=references)
            return Answer({"data": {"id": made["id"], "text": made["text"]}}, 201)
        rows = sorted(self.tweets, key=lambda tweet: -int(tweet["id"]))
        if path == "/2/tweets":
            ids = request.query["ids"].split(",")
            answer = self._answer([row for row in rows if row["id"] in ids])
            told = json.loads(answer.body)
            lost = [id_ for id_ in ids if id_ not in {row["id"] for row in rows}]
            told["errors"] = [
                {"value": id_, "resource_type": "tweet", "title": "Not Found Error"} for id_ in lost
            ]
            return Answer(told)
        if path == f"/2/users/{US}/tweets":
            rows = [row for row in rows if row["author_id"] == US]
        since = int(request.query.get("since_id") or 0)
        rows = [row for row in rows if int(row["id"]) > since]
        token = request.query.get("pagination_token") or request.query.get("next_token") or "0"
        start = int(token)
        return self._answer(rows[start : start + self.page], start, len(rows))

    def _answer(self, rows: list[dict[str, Any]], start: int = 0, of: int = 0) -> Answer:
        meta: dict[str, Any] = {"result_count": len(rows)}
        if start + self.page < of:
            meta["next_token"] = str(start + self.page)
        includes = {"users": USERS, "tweets": self.tweets}
        answer: dict[str, Any] = {"meta": meta, "includes": includes}
        return Answer(answer | ({"data": rows} if rows else {}))
