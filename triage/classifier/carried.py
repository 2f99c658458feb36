"""Which of an author's words carried a reading, by the category head's word on each token."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triage.classifier.labels import CATEGORIES
from triage.classifier.texts import Tokens

if TYPE_CHECKING:
    import numpy as np

WORDS = 4
SENTENCE_LIMIT = 160  # characters
SHORT = "the and for that this with you your have has was are but not its it's they from".split()
_WORD = re.compile(r"[\w'’-]{3,}")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")


@dataclass(frozen=True, slots=True)
class Said:
    """One text as tokens, with the categories' logits of each, (length, categories)."""

    tokens: Tokens
    logits: "np.ndarray[Any, Any]"

    def reasons(self, category: str, also: Sequence[str]) -> list[str]:
        """The words that carried `category`, and the sentences that say the other things."""
        named = ", ".join(f"\u201c{word}\u201d" for word in self.words(category))
        carried = [f"carried by {named}"] if named else []
        told = {other: self.sentence(other) for other in also}
        return carried + [
            f"also {other}: \u201c{said}\u201d" for other, said in told.items() if said
        ]

    def words(self, category: str) -> list[str]:
        """The words that spoke most for `category`, strongest first."""
        found: dict[str, float] = {}
        for word, share in self._shares(_WORD, category):
            if word.casefold() not in SHORT:
                found[word.casefold()] = max(found.get(word.casefold(), 0.0), share)
        ranked = sorted(found, key=lambda word: -found[word])[:WORDS]
        return [word for word in ranked if found[word] * len(found) >= sum(found.values())]

    def sentence(self, category: str) -> str:
        """The author's sentence that speaks most for `category`, or an empty string."""
        shares = self._shares(_SENTENCE, category)
        best = max(shares, key=lambda pair: pair[1], default=("", 0.0))
        return best[0].strip()[:SENTENCE_LIMIT]

    def _shares(self, pattern: re.Pattern[str], category: str) -> list[tuple[str, float]]:
        """The parts of the text that match, each with its tokens' mean probability."""
        import numpy as np

        parts = list(pattern.finditer(self.tokens.body))
        raised = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        share = raised[:, CATEGORIES.index(category)] / raised.sum(axis=1)
        spans = np.array(self.tokens.spans).reshape(-1, 2)
        own = spans[:, 1] > spans[:, 0]
        starts, ends = spans[own].T
        sums = np.concatenate([[0.0], np.cumsum(share[own])])
        first = np.searchsorted(ends, [part.start() for part in parts], side="right")
        last = np.searchsorted(starts, [part.end() for part in parts], side="left")
        means = (sums[last] - sums[first]) / np.maximum(last - first, 1)
        return [(part[0], float(mean)) for part, mean in zip(parts, means, strict=True)]
