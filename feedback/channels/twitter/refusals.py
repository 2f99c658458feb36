"""What X says to a post of ours, and how long it lets a post be."""

import re

import requests

from feedback.channels.base import ByHand, Later, Refused, Unsure
from feedback.channels.twitter.api import detail, pause

LONGEST = 280
ADDRESS = 23  # what X counts for any address
_URL = re.compile(r"https?://\S+")
# Letters of Latin, Greek, Cyrillic, Arabic … count once, those of East Asia and signs twice.
_ONCE = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
GONE = ("deleted", "not visible")
ADVICE = "Take the reply back, or answer elsewhere."


def weight(text: str) -> int:
    """The length of a text as X counts it."""
    words, addresses = _URL.subn("", text)
    twice = sum(not any(low <= ord(letter) <= high for low, high in _ONCE) for letter in words)
    return len(words) + twice + addresses * ADDRESS


def refusal(response: requests.Response) -> Later | ByHand | Refused | Unsure:
    """What an answer that is no success means, with what to do."""
    status, said = response.status_code, detail(response)
    words = said.casefold()
    if status == 429:
        return Later("X's limit on posts is reached.", pause(response.headers))
    if status >= 500:
        return Unsure(f"X answers with status {status}: {said}")
    if any(word in words for word in GONE):
        return Refused(f"The post that this answers is gone. {ADVICE}")
    if "block" in words:
        return Refused(f"Its author has blocked us. {ADVICE}")
    if status == 403:
        return ByHand(f"X does not let a program post this: {said}")
    if status == 401:
        return Refused("X refuses the credential. Set the four TWITTER_… settings anew.")
    if status == 402:
        return Refused("X's credits are used up. Buy some, then try again.")
    return Refused(f"X refuses it (status {status}): {said or 'it does not say why'}")
