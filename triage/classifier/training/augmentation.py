"""More texts like those that are labelled, for teachers to read: parts of posts, in other company.

A small network needs many texts to become like its teachers, far more than are labelled (Jiao et
al., "TinyBERT", 2020, section 4). What a variant says may differ from what its post says: it has
no label of its own, a teacher reads it.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from triage.classifier.texts import Text
from triage.classifier.training.data import Example

ALONE = 0.25  # share of variants that lose their context
LEFT_OUT = 0.12  # share of words that a hasty variant lacks
MISTYPED = 0.04
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*\s*")


def variants(posts: Sequence[Example], each: int, rng: random.Random) -> Iterator[Example]:
    """`each` variants of every post, without a label, of its fold."""
    company: dict[tuple[int, str], list[Text]] = {}
    for post in posts:
        company.setdefault((post.fold, post.text.channel), []).append(post.text)
    for post in posts:
        others = company[post.fold, post.text.channel]
        for number in range(each):
            text = _variant(number, post.text, rng.choice(others), rng)
            if rng.random() < ALONE:
                text = replace(text, context="")
            yield Example(text=text, fold=post.fold)


def _variant(number: int, text: Text, other: Text, rng: random.Random) -> Text:
    match number % 5:
        case 0 | 1:
            return _part(text, rng)
        case 2:
            return _joined(text, other, rng)
        case 3:
            return replace(_hasty(text, rng), context=other.context)
        case _:
            return _hasty(text, rng)


def _part(text: Text, rng: random.Random) -> Text:
    """A few sentences that follow each other."""
    sentences = _SENTENCE.findall(text.text)
    if len(sentences) < 2:
        return _hasty(text, rng)
    count = rng.randint(1, len(sentences) - 1)
    start = rng.randint(0, len(sentences) - count)
    title = text.title if rng.random() < 0.5 else ""
    return replace(text, text="".join(sentences[start : start + count]), title=title)


def _joined(text: Text, other: Text, rng: random.Random) -> Text:
    """The beginning of one post and a part of another."""
    first = _SENTENCE.findall(text.text) or [text.text]
    second = _SENTENCE.findall(other.text) or [other.text]
    start = rng.randrange(len(second))
    kept = first[: rng.randint(1, min(4, len(first)))] + second[start : start + rng.randint(1, 3)]
    return replace(text, text=" ".join(part.strip() for part in kept))


def _hasty(text: Text, rng: random.Random) -> Text:
    """The post by someone in haste: words missing, letters turned."""
    words = [word for word in text.text.split(" ") if rng.random() >= LEFT_OUT]
    typed = [_mistyped(word, rng) if rng.random() < MISTYPED else word for word in words]
    return replace(text, text=" ".join(typed) or text.text)


def _mistyped(word: str, rng: random.Random) -> str:
    if len(word) < 4:
        return word
    place = rng.randrange(len(word) - 1)
    if rng.random() < 0.5:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + word[place + 1 :]
