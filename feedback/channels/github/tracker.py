"""GitHub as an issue tracker: what a repository is, and each write to it, sent once.

A write gives what it made, or raises: Doubtful (it may have taken effect), WriteRefused (it
has not, and a person or the repository's state must change), TryLater (it has not, later it may).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from feedback.channels.base import Sent, SourceStopped, TryLater
from feedback.channels.github.api import Api, failure, message, was_sent
from feedback.channels.github.posts import is_own, issue_id
from feedback.http import Answer, HTTPFailure

LOOK_BACK = timedelta(minutes=5)  # clocks may differ
PAGES = 10
PAGE = 100
LABEL_COLOURS = {"P0": "b60205", "P1": "d93f0b", "P2": "fbca04", "P3": "c2e0c6", "bug": "d73a4a"}
OTHER_COLOUR = "ededed"
_ID = re.compile(r"/repositories/(\d+)")


class Doubtful(Exception):
    """A write may or may not have taken effect."""


class WriteRefused(Exception):
    """A write was refused; `needs` is the permission that GitHub says it takes."""

    def __init__(self, status: int, said: str, needs: str = "") -> None:
        super().__init__(said)
        self.status, self.said, self.needs = status, said, needs


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What GitHub tells of a repository."""

    full_name: str
    id: int
    node_id: str
    is_private: bool
    has_issues: bool
    has_discussions: bool
    is_archived: bool
    rights: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Filed(Sent):
    """It is there, with the names that GitHub gave it."""

    number: int | None = None
    node_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIssue:
    """What is to be filed; `mark` stands in the body and finds it again."""

    title: str
    body: str
    labels: Sequence[str]
    mark: str
    decided_at: datetime


