"""Posts of X as the API tells them, made into our own."""

import html
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from feedback.channels.base import Post, Unreadable

CHANNEL = "twitter"
SITE = "https://x.com"
SNOWFLAKE_EPOCH = 1_288_834_974_657  # milliseconds; ids since 2010 hold their time
CONTEXT_CHARACTERS = 300


class Page:
    """One answer: its posts, and what came along with them."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        data = answer.get("data")
        self.rows = data if isinstance(data, list) else []
        includes = answer.get("includes") if isinstance(answer.get("includes"), Mapping) else {}
        self.users = _by_id(includes, "users")
        self.tweets = _by_id(includes, "tweets")
        self.missing = _missing(answer.get("errors"))
        meta = answer.get("meta")
        self.meta: Mapping[str, Any] = meta if isinstance(meta, Mapping) else {}

    @property
    def next_token(self) -> str:
        """The name of the next page, empty on the last."""
        return str(self.meta.get("next_token") or "")

    @property
    def newest(self) -> int:
        """The highest id of the page, 0 if there is none."""
        ids = [str(row.get("id")) for row in self.rows if isinstance(row, Mapping)]
        return max((int(id_) for id_ in ids if id_.isdecimal()), default=0)

    def read(self) -> Iterator[Post | Unreadable]:
        """Each post, or why it is none; retweets are left out."""
        for row in self.rows:
            if isinstance(row, Mapping) and _reference(row, "retweeted"):
                continue
            try:
                yield self.post(row)
            except (ValueError, TypeError, AttributeError) as error:
                id_ = str(row.get("id", "")) if isinstance(row, Mapping) else ""
                yield Unreadable(external_id=id_ or repr(row)[:100], raw=row, error=str(error))

    @property
    def retweets(self) -> int:
        """How many of the page only repeat another post."""
        rows = [row for row in self.rows if isinstance(row, Mapping)]
        return sum(bool(_reference(row, "retweeted")) for row in rows)

    def post(self, row: Mapping[str, Any]) -> Post:
        """The post of one row. Raises ValueError if it cannot be one."""
        id_ = str(row.get("id") or "")
        if not id_.isdecimal():
            raise ValueError("a post without an id")
        text = _text(row)
        if not text:
            where = withheld_in(row)
            raise ValueError("a post without text" if where is None else f"X withholds it: {where}")
        user = self.users.get(str(row.get("author_id") or ""), {})
        name = str(user.get("username") or row.get("username") or "")
        return Post(
            channel=CHANNEL,
            # An edit makes a new id: all versions are one message.
            external_id=first_version(row),
            thread_id=str(row.get("conversation_id") or id_),
            parent_id=_reference(row, "replied_to") or None,
            author=name or None,
            author_name=str(user.get("name") or ""),
            text=text,
            url=f"{SITE}/{name or 'i'}/status/{id_}",
            context=self._context(row),
            created_at=_moment(row),
            raw={**row, "username": name, "quotes": self._author_of(_reference(row, "quoted"))},
        )

    def _author_of(self, id_: str) -> str:
        user = self.users.get(str(self.tweets.get(id_, {}).get("author_id") or ""), {})
        return str(user.get("username") or "")

    def _context(self, row: Mapping[str, Any]) -> str:
        lines = []
        for word, kind in (("parent", "replied_to"), ("quoted", "quoted")):
            other = self.tweets.get(_reference(row, kind))
            if other and (text := _text(other)):
                lines.append(f"{word}: {' '.join(text.split())[:CONTEXT_CHARACTERS]}")
        if (where := withheld_in(row)) is not None:
            lines.append(f"withheld: {where}")
        return "\n".join(lines)


def first_version(row: Mapping[str, Any]) -> str:
    """The id under which a post was first published."""
    history = row.get("edit_history_tweet_ids")
    first = str(history[0]) if isinstance(history, list) and history else ""
    return first if first.isdecimal() else str(row.get("id"))


def last_version(row: Mapping[str, Any]) -> str:
    """The id of a post's present version."""
    history = row.get("edit_history_tweet_ids")
    last = str(history[-1]) if isinstance(history, list) and history else ""
    return last if last.isdecimal() else str(row.get("id"))


def gone(id_: str) -> Post:
    """A post that X no longer shows."""
    return Post(
        channel=CHANNEL,
        external_id=id_,
        thread_id=id_,
        parent_id=None,
        author=None,
        text="",
        created_at=_moment({"id": id_}),
        is_deleted=True,
    )


def withheld_in(row: Mapping[str, Any]) -> str | None:
    """Where, or why, X withholds a post; None if it does not."""
    told = row.get("withheld")
    if not isinstance(told, Mapping):
        return None
    countries = told.get("country_codes")
    names = [str(code) for code in countries] if isinstance(countries, list) else []
    return ", ".join(names) or ("copyright" if told.get("copyright") else "somewhere")


def speaks_to(row: Mapping[str, Any], handle: str) -> bool:
    """Whether a post mentions or quotes us: only such X lets programs answer."""
    entities = row.get("entities")
    mentions = entities.get("mentions") if isinstance(entities, Mapping) else None
    names = [
        str(one.get("username", "")).casefold()
        for one in (mentions if isinstance(mentions, list) else [])
        if isinstance(one, Mapping)
    ]
    wanted = handle.casefold().lstrip("@")
    in_text = f"@{wanted}" in str(row.get("text", "")).casefold()
    quotes = str(row.get("quotes") or "").casefold() == wanted
    return wanted in names or in_text or quotes


def _text(row: Mapping[str, Any]) -> str:
    """A post's whole text, unescaped once, with links that lead where they say: an address is
    not escaped, so it goes in after that.
    """
    note = row.get("note_tweet")
    source = note if isinstance(note, Mapping) and note.get("text") else row
    text, entities = html.unescape(str(source.get("text") or "")), source.get("entities")
    urls = entities.get("urls") if isinstance(entities, Mapping) else None
    for url in urls if isinstance(urls, list) else []:
        if isinstance(url, Mapping) and url.get("url") and url.get("expanded_url"):
            text = text.replace(str(url["url"]), str(url["expanded_url"]))
    return text.strip()


def _reference(row: Mapping[str, Any], kind: str) -> str:
    references = row.get("referenced_tweets")
    for one in references if isinstance(references, list) else []:
        if isinstance(one, Mapping) and one.get("type") == kind and one.get("id"):
            return str(one["id"])
    return ""


def _moment(row: Mapping[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(str(row["created_at"]))
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return written_at(int(row["id"]))


def written_at(id_: int) -> datetime:
    """When a post was written, by its id."""
    return datetime.fromtimestamp(((id_ >> 22) + SNOWFLAKE_EPOCH) / 1000, UTC)


def _missing(errors: Any) -> set[str]:
    """The posts asked for that X no longer shows: deleted, or their author is gone."""
    return {
        str(one.get("resource_id") or one.get("value"))
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, Mapping) and one.get("resource_type") == "tweet"
    }


def _by_id(includes: Any, key: str) -> dict[str, Mapping[str, Any]]:
    rows = includes.get(key) if isinstance(includes, Mapping) else None
    return {
        str(row.get("id")): row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, Mapping)
    }
