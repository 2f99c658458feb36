"""How bad a bug is: the model's word, raised by what the text says happened.

A phrase of the playbook counts as evidence when the author says it of what happened. Denied ("no
data was lost") or imagined ("what if it crashed?") it counts for nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from feedback.vocabulary import Severity

if TYPE_CHECKING:
    from triage.classifier.examples import Like
    from triage.playbook import Playbook
    from triage.playbook.schema import ClusterRule

RAISED = {Severity.P2: Severity.P1, Severity.P1: Severity.P0}
"""What many reports make of a severity; a P3 stays what it is, however many see it."""
GRAVE_ENOUGH = 0.05  # probability of P0 from which evidence of P0 makes a P0, else a P1
EVEN = 0.5  # probability below which a P0 is likelier none
AS_GOOD_AS_SAID = 0.8  # cosine with an example from which it counts as evidence
_SENTENCE = re.compile(r"[^.!?\n;]+[.!?;]*")
_NO = r"\b(?:no|not|never|nothing|none|without|nobody|neither|nor|hardly|\w+n't|isnt|didnt|wasnt)\b"
_DENIAL = re.compile(_NO)
_DENIED = re.compile(rf"{_NO}(?:\W+\w+){{0,4}}\W*$")
_IMAGINED = re.compile(
    r"\b(?:what if|what happens|would|could|might|may|should|imagine|suppose|hypothetical\w*|"
    r"in case|prevent\w*|protect\w*|avoid\w*|guard against|worr(?:y|ied|ying)|afraid|fear\w*|"
    r"risk of|possible|potential\w*|how do you (?:handle|deal)|do you (?:handle|have)|"
    r"(?:feature|option|way) to)\b"
)
_ENDED = re.compile(r"^\W*(?:\w+\W+){0,3}(?:is|was|are|were)\W+(?:not|n't)\b")


@dataclass(frozen=True, slots=True)
class Grade:
    """How bad a bug is, and why.

    `p0_probability`: 0 to 1, of a P0 by precaution, that likelier is none; None of any other.
    """

    severity: str
    p0_probability: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Phrases of a text that speak for a severity, worst first."""

    found: tuple[tuple[Severity, str], ...] = ()
    denied: tuple[str, ...] = ()  # phrases of P0 that did not happen

    @property
    def is_grave(self) -> bool:
        """Whether the text says of itself what the playbook calls a P0."""
        return bool(self.found) and self.found[0][0] == Severity.P0


def evidence(
    text: str, playbook: "Playbook | None", likest: "Mapping[str, Like] | None" = None
) -> Evidence:
    """What a text says that the playbook names as evidence, in its own words.

    `likest`: the playbook's example of each severity that the text is likest to. One that is as
    good as said counts too, unless the text denies or imagines anything.
    """
    if playbook is None:
        return Evidence()
    folded = text.casefold().replace("\u2019", "'")
    found: list[tuple[Severity, str]] = []
    denied: list[str] = []
    for severity, pattern in _patterns(_phrases(playbook)):
        for phrase, happened in _mentions(folded, pattern):
            if happened:
                found.append((severity, phrase))
            elif severity == Severity.P0:
                denied.append(phrase)
    if not denied and likest:
        found = sorted([*found, *_like_examples(folded, likest)], key=lambda one: one[0])
    return Evidence(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(denied)))


def _like_examples(text: str, likest: "Mapping[str, Like]") -> Iterator[tuple[Severity, str]]:
    """Examples that the text as good as says, unless it asks, imagines, or denies what they say."""
    if "?" in text or _IMAGINED.search(text):
        return
    for severity in (Severity.P0, Severity.P1):
        like = likest.get(severity)
        if like and like.alike >= AS_GOOD_AS_SAID:
            example = like.example.casefold()
            if bool(_DENIAL.search(text)) == bool(_DENIAL.search(example)):
                yield severity, example


def decide(
    scores: Mapping[str, float], evidence: Evidence, p0_threshold: float, bug: float = 1.0
) -> Grade:
    """Severity of a bug and the reasons for it.

    `scores`: the model's probability of each severity if it is a bug, `bug` that it is one. Where
    their product is at `p0_threshold` or above, P0 wins even where it is not the likeliest,
    because a missed P0 costs more than a false one; below even odds it is doubted.
    """
    severity = _by_model(scores, p0_threshold, bug)
    reasons = [f"severity {severity} by its words ({scores[severity]:.0%})"]
    if evidence.denied and not evidence.is_grave and severity == Severity.P0:
        severity = _by_model({**scores, Severity.P0: 0.0}, p0_threshold, bug)
        reasons.append(f"\u201c{evidence.denied[0]}\u201d is denied or imagined: no P0")
    for raised, phrase in evidence.found:
        reasons.append(f"\u201c{phrase}\u201d is evidence of {raised}")
        is_unlikely = raised == Severity.P0 and scores[Severity.P0] < GRAVE_ENOUGH
        severity = min(severity, Severity.P1 if is_unlikely else raised)
    probability = bug * scores[Severity.P0]
    if severity != Severity.P0 or evidence.is_grave or probability >= EVEN:
        return Grade(severity, None, tuple(reasons))
    reasons.append(f"P0 by precaution: {probability:.0%} likely")
    return Grade(severity, round(probability, 3), tuple(reasons))


def raised_by_reports(severity: str, people: int, rule: "ClusterRule | None") -> tuple[str, str]:
    """Severity of a bug that so many people reported at once, and the reason if that raised it.

    `people`: its author, and each other who wrote the same within the rule's time. It is raised
    by one level at most and never lowered.
    """
    if rule is None or people < rule.reports or severity not in Severity.values:
        return severity, ""
    raised = RAISED.get(Severity(severity), severity)
    if raised == severity:
        return severity, ""
    minutes = rule.within.total_seconds() / 60
    return raised, f"{people} people report the same within {minutes:g} minutes: {raised}"


def _by_model(scores: Mapping[str, float], p0_threshold: float, bug: float) -> Severity:
    if bug * scores[Severity.P0] >= p0_threshold:
        return Severity.P0
    return Severity(max(scores, key=lambda name: scores[name]))


def _mentions(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    """The phrases that stand in a text, and whether it says that they happened."""
    for sentence in _SENTENCE.findall(text):
        for match in pattern.finditer(sentence):
            before, after = sentence[: match.start()], sentence[match.end() :]
            yield (
                match[0],
                not (_DENIED.search(before) or _IMAGINED.search(before) or _ENDED.match(after)),
            )


Phrases = tuple[tuple[Severity, tuple[str, ...]], ...]


def _phrases(playbook: "Playbook") -> Phrases:
    rules = playbook.severities
    return tuple((severity, tuple(rules[severity].evidence)) for severity in Severity)


@lru_cache(maxsize=8)
def _patterns(phrases: Phrases) -> tuple[tuple[Severity, re.Pattern[str]], ...]:
    """One pattern a severity; blanks match any run of them."""
    return tuple((severity, _pattern(words)) for severity, words in phrases if words)


def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    parts = (r"\s+".join(map(re.escape, word.casefold().split())) for word in longest_first)
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)")