def about(api: Api, name: str, known_id: int | None = None) -> About:
    """What a repository is now, followed to its new name. Raises Gone, TryLater, SourceStopped."""
    answer = api.read(f"/repos/{name}", name)
    if answer.status in (301, 302, 307, 308):
        found = known_id or _id_of(answer)
        answer = api.read(f"/repositories/{found}", name)
    if answer.status >= 300:
        raise failure(answer, f"repository {name}")
    try:
        row = json.loads(answer.body)
        return About(
            full_name=str(row["full_name"]),
            id=int(row["id"]),
            node_id=str(row.get("node_id") or ""),
            is_private=bool(row.get("private")),
            has_issues=bool(row.get("has_issues")),
            has_discussions=bool(row.get("has_discussions")),
            is_archived=bool(row.get("archived")),
            rights=dict(row.get("permissions") or {}),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise TryLater("GitHub's answer about the repository cannot be read.") from error


def create_issue(api: Api, name: str, repository_id: int, new: NewIssue) -> Filed:
    """File an issue."""
    body = {"title": new.title, "body": new.body, "labels": list(new.labels)}
    return filed(write(api, "POST", f"/repos/{name}/issues", name, **body), repository_id)


def find_issue(
    api: Api, name: str, repository_id: int, new: NewIssue, taken: Sequence[int]
) -> Filed | None:
    """The issue of this mark, if it was filed; not by search, whose index lags.

    Somebody may have edited the mark away meanwhile: one of our very title that is nobody's is
    it too. Raises Gone, TryLater, SourceStopped.
    """
    since = new.decided_at - LOOK_BACK
    for row in _rows(api, f"/repos/{name}/issues", name, state="all", since=_time(since)):
        if "pull_request" in row:
            continue
        is_ours = new.mark in str(row.get("body"))
        # With another mark it is another of ours that says the same.
        is_alike = str(row.get("title")) == new.title and not is_own(row.get("body"))
        is_alike = is_alike and row.get("number") not in taken
        if is_ours or (is_alike and _is_young(row, since)):
            return filed(row, repository_id)
    return None


def create_advisory(api: Api, name: str, new: NewIssue) -> Filed:
    """File a draft security advisory."""
    body = {
        "summary": new.title,
        "description": new.body,
        "severity": None,
        "vulnerabilities": [
            {"package": {"ecosystem": "other", "name": name.rsplit("/", maxsplit=1)[-1]}}
        ],
    }
    return _advisory(write(api, "POST", f"/repos/{name}/security-advisories", name, **body))


def find_advisory(api: Api, name: str, mark: str) -> Filed | None:
    """The draft advisory of this mark. Raises Gone, TryLater, SourceStopped."""
    path = f"/repos/{name}/security-advisories"
    found = api.get(path, repository=name, state="draft", per_page=PAGE).value
    for row in found if isinstance(found, list) else []:
        if mark in str(row.get("description")):
            return _advisory(row)
    return None


def edit_advisory(api: Api, name: str, id_: str, body: str) -> None:
    """Write an advisory's description anew."""
    write(api, "PATCH", f"/repos/{name}/security-advisories/{id_}", name, description=body)


def comment(api: Api, name: str, number: int, body: str) -> str:
    """Comment on an issue; returns the comment's id."""
    made = write(api, "POST", f"/repos/{name}/issues/{number}/comments", name, body=body)
    return str(made["id"])


def find_comment(api: Api, name: str, number: int, mark: str) -> str:
    """The id of the comment with this mark, or nothing. Raises Gone, TryLater, SourceStopped."""
    for row in _rows(api, f"/repos/{name}/issues/{number}/comments", name):
        if mark in str(row.get("body")):
            return str(row["id"])
    return ""


def edit_comment(api: Api, name: str, id_: str, body: str) -> None:
    """Write a comment anew."""
    write(api, "PATCH", f"/repos/{name}/issues/comments/{id_}", name, body=body)


def close_issue(api: Api, name: str, number: int) -> None:
    """Close an issue as one that is not worked on here."""
    body = {"state": "closed", "state_reason": "not_planned"}
    write(api, "PATCH", f"/repos/{name}/issues/{number}", name, **body)


def set_labels(api: Api, name: str, number: int, add: Sequence[str], remove: Sequence[str]) -> None:
    """Add labels to an issue and take others off; one that is off already is no failure."""
    if add:
        write(api, "POST", f"/repos/{name}/issues/{number}/labels", name, labels=list(add))
    for label in remove:
        try:
            write(api, "DELETE", f"/repos/{name}/issues/{number}/labels/{_quoted(label)}", name)
        except WriteRefused as error:
            if error.status != 404:
                raise


def make_label(api: Api, name: str, label: str) -> str:
    """Make sure of a label; returns its node id. Raises WriteRefused if it cannot be made."""
    found = api.read(f"/repos/{name}/labels/{_quoted(label)}", name)
    if found.status == 200:
        return str(json.loads(found.body).get("node_id") or "")
    colour = LABEL_COLOURS.get(label, OTHER_COLOUR)
    try:
        made = write(api, "POST", f"/repos/{name}/labels", name, name=label, color=colour)
    except WriteRefused as error:
        if error.status == 422 and "already_exists" in error.said:
            return ""
        raise
    return str(made.get("node_id") or "")


def issue(api: Api, name: str, number: int) -> Mapping[str, Any]:
    """An issue as it is now. Raises Gone, TryLater, SourceStopped."""
    row = api.get(f"/repos/{name}/issues/{number}", repository=name).value
    if not isinstance(row, Mapping):
        raise TryLater("GitHub's answer about an issue cannot be read.")
    return row


def changed_issues(api: Api, name: str, since: str) -> Iterator[Mapping[str, Any]]:
    """Issues that changed since, oldest change first. Raises Gone, TryLater, SourceStopped."""
    order = {"state": "all", "sort": "updated", "direction": "asc"}
    yield from _rows(api, f"/repos/{name}/issues", name, since=since, **order)


def changed_comments(api: Api, name: str, since: str) -> Iterator[Mapping[str, Any]]:
    """Comments on issues that changed since. Raises Gone, TryLater, SourceStopped."""
    order = {"sort": "updated", "direction": "asc"}
    yield from _rows(api, f"/repos/{name}/issues/comments", name, since=since, **order)


def latest_release(api: Api, name: str) -> tuple[str, str]:
    """Tag and instant of the newest release, both empty without one."""
    answer = api.read(f"/repos/{name}/releases/latest", name)
    if answer.status >= 300:
        return "", ""
    row = json.loads(answer.body)
    return str(row.get("tag_name") or ""), str(row.get("published_at") or "")


def write(api: Api, method: str, path: str, name: str, /, **body: Any) -> Any:
    """Send once; its answer as JSON. Raises Doubtful, WriteRefused, TryLater, SourceStopped."""
    try:
        answer = api.write(method, path, name, **body)
    except HTTPFailure as error:
        if was_sent(error):
            raise Doubtful(f"GitHub: {error}") from error
        raise TryLater(f"GitHub: {error}") from error
    return _value(answer, path)


def filed(row: Mapping[str, Any], repository_id: int) -> Filed:
    """An issue's names. Raises Doubtful if they are not told."""
    try:
        number = int(row["number"])
        id_ = issue_id(repository_id, number)
        return Filed(id_, str(row["html_url"]), number, str(row.get("node_id") or ""))
    except (KeyError, TypeError, ValueError) as error:
        raise Doubtful("GitHub does not say whether the issue is there.") from error


def _value(answer: Answer, path: str) -> Any:
    if answer.status >= 500:
        raise Doubtful(f"GitHub answers with status {answer.status}.")
    if answer.status >= 300:
        failed = failure(answer, path)
        if isinstance(failed, TryLater) and answer.status in (403, 429):
            raise failed
        needs = answer.headers.get("x-accepted-github-permissions", "")
        raise WriteRefused(answer.status, message(answer) or str(failed), needs)
    if not answer.body.strip():
        return {}
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise Doubtful("GitHub's answer cannot be read.") from error


def _advisory(row: Mapping[str, Any]) -> Filed:
    try:
        return Filed(str(row["ghsa_id"]), str(row["html_url"]))
    except (KeyError, TypeError) as error:
        raise Doubtful("GitHub does not say whether the advisory is there.") from error


def _rows(api: Api, path: str, name: str, **params: Any) -> Iterator[Mapping[str, Any]]:
    for page in range(1, PAGES + 1):
        told = api.get(path, repository=name, per_page=PAGE, page=page, **params)
        rows = told.value if isinstance(told.value, list) else []
        yield from (row for row in rows if isinstance(row, Mapping))
        if 'rel="next"' not in told.headers.get("link", ""):
            return


def _is_young(row: Mapping[str, Any], since: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(row.get("created_at"))) >= since
    except ValueError:
        return False


def _id_of(answer: Answer) -> int:
    """Where a renamed repository went."""
    where = f"{answer.headers.get('location', '')} {answer.body[:500].decode(errors='replace')}"
    found = _ID.search(where)
    if not found:
        raise SourceStopped("The repository was renamed, and GitHub does not say to what.")
    return int(found[1])


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(label: str) -> str:
    return quote(label, safe="")
