"""Twitter/X: mentions and the recent search are read, and replies sent, over its API v2.

X bills each post that is read, and lets programs answer only those who mention or quote us; all
others a person answers on the page that `channels.reply_page` names.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import requests
import tweepy

from feedback.channels.base import (
    Absent,
    Batch,
    ByHand,
    ChannelError,
    Health,
    Later,
    Post,
    Refused,
    Reply,
    Sent,
    SourceStopped,
    TryLater,
    Unreadable,
    Unsure,
)
from feedback.channels.gaps import gap, still_told, told
from feedback.channels.rounds import Round
from feedback.channels.twitter.api import Api, StaleCursor, detail
from feedback.channels.twitter.meter import Meter
from feedback.channels.twitter.refusals import LONGEST, refusal, weight
from feedback.channels.twitter.tweets import Page, gone, last_version, speaks_to, written_at
from feedback.requests_adapter import reason

MENTIONS = "mentions"
PAGES = 5  # of one poll
PAGE_SIZE = 100
SEARCHABLE = timedelta(days=7) - timedelta(minutes=5)  # how far the recent search reaches back
CAP = 10_000
LOOKED_UP = 100


class Twitter:
    """One source: `handle`, `queries`, `monthly_reads`, `backfill`."""

    can_reply: ClassVar[bool] = True
    like_word: ClassVar[str] = "Like"

    def __init__(self, config: Mapping[str, Any], *, team: frozenset[str] = frozenset()) -> None:
        del team  # what our own team writes is read like all else; intake tells it apart
        self._handle = str(config.get("handle") or "").lstrip("@")
        self._queries = [str(query) for query in config.get("queries") or []]
        self._cap = int(config.get("monthly_reads") or CAP)
        self._backfill = _seconds(config.get("backfill"))
        self._long_posts = bool(config.get("long_posts"))
        if not self._handle and not self._queries:
            raise SourceStopped('X: name our "handle", or words to search in "queries".')

    def poll(self, cursor: Mapping[str, Any]) -> Batch:
        """Read what is new in the mentions and in every search, page by page."""
        now = datetime.now(UTC)
        reading = _Reading(cursor, Meter.of(cursor, self._cap, now))
        mentions = [MENTIONS] if self._handle else []
        parts = Round(cursor, [*mentions, *self._queries])
        if not reading.meter.is_full:
            api = Api()
            user = self._user(api, reading.cursor)
            parts.run(
                lambda key: self._read(api, user, key, reading), lambda: reading.is_full(api.reads)
            )
            reading.meter = reading.meter.plus(api.reads)
            parts.tell_failure(has_news=bool(api.reads or reading.unreadable))
        return reading.batch(now, parts, self._handle)

    def _read(self, api: Api, user: str, key: str, reading: "_Reading") -> bool:
        """Pages of one part until it has no more (true), or this poll has read enough."""
        state = reading.state(key)
        while not reading.is_full(api.reads):
            page = self._page(api, user, key, reading)
            reading.take(page)
            state["newest"] = max(state.get("newest", 0), page.newest)
            state["token"] = page.next_token
            if not page.next_token:
                state["since"] = max(state.get("since", 0), state.pop("newest"))
                return True
        return False

    def _page(self, api: Api, user: str, key: str, reading: "_Reading") -> Page:
        state = reading.state(key)

        def ask() -> Page:
            since = state.get("since") or None
            begin = None if since else datetime.now(UTC) - min(self._backfill, SEARCHABLE)
            page = {
                "since_id": since,
                "start_time": begin.strftime("%Y-%m-%dT%H:%M:%SZ") if begin else None,
                "token": state.get("token") or None,
                "max_results": PAGE_SIZE,
            }
            return Page(api.mentions(user, **page) if key == MENTIONS else api.search(key, **page))

        try:
            return ask()
        except StaleCursor:
            if state.pop("token", None):  # pages go stale too: they are read again from `since`
                return ask()
            since, begin = state.get("since"), datetime.now(UTC) - SEARCHABLE
            if since and written_at(since) < begin:
                reading.gaps.append(gap(key, written_at(since), begin))
            state.clear()  # what X still has is read
            self._backfill = SEARCHABLE
            return ask()

    def _user(self, api: Api, cursor: dict[str, Any]) -> str:
        if not self._handle:
            return ""
        if cursor.get("handle") != self._handle or not cursor.get("user"):
            cursor["user"], cursor["handle"] = api.user_id(self._handle), self._handle
        return str(cursor["user"])

    def parse(self, raw: Any) -> Post:
        """Make a post of what an answer's row held. Raises ValueError."""
        if not isinstance(raw, Mapping):
            raise ValueError("this is no object, so it is no post")
        return Page({"data": [raw]}).post(raw)

    def may_look(self, cursor: Mapping[str, Any]) -> bool:
        """Whether posts may be looked at again: X bills each of them as if it were new."""
        return not Meter.of(cursor, self._cap, datetime.now(UTC)).is_full

    def refresh(self, external_ids: Sequence[str]) -> list[Post]:
        """What became of these posts."""
        asked = [id_ for id_ in external_ids if id_.isdecimal()][:LOOKED_UP]
        if not asked:
            return []
        api = Api()
        page = Page(api.lookup(asked))
        newer = [last_version(row) for row in page.rows if last_version(row) != str(row.get("id"))]
        found = [post for post in page.read() if isinstance(post, Post)]
        if newer:
            found += [post for post in Page(api.lookup(newer)).read() if isinstance(post, Post)]
        return found + [gone(id_) for id_ in asked if id_ in page.missing]

    def check(self) -> Health:
        """Look our own user up."""
        try:
            api = Api()
            if self._handle:
                api.user_id(self._handle)
            else:
                api.search(self._queries[0], max_results=10)
            writes_as = api.writes_as() if api.can_write else ""
        except ChannelError as error:
            return Health(ok=False, message=str(error))
        if writes_as and self._handle and writes_as.casefold() != self._handle.casefold():
            return Health(
                ok=False,
                message=f"TWITTER_ACCESS_TOKEN belongs to @{writes_as}, not to @{self._handle}.",
            )
        if not writes_as:
            return Health(
                ok=True,
                message="Reads. To send replies, set TWITTER_API_KEY, TWITTER_API_SECRET, "
                "TWITTER_ACCESS_TOKEN and TWITTER_ACCESS_SECRET.",
            )
        return Health(ok=True, message=f"Reads, and replies as @{writes_as}.")

    def reply(self, reply: Reply) -> Sent | Later | ByHand | Refused | Unsure:
        """Post one reply, once."""
        parent = str(reply.parent.get("id") or reply.parent_id)
        if not self._handle or not speaks_to(reply.parent, self._handle):
            return ByHand("X lets programs answer only those who mention or quote us.")
        if not self._long_posts and (length := weight(reply.text)) > LONGEST:
            return Refused(f"X takes {LONGEST} characters; this has {length}. Shorten it.")
        try:
            api = Api()
        except SourceStopped as error:
            return Refused(str(error))
        if not api.can_write:
            return ByHand("Without TWITTER_API_KEY and the other three, a person posts it.")
        try:
            response = api.client.create_tweet(
                text=reply.text, in_reply_to_tweet_id=parent, user_auth=True
            )
            id_ = str(response.json()["data"]["id"])
        except tweepy.HTTPException as error:
            if "duplicate" in detail(error.response).casefold():
                return self._duplicate(reply)
            return refusal(error.response)
        except requests.ConnectTimeout:
            return Later("X does not answer.")
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            return Unsure(f"X's answer was lost: {type(error).__name__}.")
        return Sent(id_, f"https://x.com/{self._handle}/status/{id_}")

    def _duplicate(self, reply: Reply) -> Sent | Refused | Unsure:
        """X has had this text from us: by an attempt whose answer was lost, or elsewhere."""
        try:
            found = self.find(reply)
        except TryLater as error:
            return Unsure(str(error))
        if isinstance(found, Sent):
            return found
        return Refused("X has had this very text from us already. Say it in other words.")

    def like(self, post_id: str, raw: Mapping[str, Any]) -> Sent | Later | Refused | Unsure:
        """Like a post."""
        try:
            api = Api()
            if not api.can_write:
                return Refused("To like posts, set TWITTER_API_KEY and the other three.")
            api.client.like(str(raw.get("id") or post_id), user_auth=True)
        except SourceStopped as error:
            return Refused(str(error))
        except tweepy.HTTPException as error:
            came = refusal(error.response)
            return Refused(came.reason) if isinstance(came, ByHand) else came
        except requests.RequestException as error:
            return Unsure(f"X cannot be reached: {reason(error)}.")
        return Sent(post_id)

    def find(self, reply: Reply) -> Sent | Absent:
        """Look for the reply among our own newest posts."""
        parent = str(reply.parent.get("id") or reply.parent_id)
        api = Api()
        try:
            page = Page(api.own_posts(api.user_id(self._handle), parent))
        except (SourceStopped, StaleCursor) as error:
            raise TryLater(str(error)) from error
        wanted = reply.text.split()
        for post in page.read():
            if isinstance(post, Post) and post.parent_id == parent and _words(post) == wanted:
                return Sent(
                    post.external_id, f"https://x.com/{self._handle}/status/{post.external_id}"
                )
        return Absent()


