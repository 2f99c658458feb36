"""Reddit: subreddits' new posts and comments that say our words, our submissions, our inbox."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import prawcore
from praw.exceptions import PRAWException

from feedback import query
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
from feedback.channels.reddit.api import Api, Limited, Lost, NotReached, failure
from feedback.channels.reddit.things import post_of, rows_of, tree_of
from feedback.credentials import credential

PAGES = 6  # of one poll
PAGE_SIZE = 100
OVERLAP = 120  # seconds; listings are not strictly in order
MORE_AT_ONCE = 100  # comments that one request for "more" may name
MORE_KEPT = 20_000  # ids of comments still to be fetched
LOOKED_UP = 100
FINAL = (
    "THREAD_LOCKED TOO_OLD DELETED_COMMENT DELETED_LINK TOO_LONG NO_TEXT BANNED_FROM_SUBREDDIT "
    "USER_BLOCKED NOT_WHITELISTED_BY_USER_MESSAGE SUBREDDIT_OUTBOUND_LINKING_DISALLOWED"
).split()
_PAUSE = re.compile(r"(\d+)\s*(second|minute|hour)", re.IGNORECASE)
_UNIT = {"second": 1, "minute": 60, "hour": 3600}


class Reddit:
    """One source: `subreddits`, `words`, `submissions`, `inbox`, `backfill`."""

    can_reply: ClassVar[bool] = True

    def __init__(self, config: Mapping[str, Any], *, team: frozenset[str] = frozenset()) -> None:
        del team  # what our own team writes is read like all else; intake tells it apart
        self._subreddits = [str(n).removeprefix("r/") for n in config.get("subreddits") or []]
        self._submissions = [_submission(value) for value in config.get("submissions") or []]
        self._inbox = bool(config.get("inbox"))
        self._backfill = int(str(config.get("backfill") or "86400s").removesuffix("s"))
        words = [str(word).replace('"', " ") for word in config.get("words") or []]
        self._says = query.parse(" OR ".join(f'"{word}"' for word in words)) if words else None
        if not (self._subreddits or self._submissions or self._inbox):
            raise SourceStopped(
                "Reddit: name subreddits, submissions of ours, or set inbox = true."
            )

    def poll(self, cursor: Mapping[str, Any]) -> Batch:
        """Read what is new in every listing and tree, newest first, back to what is known."""
        api, reading = Api(), _Reading(cursor, int(time.time()) - self._backfill)
        for name in self._subreddits:
            self._listing(api, reading, f"r/{name}/new", self._is_about)
            self._listing(api, reading, f"r/{name}/comments", self._is_about)
        if self._inbox:
            if not api.is_user:
                raise SourceStopped("Reddit's inbox needs REDDIT_USERNAME and REDDIT_PASSWORD.")
            self._listing(api, reading, "message/inbox", lambda _: True)
        for submission in self._submissions:
            self._tree(api, reading, submission)
        return reading.batch(api.limits())

    def _listing(
        self, api: Api, reading: "_Reading", path: str, wanted: Callable[[Post], bool]
    ) -> None:
        """Pages of one listing until a page reaches what was read before."""
        state = reading.state(path)
        while reading.pages < PAGES:
            page = api.get(
                path, limit=PAGE_SIZE, **({"after": a} if (a := state.get("after")) else {})
            )
            rows, token = _page(page)
            oldest = reading.take(rows, state, wanted)
            reading.pages += 1
            if not token or not rows or oldest < state["since"]:
                state["since"] = max(state["since"], state.pop("newest", 0) - OVERLAP)
                state.pop("after", None)
                return
            state["after"] = token
        reading.more = True

    def _tree(self, api: Api, reading: "_Reading", submission: str) -> None:
        """A submission with all its comments; what Reddit leaves out is asked for, bit by bit."""
        state = reading.state(f"comments/{submission}")
        if not state.get("more"):
            answer = api.get(f"comments/{submission}", limit=500, sort="new")
            try:
                head, comments = rows_of(answer[0])[0], rows_of(answer[1])
            except (ValueError, IndexError, KeyError, TypeError) as error:
                raise TryLater("Reddit's answer to a submission cannot be read.") from error
            data = head.get("data") or {}
            count = data.get("num_comments")
            state["title"] = str(data.get("title") or "")[:300]
            found = list(tree_of(comments))
            reading.add([head, *found], state["title"])
            if state.get("count") != count:
                state["more"] = _left_out(found)[:MORE_KEPT]
            state["count"] = count
        while state.get("more") and reading.pages < PAGES:
            ids, state["more"] = state["more"][:MORE_AT_ONCE], state["more"][MORE_AT_ONCE:]
            answer = api.get(
                "api/morechildren",
                api_type="json",
                link_id=f"t3_{submission}",
                children=",".join(ids),
            )
            rows = _things(answer)
            reading.add(rows, state["title"])
            reading.pages += 1
            state["more"] = [*state["more"], *_left_out(rows)][:MORE_KEPT]
        reading.more |= bool(state.get("more"))

    def _is_about(self, post: Post) -> bool:
        if self._says is None:
            return True
        text = f"{post.title}\n{post.text}" if post.external_id.startswith("t3_") else post.text
        return self._says(query.Subject(text, post.author or "", post.url, lambda: ""))

    def parse(self, raw: Any) -> Post:
        """Make a post of a thing. Raises ValueError."""
        if not isinstance(raw, Mapping):
            raise ValueError("this is no object, so it is no post")
        return post_of(raw)

    def refresh(self, external_ids: Sequence[str]) -> list[Post]:
        """What became of these posts and comments; private messages stay as they are."""
        asked = [name for name in external_ids if name.startswith(("t1_", "t3_"))][:LOOKED_UP]
        if not asked:
            return []
        rows = _listed(Api().get("api/info", id=",".join(asked)))
        found = []
        for row in rows:
            try:
                found.append(post_of(row))
            except ValueError:
                continue
        return found

    def check(self) -> Health:
        """Ask who we are, or whether the first subreddit may be read."""
        try:
            api = Api()
            if api.is_user:
                api.get("api/v1/me")
                return Health(ok=True, message="Reads, and has what it needs to reply.")
            for name in self._subreddits[:1]:
                api.get(f"r/{name}/about")
        except ChannelError as error:
            return Health(ok=False, message=str(error))
        return Health(
            ok=not self._inbox,
            message="Reads. For replies and the inbox, set REDDIT_USERNAME and REDDIT_PASSWORD.",
        )

    def reply(self, reply: Reply) -> Sent | Later | ByHand | Refused | Unsure:
        """Comment once."""
        try:
            api = Api()
            if not api.is_user:
                return ByHand("Without REDDIT_USERNAME and REDDIT_PASSWORD a person posts it.")
            answer = api.post(
                "api/comment/", api_type="json", thing_id=reply.parent_id, text=reply.text
            )
        except NotReached as error:
            return Later(str(error))
        except (Limited, TryLater) as error:
            return Later(str(error), error.wait)
        except Lost as error:
            return Unsure(str(error))
        except SourceStopped as error:
            return Refused(str(error))
        except PRAWException as error:
            return Refused(f"Reddit refuses it: {str(error)[:200]}")
        except prawcore.PrawcoreException as error:
            return Refused(str(failure(error, "this comment")))
        return _outcome(answer)

    def find(self, reply: Reply) -> Sent | Absent:
        """Look for the reply among our own newest comments, or the messages that we sent."""
        is_message = reply.parent_id.startswith("t4_")
        path = "message/sent" if is_message else f"user/{_me()}/comments"
        wanted = reply.text.split()
        for row in _listed(Api().get(path, limit=PAGE_SIZE, sort="new")):
            data = row.get("data") or {}
            if data.get("parent_id") == reply.parent_id and str(data.get("body")).split() == wanted:
                return Sent(str(data.get("name")), post_of(row).url)
        return Absent()


class _Reading:
    """What one poll has read so far, and the cursor that covers exactly this."""

    def __init__(self, cursor: Mapping[str, Any], begin: int) -> None:
        parts = cursor.get("parts")
        kept = {k: dict(v) for k, v in parts.items()} if isinstance(parts, Mapping) else {}
        self.parts: dict[str, dict[str, Any]] = kept
        self.begin = begin
        self.posts: dict[str, Post] = {}
        self.unreadable: list[Unreadable] = []
        self.pages = 0
        self.more = False

    def state(self, key: str) -> dict[str, Any]:
        return self.parts.setdefault(key, {"since": self.begin})

    def take(
        self, rows: list[Mapping[str, Any]], state: dict[str, Any], wanted: Callable[[Post], bool]
    ) -> int:
        """Keep what is new and wanted. Returns when the oldest row was written, in seconds."""
        oldest = int(time.time())
        for post in self._read(rows, ""):
            at = int(post.created_at.timestamp())
            oldest = min(oldest, at)
            state["newest"] = max(state.get("newest", 0), at)
            if at >= state["since"] and wanted(post):
                self.posts.setdefault(post.external_id, post)
        return oldest

    def add(self, rows: list[Mapping[str, Any]], title: str) -> None:
        for post in self._read([row for row in rows if row.get("kind") != "more"], title):
            self.posts.setdefault(post.external_id, post)

    def _read(self, rows: list[Mapping[str, Any]], title: str) -> list[Post]:
        posts = []
        for row in rows:
            try:
                posts.append(post_of(row, title))
            except (ValueError, TypeError, AttributeError) as error:
                data = row.get("data")
                name = data.get("name") if isinstance(data, Mapping) else ""
                entry = Unreadable(
                    external_id=str(name or repr(row)[:100]), raw=row, error=str(error)
                )
                self.unreadable.append(entry)
        return posts

    def batch(self, limits: Mapping[str, str | int]) -> Batch:
        return Batch(
            posts=tuple(self.posts.values()),
            unreadable=tuple(self.unreadable),
            cursor={"parts": self.parts},
            more=self.more,
            meter=limits,
        )


def _page(listing: Any) -> tuple[list[Mapping[str, Any]], str]:
    """A listing's things and the name of its next page. Raises TryLater."""
    rows = _listed(listing)
    return rows, str(listing["data"].get("after") or "")


