"""A submission with all its comments, however many, in bounded time and memory.

Reddit shows some hundred comments at once and has `more` objects stand for the rest: ids that can
be asked for, a hundred at a time, or "continue this thread" below a comment. What is still to be
asked for stands in the cursor; each poll asks for a few pages of it. Ids grow with time, so when
more comments came since the last whole walk, only the ids above its newest are asked for, and
every few hours all of them: a comment may be let in late.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from feedback.channels.base import TryLater
from feedback.channels.reddit.api import Api
from feedback.channels.reddit.reading import Reading
from feedback.channels.reddit.things import rows_of, tree_of

MORE_AT_ONCE = 100  # comments that one request for "more" may name
MORE_KEPT = 200_000  # ids of comments still to be asked for
STEPS = 10_000  # requests of one walk: a service that leads in circles ends
AGAIN_SECONDS = 6 * 3600
TITLE = 300


def read_tree(api: Api, reading: Reading, submission: str) -> bool:
    """Read what is new in a submission's tree. Returns whether all of it is read now."""
    state = reading.state(f"comments/{submission}")
    if not _is_walking(state):
        _look(api, reading, submission, state)
    while _is_walking(state) and not reading.is_full:
        if state["steps"] >= STEPS:
            state["more"], state["under"] = [], []
            break
        state["steps"] += 1
        reading.pages += 1
        if state["more"]:
            _ask_for_more(api, reading, submission, state)
        else:
            _go_under(api, reading, submission, state)
    if _is_walking(state):
        return False
    if state.pop("steps", None) is not None:
        state["newest"] = max(state.get("newest", 0), state.pop("met", 0))
    return True


def _is_walking(state: Mapping[str, Any]) -> bool:
    return bool(state.get("more") or state.get("under"))


def _look(api: Api, reading: Reading, submission: str, state: dict[str, Any]) -> None:
    """The submission with its newest comments; a walk begins if there are more than there were."""
    head, comments = _answer(api.get(f"comments/{submission}", limit=500, sort="new"))
    reading.pages += 1
    data = head.get("data") or {}
    count, now = data.get("num_comments"), int(time.time())
    state["title"] = str(data.get("title") or "")[:TITLE]
    rows = list(tree_of(comments))
    reading.add([head, *rows], state["title"])
    if state.get("count") == count and "newest" in state:
        return
    state["count"] = count
    if now - state.get("walked_at", 0) >= AGAIN_SECONDS:
        state |= {"walked_at": now, "newest": 0}
    state |= {"steps": 0, "met": 0, "more": [], "under": []}
    _note(rows, state)


def _ask_for_more(api: Api, reading: Reading, submission: str, state: dict[str, Any]) -> None:
    ids, rest = state["more"][:MORE_AT_ONCE], state["more"][MORE_AT_ONCE:]
    rows = _things(
        api.get(
            "api/morechildren",
            api_type="json",
            link_id=f"t3_{submission}",
            children=",".join(ids),
        )
    )
    state["more"] = rest
    reading.add(rows, state["title"])
    _note([row for row in rows if _child(row) not in ids], state)


def _go_under(api: Api, reading: Reading, submission: str, state: dict[str, Any]) -> None:
    """What stands below "continue this thread"."""
    comment = state["under"][0]
    answer = api.get(f"comments/{submission}", comment=comment, limit=500, sort="new")
    rows = list(tree_of(_answer(answer)[1]))
    state["under"] = state["under"][1:]
    reading.add(rows, state["title"])
    _note([row for row in rows if _below(row) != comment], state)


def _note(rows: Sequence[Mapping[str, Any]], state: dict[str, Any]) -> None:
    """Remember what of these rows must still be asked for, and the newest comment among them."""
    newest = state.get("newest", 0)
    for row in rows:
        data = row.get("data")
        if not isinstance(data, Mapping):
            continue
        if row.get("kind") != "more":
            state["met"] = max(state["met"], _number(data.get("id")))
            continue
        children = data.get("children")
        ids = [str(child) for child in children] if isinstance(children, list) else []
        fresh = [id_ for id_ in ids if _number(id_) > newest]
        state["more"] = [*state["more"], *fresh][:MORE_KEPT]
        if (below := _below(row)) and below not in state["under"]:
            state["under"].append(below)


def _child(row: Mapping[str, Any]) -> str:
    """The one id of a `more` that stands for a comment asked for just now and not to be had."""
    data = row.get("data")
    children = data.get("children") if isinstance(data, Mapping) else None
    is_more = row.get("kind") == "more" and isinstance(children, list) and len(children) == 1
    return str(children[0]) if is_more and children else ""


def _below(row: Mapping[str, Any]) -> str:
    """The comment below which a thread is to be continued, if the row says so."""
    data = row.get("data")
    if row.get("kind") != "more" or not isinstance(data, Mapping) or data.get("children"):
        return ""
    parent = str(data.get("parent_id") or "")
    return parent.removeprefix("t1_") if parent.startswith("t1_") else ""


def _number(id_: Any) -> int:
    try:
        return int(str(id_), 36)
    except ValueError:
        return 0


def _answer(answer: Any) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """A submission and its comments. Raises TryLater."""
    try:
        return rows_of(answer[0])[0], rows_of(answer[1])
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise TryLater("Reddit's answer to a submission cannot be read.") from error


def _things(answer: Any) -> list[Mapping[str, Any]]:
    """The things of an answer to a form. Raises TryLater."""
    try:
        things = answer["json"]["data"]["things"]
        return [thing for thing in things if isinstance(thing, Mapping)]
    except (KeyError, TypeError) as error:
        raise TryLater("Reddit does not say what stands behind “more comments”.") from error