class _Reading:
    """What one poll has read so far, and the cursor that covers exactly this."""

    def __init__(self, cursor: Mapping[str, Any], meter: Meter) -> None:
        parts = cursor.get("parts")
        kept = {k: dict(v) for k, v in parts.items()} if isinstance(parts, Mapping) else {}
        self.cursor: dict[str, Any] = {**cursor, "parts": kept}
        self.meter = meter
        self.gaps = still_told(cursor)
        self.posts: dict[str, Post] = {}
        self.unreadable: list[Unreadable] = []
        self.pages = 0
        kept_retweets = cursor.get("retweets")
        self.retweets = kept_retweets if isinstance(kept_retweets, int) else 0

    def is_full(self, reads: int) -> bool:
        """Whether this poll has read enough; `reads` are those of this poll that X bills."""
        return self.pages >= PAGES or self.meter.plus(reads).is_full

    def state(self, key: str) -> dict[str, Any]:
        state: dict[str, Any] = self.cursor["parts"].setdefault(key, {})
        return state

    def take(self, page: Page) -> None:
        self.pages += 1
        self.retweets += page.retweets
        for read in page.read():
            if isinstance(read, Post):
                self.posts.setdefault(read.external_id, read)  # the newest version comes first
            else:
                self.unreadable.append(read)

    def batch(self, now: datetime, parts: Round, account: str) -> Batch:
        self.cursor["meter"] = self.meter.kept()
        self.cursor |= {**parts.cursor(), "retweets": self.retweets, "gaps": self.gaps}
        retweets = {"retweets": self.retweets} if self.retweets else {}
        return Batch(
            posts=tuple(self.posts.values()),
            unreadable=tuple(self.unreadable),
            cursor=self.cursor,
            no_sooner=self.meter.wait(now),
            more=parts.more and not self.meter.is_full,
            failure=parts.failure,
            account=account,
            meter=self.meter.words(now) | retweets | told(self.gaps),
        )


def _words(post: Post) -> list[str]:
    """The words of a reply without the handles that X puts before them."""
    words = post.text.split()
    while words and words[0].startswith("@"):
        words = words[1:]
    return words


def _seconds(value: Any) -> timedelta:
    text = str(value or "86400s").removesuffix("s")
    return timedelta(seconds=int(text)) if text.isdecimal() else timedelta(days=1)
