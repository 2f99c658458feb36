"""Whether a text really says what is searched for.

Algolia also finds a comment by its story's title or its author's name, and words that only look
alike; none of them is somebody speaking about the product.
"""

import re
from collections.abc import Iterable

_WORD = re.compile(r"\w+[+#]*")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")  # Thai, Japanese, Chinese


def says(texts: Iterable[str], phrase: str) -> bool:
    """Whether one of the texts has the phrase's words, whole, side by side and in any case."""
    if _UNSPACED.search(phrase):
        return any(phrase.casefold() in text.casefold() for text in texts)
    wanted = _words(phrase)
    return any(wanted in _words(text) for text in texts)


def _words(text: str) -> str:
    """All words in a row with a blank around each, so that `in` finds whole words alone."""
    return f" {' '.join(_WORD.findall(text.casefold().replace('_', ' ')))} "
