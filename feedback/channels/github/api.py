"""GitHub's REST and GraphQL over bounded HTTP, with a token or as an app."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings

from feedback.channels.base import SourceStopped, TryLater
from feedback.credentials import credential
from feedback.http import Answer, HTTPFailure, TooBig, Unreachable, client, fetch, retry_after

VERSION = "2022-11-28"
SECONDARY = timedelta(seconds=60)  # GitHub's own advice where it names no time
LONGEST_WAIT = timedelta(hours=1)
EARLY = 300  # seconds before its end in which an app's token is not used any more


class Gone(Exception):
    """GitHub has no such thing, or does not show it to us."""


class Moved(SourceStopped):
    """It stands at another address now: renamed, or transferred to another repository."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: its value (None with status 304), and its headers."""

    value: Any
    headers: Mapping[str, str]
    status: int = 200


class Api:
    """Calls with one set of connections; `limits` has what GitHub told last."""

    def __init__(self) -> None:
        """Raises SourceStopped if there is no credential."""
        if not credential("GITHUB_TOKEN") and not credential("GITHUB_APP_ID"):
            raise SourceStopped("GitHub needs a credential: set GITHUB_TOKEN.")
        self._http = client(4)
        self._base = settings.GITHUB_API_URL.rstrip("/")
        self.limits: dict[str, str | int] = {}
        self._used_up: dict[str, datetime] = {}  # by resource: until when nothing is left
        self._app_tokens: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, *, etag: str = "", repository: str = "", **params: Any) -> Told:
        """Raises Gone, TryLater, SourceStopped."""
        headers = {"if-none-match": etag} if etag else {}
        answer = self._ask("GET", path, repository, params=dict(params), extra=headers)
        if answer.status == 304:
            return Told(None, answer.headers, 304)
        if answer.status >= 300:
            raise failure(answer, path)
        return Told(_json(answer), answer.headers)

    def read(self, path: str, repository: str, **params: Any) -> Answer:
        """The answer to a GET, whatever its status. Raises TryLater."""
        return self._ask("GET", path, repository, params=params, extra={})

    def graphql(self, query: str, repository: str, **variables: Any) -> Mapping[str, Any]:
        """The data of a query. Raises Gone, TryLater, SourceStopped."""
        return data_of(self._query(query, repository, variables))

    def nodes(self, query: str, repository: str, ids: list[str]) -> list[Mapping[str, Any] | None]:
        """What nodes are, None for one that is gone. Raises TryLater, SourceStopped."""
        value = self._query(query, repository, {"ids": ids})
        errors = value.get("errors") if isinstance(value, Mapping) else None
        kinds = {one.get("type") for one in errors or [] if isinstance(one, Mapping)}
        if kinds != {"NOT_FOUND"}:
            data_of(value)
        data = value.get("data")
        found = data.get("nodes") if isinstance(data, Mapping) else None
        if not isinstance(found, list) or len(found) != len(ids):
            raise TryLater("GitHub's GraphQL answers with no nodes.")
        return [node if isinstance(node, Mapping) else None for node in found]

    def _query(self, query: str, repository: str, variables: Mapping[str, Any]) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        answer = self._ask("POST", self.graphql_path, repository, content=body)
        if answer.status >= 300:
            raise failure(answer, "GraphQL")
        return _json(answer)

    def login(self, repository: str) -> str:
        """The name under which we write. Raises TryLater, SourceStopped."""
        try:
            if credential("GITHUB_TOKEN"):
                told = self.get("/user", repository=repository).value
                return str(told.get("login") or "") if isinstance(told, Mapping) else ""
            told = self._as_app("/app")
            slug = told.get("slug") if isinstance(told, Mapping) else None
        except Gone:
            return ""  # a token that is nobody's
        return f"{slug}[bot]" if slug else ""

    @property
    def graphql_path(self) -> str:
        """Where GraphQL is: beside `/api/v3` of an Enterprise server, else below the origin."""
        return "/../graphql" if urlsplit(self._base).path.endswith("/v3") else "/graphql"

    def write(self, method: str, path: str, repository: str, /, **body: Any) -> Answer:
        """Send once, whatever comes of it. Raises HTTPFailure, SourceStopped, TryLater."""
        content = json.dumps(body).encode()
        return self._send(method, path, repository, content=content)

    def _ask(self, method: str, path: str, repository: str, **options: Any) -> Answer:
        """Send a read. Raises TryLater, SourceStopped."""
        resource = "graphql" if path == self.graphql_path else "core"
        if (left := self._used_up.get(resource)) and left > datetime.now(UTC):
            raise TryLater("GitHub's limit is reached.", left - datetime.now(UTC))
        try:
            answer = self._send(method, path, repository, **options)
        except HTTPFailure as error:
            raise TryLater(f"GitHub: {error}") from error
        if answer.status < 400 and answer.headers.get("x-ratelimit-remaining") == "0":
            self._used_up[resource] = datetime.now(UTC) + limit_wait(answer)
        return answer

    def _send(
        self, method: str, path: str, repository: str, extra: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:  # fmt: skip
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {self._token(repository)}",
            "x-github-api-version": VERSION,
            **(extra or {}),
        }
        base = self._base
        if path.startswith("/../"):
            base, path = base.rsplit("/", 1)[0], path[3:]
        answer = fetch(self._http, method, base + path, headers=headers, **options)
        if left := answer.headers.get("x-ratelimit-remaining", ""):
            self.limits["requests left"] = int(left) if left.isdecimal() else left
        return answer

    def _token(self, repository: str) -> str:
        if token := credential("GITHUB_TOKEN"):
            return token
        kept, until = self._app_tokens.get(repository, ("", 0.0))
        if until - EARLY < time.time():
            kept, until = self._app_token(repository)
            self._app_tokens[repository] = (kept, until)
        return kept

    def installation(self, repository: str) -> Mapping[str, str]:
        """The permissions of the app in a repository. Raises TryLater, SourceStopped."""
        given = self._installed(repository).get("permissions")
        return given if isinstance(given, Mapping) else {}

    def _installed(self, repository: str) -> Mapping[str, Any]:
        value = self._as_installed(repository, f"/repos/{repository}/installation")
        return value if isinstance(value, Mapping) else {}

    def _app_token(self, repository: str) -> tuple[str, float]:
        """A token of the app's installation in a repository, and when it ends."""
        try:
            path = f"/app/installations/{self._installed(repository)['id']}/access_tokens"
            value = self._as_installed(repository, path, "POST")
            return str(value["token"]), datetime.fromisoformat(value["expires_at"]).timestamp()
        except (KeyError, TypeError, ValueError) as error:
            raise TryLater("GitHub's answer to the app cannot be read.") from error

    def _as_installed(self, repository: str, path: str, method: str = "GET") -> Any:
        try:
            return self._as_app(path, method)
        except Gone as error:
            raise SourceStopped(f"The GitHub app is not installed in {repository}.") from error

    def _as_app(self, path: str, method: str = "GET") -> Any:
        """What GitHub tells the app itself. Raises Gone, TryLater, SourceStopped."""
        headers = {"authorization": f"Bearer {_app_jwt()}", "accept": "application/vnd.github+json"}
        try:
            answer = fetch(self._http, method, self._base + path, headers=headers)
        except HTTPFailure as error:
            raise TryLater(f"GitHub: {error}") from error
        if answer.status >= 300:
            raise failure(answer, path)
        return _json(answer)


