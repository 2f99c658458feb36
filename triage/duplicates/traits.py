"""What of a text tells one problem from another: words, character n-grams, errors, versions.

Words and n-grams are hashed into a fixed number of buckets, so that an index needs no vocabulary
and a text that comes later has the same terms.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

from triage.classifier.texts import Text, own_words

if TYPE_CHECKING:
    import numpy as np

WORD_BUCKETS = 1 << 17
GRAM_BUCKETS = 1 << 16
WIDTH = 384  # of an embedding
OPENING = 600  # characters; people say at the beginning what it is about
GRAM_CHARACTERS = 300
GRAM_BYTES = 4
LONGEST_WORD = 64
TITLE_COUNTS = 2  # how often a title's words count
MARKS_LOOKED_AT = 4_000  # characters in which errors and versions are looked for
MARKS_AT_MOST = 24
KEPT = 1_000  # texts whose traits are kept in memory, 3 KB each

STOP = frozenset(
    "a about after all also am an and any are as at be been before being but by can could did do "
    "does doing for from get got had has have he her here hi him his how i if in into is it its "
    "just like me more most my no not now of off on one only or our out over please really she so "
    "some such than thank thanks that the their them then there these they this those to too up us "
    "very was we were what when where which while who why will with would you your im ive dont "
    "doesnt didnt isnt cant wont http https www com user".split()
)
_WORD = re.compile(r"\w+(?:[.-]\w+)*")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_a-zA-Z]+|\d+")
_ENDINGS = ("ing", "ed", "es", "s")
_ERROR = re.compile(
    r"\b(?:[A-Za-z]\w*(?:Exception|Error|Fault|Panic)|E[A-Z]{4,12}|[A-Z]{2,}_[A-Z_]{3,}|"
    r"[A-Z]{1,5}-?\d{3,6}|0x[0-9a-fA-F]{3,16}|SIG[A-Z]{3,4}|[45]\d\d)\b"
)
_VERSION = re.compile(
    r"(?<![\w.])v?(\d{1,4}\.\d{1,4}(?:\.\d{1,5}){0,2})(?![\w.]*\d)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Distinct buckets of a text's terms, and how much each counts in it."""

    buckets: "np.ndarray[Any, Any]"
    counts: "np.ndarray[Any, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What one text is compared by, beside its embedding."""

    words: Terms
    grams: Terms
    errors: frozenset[str]
    versions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Report:
    """One text as it is compared with others: `key` names it, `at` is when it was written.

    `embedding` has unit length; without one, the text is found by its words alone.
    """

    key: int
    traits: Traits
    embedding: "np.ndarray[Any, Any] | None"
    at: datetime | None = None


def report_of(
    key: int, text: Text, embedding: "np.ndarray[Any, Any] | None", at: datetime | None = None
) -> Report:
    """A text as it is compared."""
    return Report(key, traits_of(text), embedding, at)


@lru_cache(maxsize=KEPT)  # a report is compared anew with each that follows it
def traits_of(text: Text) -> Traits:
    """What a text is compared by; its title's words count twice."""
    title, body = own_words(text.title[:500]), own_words(text.text)
    if title and body.casefold().startswith(title.casefold()):
        body = body[len(title) :]
    raw = f"{text.title[:500]}\n{text.text[:MARKS_LOOKED_AT]}"
    return Traits(
        words=_terms(words_of(title) * TITLE_COUNTS + words_of(body[:OPENING])),
        grams=_grams(f"{title} {body}"[:GRAM_CHARACTERS]),
        errors=_marks(_ERROR, raw),
        versions=_marks(_VERSION, raw),
    )


def words_of(text: str) -> list[str]:
    """The telling words of a text, stemmed; of `readBlockLength` also its parts."""
    return [
        stem(word)
        for written in _WORD.findall(unicodedata.normalize("NFKC", text))
        for word in _with_parts(written)
        if 1 < len(word) <= LONGEST_WORD and word not in STOP
    ]


def _with_parts(written: str) -> list[str]:
    parts = _PART.findall(written)
    return [written.casefold(), *(part.casefold() for part in parts if len(parts) > 1)]


def stem(word: str) -> str:
    """A word without the commonest endings of English."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def _terms(words: list[str]) -> Terms:
    import numpy as np

    hashed = np.fromiter((crc32(word.encode()) for word in words), dtype=np.uint32)
    return _counted(hashed % WORD_BUCKETS)


def _grams(text: str) -> Terms:
    """Its n-grams of bytes: each is a number by itself."""
    import numpy as np

    folded = " ".join(re.findall(r"\w+", text.casefold()))
    raw = np.frombuffer(f" {folded} ".encode(), dtype=np.uint8).astype(np.uint32)
    if len(raw) < GRAM_BYTES:
        return _counted(raw[:0])
    grams = np.zeros(len(raw) - GRAM_BYTES + 1, dtype=np.uint32)
    for place in range(GRAM_BYTES):
        grams |= raw[place : len(raw) - GRAM_BYTES + 1 + place] << np.uint32(8 * place)
    return _counted((grams * np.uint32(2654435761)) >> np.uint32(16))


def _counted(buckets: "np.ndarray[Any, Any]") -> Terms:
    import numpy as np

    found, counts = np.unique(buckets, return_counts=True)
    weights = (1 + np.log(counts)).astype(np.float32)
    return Terms(buckets=found.astype(np.int32), counts=weights)


def _marks(pattern: re.Pattern[str], text: str) -> frozenset[str]:
    found = dict.fromkeys(mark.casefold() for mark in pattern.findall(text))
    return frozenset(list(found)[:MARKS_AT_MOST])