def _listed(listing: Any) -> list[Mapping[str, Any]]:
    try:
        return rows_of(listing)
    except ValueError as error:
        raise TryLater("Reddit answers with what is no listing.") from error


def _things(answer: Any) -> list[Mapping[str, Any]]:
    """The things of an answer to a form. Raises TryLater."""
    try:
        things = answer["json"]["data"]["things"]
        return [thing for thing in things if isinstance(thing, Mapping)]
    except (KeyError, TypeError) as error:
        raise TryLater("Reddit does not say what stands behind “more comments”.") from error


def _left_out(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The comments that `more` objects stand for."""
    ids: list[str] = []
    for row in rows:
        data = row.get("data")
        if row.get("kind") == "more" and isinstance(data, Mapping):
            ids += [str(child) for child in data.get("children") or []]
    return ids


def _outcome(answer: Any) -> Sent | Later | Refused | Unsure:
    """What Reddit's answer to a comment means; errors come with status 200 too."""
    body = answer.get("json") if isinstance(answer, Mapping) else None
    errors = body.get("errors") if isinstance(body, Mapping) else None
    if isinstance(errors, list) and errors:
        code, said = (str(part) for part in [*errors[0], "", ""][:2])
        if code == "RATELIMIT":
            return Later(said, _pause(said))
        if code in FINAL:
            return Refused(f"Reddit refuses it: {said}")
        return Refused(f"Reddit refuses it ({code}): {said}")
    try:
        data = answer["json"]["data"]["things"][0]["data"]
        path = str(data.get("permalink") or "")
        return Sent(str(data["name"]), f"https://www.reddit.com{path}" if path else "")
    except (KeyError, IndexError, TypeError):
        return Unsure("Reddit does not say whether the comment is there.")


def _pause(said: str) -> timedelta | None:
    found = _PAUSE.search(said)
    return timedelta(seconds=int(found[1]) * _UNIT[found[2].casefold()]) if found else None


def _submission(value: Any) -> str:
    """The id of a submission, from it or from its address."""
    found = re.search(r"(?:comments/|^(?:t3_)?)([0-9a-z]{2,12})(?:/|$|\?)", str(value).strip())
    if not found:
        raise SourceStopped(f'Reddit: "{value}" is no submission. Write its address or its id.')
    return found[1]


def _me() -> str:
    name = credential("REDDIT_USERNAME")
    return name or str(Api().get("api/v1/me").get("name", ""))
