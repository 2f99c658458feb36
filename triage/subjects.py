"""Who answers, steered by the playbook's subjects: what a team adds there needs no retraining."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from feedback.vocabulary import Topic

if TYPE_CHECKING:
    from triage.classifier.examples import Like
    from triage.playbook import Playbook

PULL = 3.0  # by how much a subject that is named multiplies its topic's probability
NAMED_AT_MOST = 3  # words of one topic that count
ALIKE = 0.5  # cosine with a subject's example or description from which it counts as a word


def steer(
    text: str,
    scores: Mapping[str, float],
    playbook: "Playbook | None",
    likest: "Mapping[str, Like] | None" = None,
) -> tuple[str, list[str]]:
    """The topic of a text and, where a subject decided it, the reason.

    `scores`: the model's probability of each topic; `likest`: the example of each topic's
    subjects that the text is likest to.
    """
    by_model = max(scores, key=lambda name: scores[name])
    if playbook is None:
        return by_model, []
    named = _named(text.casefold(), playbook)
    alike = {name: like for name, like in (likest or {}).items() if like.alike >= ALIKE}
    counts = {
        topic: min(len(named.get(topic, [])) + (topic in alike), NAMED_AT_MOST) for topic in scores
    }
    pulled = {topic: score * PULL ** counts[topic] for topic, score in scores.items()}
    # What names a subject more than once is hardly about none.
    pulled[Topic.NONE] /= PULL ** max(0, max(counts.values()) - 1)
    topic = max(pulled, key=lambda name: pulled[name])
    if topic == by_model:
        return topic, []
    words = ", ".join(f"\u201c{word}\u201d" for word in named.get(topic, [])[:NAMED_AT_MOST])
    reasons = [f"it names {words}"] if words else []
    if topic in alike:
        reasons.append(f"it is like \u201c{alike[topic].example}\u201d")
    return topic, [f"topic {topic}: {' and '.join(reasons)}"]


def _named(text: str, playbook: "Playbook") -> dict[str, list[str]]:
    """The words of the playbook's subjects that stand in a text, by topic."""
    found: dict[str, list[str]] = {}
    words = tuple(
        (word.casefold(), str(subject.topic))
        for subject in playbook.subjects.values()
        for word in subject.words
    )
    pattern, topics = _pattern(words)
    for word in dict.fromkeys(pattern.findall(text)):
        found.setdefault(topics[word], []).append(word)
    return found


@lru_cache(maxsize=8)
def _pattern(words: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    longest_first = sorted((word for word, _ in words), key=len, reverse=True)
    alternatives = "|".join(map(re.escape, longest_first)) or r"(?!)"
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)"), dict(words)
