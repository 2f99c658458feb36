"""GitHub: issues, discussions and their comments, read by polls and webhooks, answered there."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from feedback.channels.base import (
    Absent,
    Batch,
    ChannelError,
    Health,
    Later,
    Post,
    Refused,
    Reply,
    Sent,
    SourceStopped,
    TryLater,
    Unknown,
    Unsure,
)
from feedback.channels.github.api import Api, Gone, Moved, data_of, failure, message, was_sent
from feedback.channels.github.discussions import Discussions, present
from feedback.channels.github.posts import comment_post, gone, issue_post, marker
from feedback.channels.github.reading import Reading, Repository, begin_of
from feedback.channels.rounds import Round
from feedback.http import Answer, HTTPFailure

LOOKED_UP = 50  # posts of one refresh
LOOK_BACK = timedelta(minutes=5)  # clocks may differ
ASKED_AGAIN_SECONDS = 86_400

REPLY = """
mutation Reply($discussion: ID!, $body: String!, $parent: ID) {
  addDiscussionComment(input: {discussionId: $discussion, body: $body, replyToId: $parent}) {
    comment { id url }
  }
}
"""
THUMB = """
mutation Thumb($subject: ID!) {
  addReaction(input: {subjectId: $subject, content: THUMBS_UP}) { reaction { content } }
}
"""
LATEST = """
query Latest($id: ID!) {
  node(id: $id) {
    ... on Discussion {
      comments(last: 50) { nodes { id url body replies(last: 50) { nodes { id url body } } } }
    }
  }
}
"""


class GitHub:
    """One source: `repositories` as owner/name, `issues`, `discussions`, `backfill`."""

    can_reply: ClassVar[bool] = True
    like_word: ClassVar[str] = "Thumbs up"

    def __init__(self, config: Mapping[str, Any], *, team: frozenset[str] = frozenset()) -> None:
        del team  # what our own team writes is read like all else; intake tells it apart
        self._repositories = [str(name).strip("/") for name in config.get("repositories") or []]
        self._issues = bool(config.get("issues", True))
        self._discussions = bool(config.get("discussions", True))
        self._begin = begin_of(config)
        wrong = [name for name in self._repositories if name.count("/") != 1]
        if wrong or not self._repositories:
            raise SourceStopped('GitHub: name repositories as "owner/name".')

    def poll(self, cursor: Mapping[str, Any]) -> Batch:
        """Read what changed in every repository, a few pages a poll."""
        kept = cursor.get("repositories")
        states = {k: dict(v) for k, v in kept.items()} if isinstance(kept, Mapping) else {}
        reading, parts = Reading(self._begin), Round(cursor, self._parts())
        account = cursor.get("account")
        account = account if isinstance(account, Mapping) else {}
        with Api() as api:
            parts.run(lambda part: self._read(api, reading, part, states), lambda: reading.is_full)
            if not parts.failures:
                account = self._account(api, account)
            limits = dict(api.limits)
        parts.tell_failure(has_news=bool(reading.posts or reading.unreadable))
        return Batch(
            posts=tuple(reading.posts.values()),
            unreadable=tuple(reading.unreadable),
            cursor={"repositories": states, **parts.cursor(), "account": account},
            more=parts.more,
            failure=parts.failure,
            account=str(account.get("login") or ""),
            meter=limits,
        )

    def _parts(self) -> list[str]:
        kinds = [*(["issues", "comments"] if self._issues else [])]
        kinds += ["discussions"] if self._discussions else []
        return [f"{kind} {name}" for name in self._repositories for kind in kinds]

    def _read(self, api: Api, reading: Reading, part: str, states: dict[str, Any]) -> bool:
        kind, _, name = part.partition(" ")
        state = states.setdefault(name, {})
        try:
            if kind == "discussions":
                return Discussions(api, name, state).read(reading)
            repository = Repository(api, name, state)
            return (repository.issues if kind == "issues" else repository.comments)(reading)
        except Gone as error:
            raise SourceStopped(str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TryLater(f"GitHub's answer cannot be read: {error}.") from error

    def _account(self, api: Api, kept: Mapping[str, Any]) -> dict[str, Any]:
        """Who we are there, asked once a day."""
        now = int(time.time())
        if now - int(kept.get("at") or 0) < ASKED_AGAIN_SECONDS:
            return dict(kept)
        try:
            return {"login": api.login(self._repositories[0]), "at": now}
        except (TryLater, SourceStopped):
            return dict(kept)

    def parse(self, raw: Any) -> Post:
        """Make a post of an issue or a comment as REST tells it. Raises ValueError."""
        if not isinstance(raw, Mapping):
            raise ValueError("this is no object, so it is no post")
        name = self._repositories[0]
        if "issue_url" in raw:
            return comment_post(raw, name, 0, "")
        return issue_post(raw, name, 0)

    def refresh(self, external_ids: Sequence[str]) -> list[Post]:
        """What became of issues, discussions and comments; one transferred is gone from here."""
        asked = external_ids[:LOOKED_UP]
        by_rest = [id_ for id_ in asked if id_.startswith("R") and "#" in id_]
        by_node = [id_ for id_ in asked if id_ not in by_rest]
        name = self._repositories[0]
        try:
            with Api() as api:
                visible = {_repository(id_) for id_ in by_rest}
                for repository in visible:  # else all of it would seem deleted
                    api.get(f"/repositories/{repository}", repository=name)
                found = [_present(api, id_, name) for id_ in by_rest]
                return [post for post in found if post] + present(api, by_node, name)
        except Gone as error:
            raise SourceStopped(str(error)) from error

    def check(self) -> Health:
        """Ask for every repository, and whether it has what is to be read."""
        try:
            with Api() as api:
                login = api.login(self._repositories[0])
                for name in self._repositories:
                    told = api.get(f"/repos/{name}", repository=name)
                    if self._issues and not told.value.get("has_issues"):
                        return Health(ok=False, message=f"{name} has no issues switched on.")
                    if self._discussions and not told.value.get("has_discussions"):
                        return Health(
                            ok=False, message=f"{name} has no discussions: set discussions = false."
                        )
        except (ChannelError, Gone, HTTPFailure) as error:
            return Health(ok=False, message=str(error))
        except AttributeError:
            return Health(ok=False, message="GitHub's answer cannot be read.")
        count = len(self._repositories)
        return Health(ok=True, message=f"Answers. Repositories: {count}. Writes as {login}.")

    def reply(self, reply: Reply) -> Sent | Later | Refused | Unsure:
        """Comment once, with a mark by which the comment is found again."""
        repository = str(reply.parent.get("repository") or "")
        body = f"{reply.text}\n\n{marker(reply.key)}"
        try:
            with Api() as api:
                if reply.parent.get("kind") == "discussion":
                    return _answered(_say(api, repository, reply, body), reply)
                number = int(reply.parent["number"])
                path = f"/repos/{repository}/issues/{number}/comments"
                answer = api.write("POST", path, repository, body=body)
        except HTTPFailure as error:
            return Unsure(f"GitHub: {error}") if was_sent(error) else Later(f"GitHub: {error}")
        except (SourceStopped, Gone) as error:
            return Refused(str(error))
        except TryLater as error:
            return Later(str(error), error.wait)
        except (KeyError, TypeError, ValueError):
            return Refused("It is not known which issue this answers.")
        return _outcome(answer, reply)

    def like(self, post_id: str, raw: Mapping[str, Any]) -> Sent | Later | Refused | Unsure:
        """Put a thumb up at a post."""
        repository, node = str(raw.get("repository") or ""), str(raw.get("node_id") or "")
        if not node:
            return Refused("It is not known which post this is.")
        try:
            with Api() as api:
                api.graphql(THUMB, repository, subject=node)
        except TryLater as error:
            return Later(str(error), error.wait)
        except (SourceStopped, Gone) as error:
            return Refused(f"GitHub refuses it: {error}")
        return Sent(post_id)

    def find(self, reply: Reply) -> Sent | Absent | Unknown:
        """Look for the mark among the newest comments."""
        repository, mark = str(reply.parent.get("repository") or ""), marker(reply.key)
        try:
            with Api() as api:
                rows = _newest(api, repository, reply)
        except (Gone, SourceStopped) as error:
            return Unknown(str(error))
        except HTTPFailure as error:
            raise TryLater(f"GitHub: {error}") from error
        for row in rows:
            if mark in str(row.get("body")):
                return Sent(_id_of(row, reply), str(row.get("html_url") or row.get("url") or ""))
        return Absent()


def _present(api: Api, id_: str, name: str) -> Post | None:
    """An issue or a comment as it is now."""
    repository, _, rest = id_[1:].partition("#")
    number, _, comment = rest.partition("/c")
    path = f"/repositories/{repository}/issues/" + (f"comments/{comment}" if comment else number)
    thread = f"R{repository}#{number}"
    try:
        row = api.get(path, repository=name).value
        if comment:
            return comment_post(row, name, int(repository), "")
        return issue_post(row, name, int(repository))
    except (Gone, Moved):
        return gone(id_, thread)
    except (ValueError, AttributeError):
        return None


def _repository(id_: str) -> str:
    return id_[1:].partition("#")[0]


def _say(api: Api, repository: str, reply: Reply, body: str) -> Answer:
    parent = reply.parent
    variables = {"discussion": parent["discussion"], "body": body, "parent": parent.get("top")}
    return api.write("POST", api.graphql_path, repository, query=REPLY, variables=variables)


def _answered(answer: Answer, reply: Reply) -> Sent | Later | Refused | Unsure:
    """What the answer to a discussion's comment means."""
    if answer.status >= 300:
        return _outcome(answer, reply)
    try:
        comment = data_of(json.loads(answer.body))["addDiscussionComment"]["comment"]
        return Sent(str(comment["id"]), str(comment["url"]))
    except (SourceStopped, Gone) as error:
        return Refused(str(error))
    except (TryLater, KeyError, TypeError, ValueError) as error:
        return Unsure(f"GitHub does not say whether the comment is there: {error}")


