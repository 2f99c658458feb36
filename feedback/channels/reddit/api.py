"""Reddit's API by praw, without its hidden retries of writes and its sleeps in the worker."""

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import praw
import prawcore
import requests
from django.conf import settings
from praw.exceptions import PRAWException

from feedback.channels.base import SourceStopped, TryLater
from feedback.credentials import credential
from feedback.http import USER_AGENT, retry_after
from feedback.requests_adapter import reason, session

PACE_SECONDS = 1.0  # of prawcore's own pace that are not kept: a limit grows until it is


class NotReached(Exception):
    """No connection was made: nothing happened."""


class Lost(Exception):
    """A request was sent and no usable answer came."""


class Limited(Exception):
    """Reddit asks for a pause; nothing happened."""

    def __init__(self, wait: timedelta | None) -> None:
        super().__init__("Reddit's limit is reached.")
        self.wait = wait


class Requestor(prawcore.Requestor):
    """Sends once: what goes wrong passes prawcore by, which would repeat a post."""

    def request(  # type: ignore[override]
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """Raises NotReached, Lost or Limited; other answers are prawcore's to read."""
        options |= {"timeout": None, "allow_redirects": False}  # the adapter has its own time-outs
        try:
            answer = self._http.request(method, url, **options)
        except requests.ConnectTimeout as error:
            raise NotReached("Reddit does not answer.") from error
        except requests.RequestException as error:
            raise Lost(f"Reddit cannot be reached: {reason(error)}.") from error
        if answer.status_code >= 500 or answer.status_code == 408:  # prawcore repeats them
            raise Lost(f"Reddit answers with status {answer.status_code}.")
        if answer.status_code == 429:
            raise Limited(retry_after(answer.headers) or _reset(answer.headers))
        return answer


class Api:
    """One source's calls. One instance a thread."""

    def __init__(self) -> None:
        """Raises SourceStopped if there is no credential."""
        if not credential("REDDIT_CLIENT_ID"):
            raise SourceStopped(
                "Reddit needs a credential: set REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET."
            )
        self._reddit = _reddit()

    @property
    def is_user(self) -> bool:
        """Whether the credentials are a user's, who has an inbox and may write."""
        return bool(_user())

    def get(self, path: str, **params: Any) -> Any:
        """What Reddit says. Raises TryLater, SourceStopped."""
        self._spare_the_limiter()
        try:
            return self._reddit.request(method="GET", path=path, params={"raw_json": 1, **params})
        except (NotReached, Lost) as error:
            raise TryLater(str(error)) from error
        except Limited as error:
            raise TryLater(str(error), error.wait) from error
        except (prawcore.PrawcoreException, PRAWException, ValueError, KeyError) as error:
            raise failure(error, path) from error

    def post(self, path: str, **data: Any) -> Any:
        """Write once. Raises NotReached, Lost, Limited, TryLater, SourceStopped."""
        self._spare_the_limiter()
        try:
            return self._reddit.request(method="POST", path=path, data=data)
        except prawcore.exceptions.BadJSON as error:
            raise Lost("Reddit answers with what is not JSON.") from error

    def limits(self) -> dict[str, str | int]:
        """What Reddit told of its limit, for staff."""
        left = self._limiter.remaining
        return {} if left is None else {"requests left": int(left)}

    @property
    def _limiter(self) -> Any:
        core: Any = self._reddit._core  # noqa: SLF001 - told nowhere else
        return core.rate_limiter

    def pause(self) -> timedelta | None:
        """How long Reddit's limit lasts, None where there is room for another request."""
        at = self._limiter.next_request_timestamp_ns
        seconds = (at - time.monotonic_ns()) / 1e9 if at else 0.0
        return timedelta(seconds=min(seconds, 3600)) if seconds > PACE_SECONDS else None

    def _spare_the_limiter(self) -> None:
        """prawcore would sleep in the worker until its limit is over: say so instead."""
        if pause := self.pause():
            raise TryLater("Reddit's limit is reached.", pause)
        self._limiter.next_request_timestamp_ns = None  # nor for the rest of its pace


class _Kept(threading.local):
    """Each thread's own praw, for it is not safe to share; it keeps its token and its limits."""

    key: tuple[str, ...] = ()
    reddit: Any = None


_kept = _Kept()


def _reddit() -> Any:
    """This thread's praw for the present credentials."""
    names = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "REFRESH_TOKEN")
    key = (
        settings.REDDIT_URL,
        settings.REDDIT_OAUTH_URL,
        *(credential(f"REDDIT_{n}") for n in names),
    )
    if _kept.key != key:
        _kept.reddit, _kept.key = _made(), key
    return _kept.reddit


def _made() -> Any:
    return praw.Reddit(
        client_id=credential("REDDIT_CLIENT_ID"),
        client_secret=credential("REDDIT_CLIENT_SECRET") or None,
        user_agent=f"{USER_AGENT} by u/{credential('REDDIT_USERNAME') or 'unknown'}",
        reddit_url=settings.REDDIT_URL,
        oauth_url=settings.REDDIT_OAUTH_URL,
        check_for_updates=False,
        ratelimit_seconds=0,
        requestor_class=Requestor,
        requestor_kwargs={"session": session()},
        **_user(),
    )


def failure(error: Exception, path: str) -> TryLater | SourceStopped:
    """What a failed read means."""
    kinds = prawcore.exceptions
    if isinstance(error, kinds.OAuthException | kinds.InvalidToken | kinds.InsufficientScope):
        return SourceStopped("Reddit refuses the credential. Check the REDDIT_… settings.")
    if isinstance(error, kinds.Redirect | kinds.NotFound):
        missing = isinstance(error, kinds.NotFound) or "search" in str(error)
        if missing:
            return SourceStopped(f"Reddit has no {path}. Mend the source in the playbook.")
        return TryLater("Reddit answers with a redirect.")
    if isinstance(error, kinds.BadJSON):
        return TryLater("Reddit answers with what is not JSON.")
    if isinstance(error, kinds.Forbidden):
        return SourceStopped(f"Reddit does not let us read {path}: private, banned or no right.")
    if isinstance(error, kinds.ResponseException):
        status = error.response.status_code
        if status == 401:
            return SourceStopped("Reddit refuses the credential. Check the REDDIT_… settings.")
        return TryLater(f"Reddit answers with status {status}.")
    return TryLater(f"Reddit's answer cannot be read: {type(error).__name__}.")


def _user() -> dict[str, str]:
    if token := credential("REDDIT_REFRESH_TOKEN"):
        return {"refresh_token": token}
    name, password = credential("REDDIT_USERNAME"), credential("REDDIT_PASSWORD")
    return {"username": name, "password": password} if name and password else {}


def _reset(headers: Mapping[str, str]) -> timedelta | None:
    value = headers.get("x-ratelimit-reset", "")
    return timedelta(seconds=min(int(value), 3600)) if value.isdecimal() else None
