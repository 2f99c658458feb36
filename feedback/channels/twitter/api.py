"""X's API v2 by tweepy, with everything that can go wrong in the channel's two words."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
import tweepy
from django.conf import settings

from feedback.channels.base import SourceStopped, TryLater
from feedback.credentials import credential
from feedback.http import retry_after
from feedback.requests_adapter import reason, session

FIELDS = (
    "author_id,conversation_id,created_at,lang,referenced_tweets,entities,edit_history_tweet_ids,"
    "in_reply_to_user_id,note_tweet,withheld"
).split(",")
EXPANSIONS = ["author_id", "referenced_tweets.id", "referenced_tweets.id.author_id"]
SHAPE = {"tweet_fields": FIELDS, "expansions": EXPANSIONS, "user_fields": ["name", "username"]}
LONGEST_WAIT = timedelta(hours=1)


class StaleCursor(Exception):
    """X no longer knows the id that a reading was to begin after, or the name of its next page."""


class Api:
    """One source's calls; `reads` counts the posts that X bills."""

    def __init__(self) -> None:
        """Raises SourceStopped if there is no credential."""
        if not credential("TWITTER_BEARER_TOKEN"):
            raise SourceStopped("X needs a credential: set TWITTER_BEARER_TOKEN.")
        self.reads = 0
        self.headers: Mapping[str, str] = {}
        self.client = tweepy.Client(
            credential("TWITTER_BEARER_TOKEN"),
            credential("TWITTER_API_KEY") or None,
            credential("TWITTER_API_SECRET") or None,
            credential("TWITTER_ACCESS_TOKEN") or None,
            credential("TWITTER_ACCESS_SECRET") or None,
            return_type=requests.Response,
            wait_on_rate_limit=False,
        )
        self.client.session = session(settings.TWITTER_API_URL)

    @property
    def can_write(self) -> bool:
        """Whether the credentials of a user are there."""
        names = ("API_KEY", "API_SECRET", "ACCESS_TOKEN", "ACCESS_SECRET")
        return all(credential(f"TWITTER_{name}") for name in names)

    def user_id(self, handle: str) -> str:
        """The id of a user. Raises TryLater, SourceStopped."""
        answer = self._read(lambda: self.client.get_user(username=handle))
        data = answer.get("data")
        if not isinstance(data, Mapping) or not str(data.get("id", "")).isdecimal():
            raise SourceStopped(f'X knows no user "{handle}". Mend the handle in the playbook.')
        return str(data["id"])

    def writes_as(self) -> str:
        """The handle that our replies go out under. Raises TryLater, SourceStopped."""
        data = self._read(lambda: self.client.get_me(user_auth=True)).get("data")
        return str(data.get("username") or "") if isinstance(data, Mapping) else ""

    def mentions(self, user: str, **page: Any) -> dict[str, Any]:
        """A page of a user's mentions."""
        page["pagination_token"] = page.pop("token", None)
        return self._page(lambda: self.client.get_users_mentions(user, **SHAPE, **_given(page)))

    def search(self, query: str, **page: Any) -> dict[str, Any]:
        """A page of the recent search."""
        page["next_token"] = page.pop("token", None)
        return self._page(lambda: self.client.search_recent_tweets(query, **SHAPE, **_given(page)))

    def lookup(self, ids: list[str]) -> dict[str, Any]:
        """Up to a hundred posts by their ids."""
        return self._page(lambda: self.client.get_tweets(ids, **SHAPE))

    def own_posts(self, user: str, since: str) -> dict[str, Any]:
        """Our own newest posts after one."""
        return self._page(
            lambda: self.client.get_users_tweets(
                user, since_id=since, max_results=100, tweet_fields=FIELDS
            )
        )

    def _page(self, call: Callable[[], Any]) -> dict[str, Any]:
        answer = self._read(call)
        data = answer.get("data")
        self.reads += len(data) if isinstance(data, list) else 0
        return answer

    def _read(self, call: Callable[[], Any]) -> dict[str, Any]:
        """What a read answers. Raises TryLater, SourceStopped, StaleCursor."""
        try:
            response = call()
        except tweepy.HTTPException as error:
            raise _failure(error) from error
        except (requests.RequestException, tweepy.TweepyException) as error:
            raise TryLater(f"X cannot be reached: {reason(error)}.") from error
        self.headers = response.headers
        try:
            answer = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            raise TryLater("X answers with what is not JSON.") from error
        if not isinstance(answer, dict):
            raise TryLater("X answers with what is no object.")
        return answer


def detail(response: requests.Response) -> str:
    """What X says about a failure, in one short line."""
    try:
        said = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, Mapping):
        return ""
    inner = said.get("errors")
    first = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], Mapping) else {}
    words = first.get("message") or said.get("detail") or said.get("title") or ""
    return " ".join(str(words).split())[:200]


def pause(headers: Mapping[str, str]) -> timedelta | None:
    """How long X's limit lasts: as told, or until its reset."""
    if told := retry_after(headers):
        return min(told, LONGEST_WAIT)
    value = headers.get("x-rate-limit-reset", "")
    if not value.isdecimal() or len(value) > 12:
        return None
    until = datetime.fromtimestamp(int(value), UTC) - datetime.now(UTC)
    return min(max(until, timedelta(seconds=1)), LONGEST_WAIT)


def _failure(error: tweepy.HTTPException) -> Exception:
    response = error.response
    status, said = response.status_code, detail(response)
    if status == 400 and any(word in said for word in ("since_id", "token")):
        return StaleCursor(said)
    if status == 429 or status >= 500:
        return TryLater(f"X answers with status {status}.", pause(response.headers))
    if status == 401:
        return SourceStopped("X refuses the credential. Set TWITTER_BEARER_TOKEN anew.")
    if status == 402:
        return SourceStopped("X's credits are used up. Buy some, then poll this source again.")
    if status == 403:
        return SourceStopped(f"X does not allow this: {said or 'see your plan and its rights'}.")
    if status == 400:
        return SourceStopped(f"X refuses the query: {said or 'mend it in the playbook'}.")
    return TryLater(f"X answers with status {status}.")


def _given(page: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in page.items() if value is not None}