def _outcome(answer: Answer, reply: Reply) -> Sent | Later | Refused | Unsure:
    if answer.status == 201:
        try:
            row = json.loads(answer.body)
            return Sent(f"{_thread(reply)}/c{row['id']}", str(row["html_url"]))
        except (ValueError, KeyError, TypeError):
            return Unsure("GitHub does not say whether the comment is there.")
    if answer.status >= 500:
        return Unsure(f"GitHub answers with status {answer.status}.")
    failed = failure(answer, "this comment")
    if isinstance(failed, TryLater) and answer.status in (403, 429):
        return Later(str(failed), failed.wait)
    return Refused(_advice(answer) or f"GitHub refuses it: {message(answer) or failed}")


def _advice(answer: Answer) -> str:
    """What a refusal means for a person, where that is known."""
    said = message(answer).casefold()
    if "lock" in said:
        return "The conversation is locked. Unlock it on GitHub, or take the reply back."
    if answer.status == 404:
        return "The issue is gone, or out of our sight. Take the reply back."
    if answer.status == 410:
        return "The issue was deleted. Take the reply back."
    if answer.status == 422 and "long" in said:
        return "GitHub takes 65,536 characters. Shorten it."
    if "block" in said:
        return "Its author has blocked us. Take the reply back."
    return ""


def _newest(api: Api, repository: str, reply: Reply) -> list[Mapping[str, Any]]:
    if reply.parent.get("kind") == "discussion":
        data = api.graphql(LATEST, repository, id=reply.parent.get("discussion"))
        tops = ((data.get("node") or {}).get("comments") or {}).get("nodes") or []
        below = [row for top in tops for row in (top.get("replies") or {}).get("nodes") or []]
        return [*tops, *below]
    since = (reply.decided_at - LOOK_BACK) if reply.decided_at else None
    params = {"since": since.strftime("%Y-%m-%dT%H:%M:%SZ")} if since else {}
    path = f"/repos/{repository}/issues/{reply.parent.get('number')}/comments"
    rows = api.get(path, repository=repository, per_page=100, **params).value
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _id_of(row: Mapping[str, Any], reply: Reply) -> str:
    if reply.parent.get("kind") == "discussion":
        return str(row.get("id"))
    return f"{_thread(reply)}/c{row.get('id')}"


def _thread(reply: Reply) -> str:
    """The issue that a reply stands under."""
    return reply.thread_id or reply.parent_id.split("/c")[0]