def failure(answer: Answer, path: str) -> TryLater | SourceStopped | Gone:
    """What a refusing answer means."""
    said, status = message(answer), answer.status
    if status == 429 or (status == 403 and _is_limit(answer, said)):
        return TryLater("GitHub's limit is reached.", limit_wait(answer))
    if status == 401:
        return SourceStopped("GitHub refuses the credential. Set GITHUB_TOKEN anew.")
    if status == 403:
        return SourceStopped(f"GitHub does not allow {path}: {said or 'a right is missing'}.")
    if status in (301, 308):
        return Moved(f"{path} was renamed or moved. Write its new name in the playbook.")
    if status in (404, 410):
        return Gone(f"GitHub has no {path}, or does not show it to this credential.")
    return TryLater(f"GitHub answers with status {status}. {said}".strip())


def message(answer: Answer) -> str:
    """What GitHub says about a failure, in one short line."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(value, Mapping):
        return ""
    errors = value.get("errors")
    details = [
        str(one.get("message") or f"{one.get('field')} {one.get('code')}")
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, Mapping)
    ]
    return " ".join(" ".join([str(value.get("message") or ""), *details]).split())[:200]


def limit_wait(answer: Answer) -> timedelta:
    """How long a limit lasts: as told, until the reset, or a minute."""
    if pause := retry_after(answer.headers):
        return pause
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        until = datetime.fromtimestamp(min(int(reset), 2**33), UTC) - datetime.now(UTC)
        return min(max(until, timedelta(seconds=1)), LONGEST_WAIT)
    return SECONDARY


def data_of(value: Any) -> Mapping[str, Any]:
    """The data of a GraphQL answer; errors come with status 200.

    Raises Gone, TryLater, SourceStopped.
    """
    errors = value.get("errors") if isinstance(value, Mapping) else None
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], Mapping) else {}
        said = str(first.get("message", ""))[:200]
        kind = first.get("type")
        if kind == "NOT_FOUND":
            raise Gone(said)
        if kind == "RATE_LIMITED":
            raise TryLater("GitHub's limit is reached.", SECONDARY)
        if kind in ("FORBIDDEN", "INSUFFICIENT_SCOPES"):
            raise SourceStopped(f"GitHub does not allow this: {said}")
        raise TryLater(f"GitHub's GraphQL answers: {said}")
    data = value.get("data") if isinstance(value, Mapping) else None
    if not isinstance(data, Mapping):
        raise TryLater("GitHub's GraphQL answers with no data.")
    return data


def was_sent(error: HTTPFailure) -> bool:
    """Whether a failed write may have taken effect."""
    return not (isinstance(error, Unreachable) and "does not answer" in str(error)) or isinstance(
        error, TooBig
    )


def _is_limit(answer: Answer, said: str) -> bool:
    words = said.casefold()
    return (
        "retry-after" in answer.headers
        or answer.headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in words
        or "abuse" in words
    )


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise TryLater("GitHub answers with what is not JSON.") from error


def _app_jwt() -> str:
    import jwt

    now, path = int(time.time()), settings.GITHUB_APP_KEY_FILE
    if path is None:
        raise SourceStopped("A GitHub app needs its key: set GITHUB_APP_KEY_FILE.")
    claims = {"iat": now - 60, "exp": now + 540, "iss": credential("GITHUB_APP_ID")}
    try:
        return jwt.encode(claims, path.read_text(encoding="utf-8"), "RS256")
    except (OSError, ValueError, jwt.PyJWTError) as error:
        raise SourceStopped(f"GITHUB_APP_KEY_FILE cannot be used: {error}.") from error
