"""Reddit: subreddits' new posts and comments that say our words, our submissions, our inbox."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import prawcore
from praw.exceptions import PRAWException, RedditAPIException

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
    Unsure,
)
from feedback.channels.reddit.api import Api, Limited, Lost, NotReached, failure
from feedback.channels.reddit.reading import PAGE_SIZE, Reading, listed, read_listing
from feedback.channels.reddit.refusals import Told, outcome, refusal
from feedback.channels.reddit.things import post_of
from feedback.channels.reddit.trees import read_tree
from feedback.channels.rounds import Round
from feedback.credentials import credential

INBOX = "message/inbox"
LOOKED_UP = 100


class Reddit:
    """One source: `subreddits`, `words`, `submissions`, `inbox`, `backfill`."""

    can_reply: ClassVar[bool] = True
    like_word: ClassVar[str] = "Upvote"

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
        """Read what is new in every listing and tree, a few pages a poll."""
        api, reading = Api(), Reading(cursor, int(time.time()) - self._backfill)
        if self._inbox and not api.is_user:
            raise SourceStopped("Reddit's inbox needs REDDIT_USERNAME and REDDIT_PASSWORD.")
        parts = Round(cursor, self._parts())
        parts.run(lambda part: self._read(api, reading, part), lambda: reading.is_full)
        if api.is_user and not parts.failures:
            reading.account = credential("REDDIT_USERNAME") or reading.account or _me(api)
        return reading.batch(api, parts)

    def _parts(self) -> list[str]:
        """The paths of what is read."""
        listings = [f"r/{name}/{kind}" for name in self._subreddits for kind in ("new", "comments")]
        trees = [f"comments/{submission}" for submission in self._submissions]
        return [*listings, *([INBOX] if self._inbox else []), *trees]

    def _read(self, api: Api, reading: Reading, part: str) -> bool:
        if part.startswith("comments/"):
            return read_tree(api, reading, part.removeprefix("comments/"))
        return read_listing(api, reading, part, _anything if part == INBOX else self._is_about)

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
        rows = listed(Api().get("api/info", id=",".join(asked)))
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
                return Health(ok=True, message=f"Reads, and replies as u/{_me(api)}.")
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
        form = {"api_type": "json", "thing_id": reply.parent_id, "text": reply.text}
        answer = self._write("api/comment/", **form)
        return outcome(answer.value) if isinstance(answer, Told) else answer

    def like(self, post_id: str, raw: Mapping[str, Any]) -> Sent | Later | Refused | Unsure:
        """Upvote a post; Reddit allows it where a person asked for each."""
        del raw
        if post_id.startswith("t4_"):
            return Refused("A private message cannot be upvoted.")
        came = self._write("api/vote", id=post_id, dir="1")
        match came:
            case Told():
                return Sent(post_id)
            case ByHand(said):
                return Refused(said)
        return came

    def _write(self, path: str, **form: str) -> Told | Later | ByHand | Refused | Unsure:
        """Send a form once: what Reddit told, or what went wrong."""
        try:
            api = Api()
            if not api.is_user:
                return ByHand("Without REDDIT_USERNAME and REDDIT_PASSWORD a person does it.")
            return Told(api.post(path, **form))
        except NotReached as error:
            return Later(str(error))
        except (Limited, TryLater) as error:
            return Later(str(error), error.wait)
        except Lost as error:
            return Unsure(str(error))
        except SourceStopped as error:
            return Refused(str(error))
        except RedditAPIException as error:
            first = error.items[0]
            return refusal(first.error_type, str(first.message or ""))
        except PRAWException as error:
            return Refused(f"Reddit refuses it: {str(error)[:200]}")
        except (prawcore.NotFound, prawcore.Forbidden):
            return Refused(
                "Reddit has this post no more, or lets nobody answer it: look at it there, then "
                "take the reply back."
            )
        except prawcore.PrawcoreException as error:
            return Refused(str(failure(error, "this post")))

    def find(self, reply: Reply) -> Sent | Absent:
        """Look for the reply among our own newest comments, or the messages that we sent."""
        is_message = reply.parent_id.startswith("t4_")
        api = Api()
        me = credential("REDDIT_USERNAME") or _me(api)
        path = "message/sent" if is_message else f"user/{me}/comments"
        wanted = reply.text.split()
        for row in listed(api.get(path, limit=PAGE_SIZE, sort="new")):
            data = row.get("data") or {}
            if data.get("parent_id") == reply.parent_id and str(data.get("body")).split() == wanted:
                return Sent(str(data.get("name")), post_of(row).url)
        return Absent()


def _submission(value: Any) -> str:
    """The id of a submission, from it or from its address."""
    found = re.search(r"(?:comments/|^(?:t3_)?)([0-9a-z]{2,12})(?:/|$|\?)", str(value).strip())
    if not found:
        raise SourceStopped(f'Reddit: "{value}" is no submission. Write its address or its id.')
    return found[1]


def _anything(_: Post) -> bool:
    return True


def _me(api: Api) -> str:
    """Our own name there."""
    told = api.get("api/v1/me")
    return str(told.get("name") or "") if isinstance(told, Mapping) else ""
