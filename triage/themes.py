"""Themes: clusters of recent items, named by their own words.

An item stands for a theme where many others lie near it by embedding. The one with the most
neighbours makes the first theme, the next is sought among those that are left. Nothing is drawn
by chance, and which items may stand for a theme follows from their own number: so themes are the
same from run to run, and grow with what comes in.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feedback.vocabulary import Sentiment
from triage.duplicates.traits import STOP, stem

if TYPE_CHECKING:
    import numpy as np

NEAR = 0.45  # cosine from which two items are of one theme, less what is common to all
SEEDS = 1_000  # items that may stand for a theme; more make it no better, only slower
BLOCK = 250  # seeds that are compared at once
FEW = 20  # so many items say little of what is common to all
AT_LEAST = 3  # items of a theme
AT_MOST = 8  # themes
NAME_WORDS = 3
SAYS_LITTLE = STOP | frozenset(
    "again another any anyone anything app bit each even every feature first getting gets give "
    "going good great issue know let look make makes making maybe much need new nice nothing "
    "other people please problem product same say saying says see seems should since someone "
    "something still summary support sure take thing things think time today tried try trying "
    "use used user users using want wants way well where work working works yes yet".split()
)
_WORD = re.compile(r"(?<!\w)[^\W\d_]{3,30}(?:['’-][^\W\d_]{1,30})?(?!\w)")
_URL = re.compile(r"https?://\S+|www\.\S+")
_HANDLE = re.compile(r"(?<![\w@])@\w+")


@dataclass(frozen=True, slots=True)
class Voice:
    """One item as themes see it: its key, its words, its sentiment."""

    key: int
    words: str
    sentiment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """What several people talk about; `items` with the most typical first."""

    name: tuple[str, ...]
    items: tuple[int, ...]
    negative: float  # share of its items, 0 to 1

    @property
    def count(self) -> int:
        """How many items it has."""
        return len(self.items)


def themes(voices: Sequence[Voice], embeddings: "np.ndarray[Any, Any]") -> list[Theme]:
    """The largest themes, largest first. `embeddings`: one row of unit length a voice."""
    groups = _groups([voice.key for voice in voices], embeddings)
    stems = [_stems(voice.words) for voice in voices]
    names = _names(groups, stems)
    found = []
    for group, name in zip(groups, names, strict=True):
        sour = sum(voices[place].sentiment == Sentiment.NEGATIVE for place in group)
        keys = tuple(voices[place].key for place in group)
        found.append(Theme(name=name, items=keys, negative=round(sour / len(group), 4)))
    return found


def _groups(keys: Sequence[int], embeddings: "np.ndarray[Any, Any]") -> list[list[int]]:
    """Places of the items of each theme, the most typical first."""
    import numpy as np

    if len(keys) < AT_LEAST:
        return []
    embeddings = _apart(embeddings)
    seeds = sorted(range(len(keys)), key=lambda place: _lot(keys[place]))[:SEEDS]
    near = np.concatenate(
        [
            embeddings[sorted(seeds)[start : start + BLOCK]] @ embeddings.T >= NEAR
            for start in range(0, len(seeds), BLOCK)
        ]
    )
    free = np.ones(len(keys), dtype=bool)
    groups: list[list[int]] = []
    while len(groups) < AT_MOST:
        counts = np.count_nonzero(near & free, axis=1)
        members = near[int(counts.argmax())] & free
        if members.sum() < AT_LEAST:
            break
        middle = embeddings[members].mean(axis=0)
        closeness = embeddings @ (middle / (np.linalg.norm(middle) or 1.0))
        members = (closeness >= NEAR) & free | members
        order = np.flatnonzero(members)
        groups.append(order[np.argsort(-closeness[order], kind="stable")].tolist())
        free &= ~members
    return sorted(groups, key=len, reverse=True)


def _apart(embeddings: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Embeddings less what is common to all: everybody speaks of the same product."""
    import numpy as np

    rest = embeddings - embeddings.sum(axis=0) / (len(embeddings) + FEW)
    lengths = np.linalg.norm(rest, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    return rest / lengths


def _lot(key: int) -> int:
    """A number that follows from a key alone and scatters: an even choice, the same every time."""
    return key * 2_654_435_761 % 2**32


def _stems(text: str) -> dict[str, str]:
    """The telling words of a text: stem to the word as written."""
    bare = _HANDLE.sub(" ", _URL.sub(" ", text))
    words = (word.casefold().replace("’", "'") for word in _WORD.findall(bare))
    return {stem(word): word for word in words if word.replace("'", "") not in SAYS_LITTLE}


def _names(
    groups: Sequence[Sequence[int]], stems: Sequence[dict[str, str]]
) -> list[tuple[str, ...]]:
    """The words that a theme has and others have not (class-based tf-idf).

    A word counts once an item, so that nobody shouts a name.
    """
    everywhere = Counter(word for found in stems for word in found)
    names = []
    for group in groups:
        within = Counter(word for place in group for word in stems[place])
        weights = {
            word: count / len(group) * math.log((1 + len(stems)) / everywhere[word])
            for word, count in within.items()
            if count > 1
        }
        best = sorted(weights, key=lambda word: (-weights[word], word))[:NAME_WORDS]
        names.append(tuple(_written(word, [stems[place] for place in group]) for word in best))
    return names


def _written(word: str, stems: Sequence[dict[str, str]]) -> str:
    """A stem as most of the items write it."""
    forms = Counter(found[word] for found in stems if word in found)
    return min(forms, key=lambda form: (-forms[form], form))
