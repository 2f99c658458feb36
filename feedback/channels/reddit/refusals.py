"""What Reddit says to a form of ours; errors come with status 200 too."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from feedback.channels.base import Later, Refused, Sent, Unsure
from feedback.channels.reddit.things import SITE

TAKE_BACK = "Take the reply back, or write to its author."
ADVICE = {
    "THREAD_LOCKED": f"The thread is locked. {TAKE_BACK}",
    "TOO_OLD": f"The thread is archived. {TAKE_BACK}",
    "DELETED_COMMENT": "The comment that this answers was deleted. Take the reply back.",
    "DELETED_LINK": "The post that this answers was deleted. Take the reply back.",
    "TOO_LONG": "Reddit takes 10,000 characters. Shorten it.",
    "NO_TEXT": "Reddit takes no empty text.",
    "BANNED_FROM_SUBREDDIT": "We are banned from this subreddit. Ask its moderators.",
    "USER_BLOCKED": f"Its author has blocked us. {TAKE_BACK}",
    "USER_BLOCKED_MESSAGE": f"Its author has blocked us. {TAKE_BACK}",
    "NOT_WHITELISTED_BY_USER_MESSAGE": f"Its author takes no messages from us. {TAKE_BACK}",
    "SUBREDDIT_OUTBOUND_LINKING_DISALLOWED": "This subreddit allows no links. Take them out.",
    "USER_REQUIRED": "Reddit wants a user. Check the REDDIT_… settings.",
}
_PAUSE = re.compile(r"(\d+)\s*(second|minute|hour)", re.IGNORECASE)
_UNIT = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True, slots=True)
class Told:
    """What Reddit answered to a form that it took."""

    value: Any


def outcome(answer: Any) -> Sent | Later | Refused | Unsure:
    """What Reddit's answer to a comment means."""
    body = answer.get("json") if isinstance(answer, Mapping) else None
    errors = body.get("errors") if isinstance(body, Mapping) else None
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], list) else [errors[0]]
        code, said = (str(part or "") for part in [*first, "", ""][:2])
        return refusal(code, said)
    try:
        data = answer["json"]["data"]["things"][0]["data"]
        path = str(data.get("permalink") or "")
        return Sent(str(data["name"]), f"{SITE}{path}" if path else "")
    except (KeyError, IndexError, TypeError):
        return Unsure("Reddit does not say whether the comment is there.")


def refusal(code: str, said: str) -> Later | Refused:
    """What an error's code means, with what to do."""
    if code == "RATELIMIT":
        return Later(said or "Reddit's limit is reached.", _pause(said))
    return Refused(ADVICE.get(code) or f"Reddit refuses it ({code}): {said}")


def _pause(said: str) -> timedelta | None:
    """Reddit tells the pause in words alone."""
    found = _PAUSE.search(said)
    return timedelta(seconds=int(found[1]) * _UNIT[found[2].casefold()]) if found else None
