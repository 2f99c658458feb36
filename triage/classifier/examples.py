"""The playbook's own examples as the encoder sees them: what a text is like, without retraining."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from triage.playbook import Playbook

Phrases = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Like:
    """The example that a text is likest to, and how much: the cosine of their embeddings."""

    example: str
    alike: float


def phrases_of(playbook: "Playbook") -> Phrases:
    """The playbook's examples, each with the topic or the severity that it speaks for."""
    subjects = [
        (str(subject.topic), phrase)
        for subject in playbook.subjects.values()
        for phrase in (subject.description, *subject.examples)
    ]
    severities = [
        (str(severity), phrase)
        for severity, rule in playbook.severities.items()
        for phrase in rule.examples
    ]
    return (*subjects, *severities)


@dataclass(frozen=True, slots=True)
class Examples:
    """Phrases with their embeddings, a row each, of unit length."""

    phrases: Phrases
    rows: "np.ndarray[Any, Any]"

    def likest(self, embeddings: "np.ndarray[Any, Any]") -> Sequence[Mapping[str, Like]]:
        """For each embedding the nearest example of each topic and severity."""
        return [self._likest(cosines) for cosines in embeddings @ self.rows.T]

    def _likest(self, cosines: Any) -> dict[str, Like]:
        found: dict[str, Like] = {}
        for (label, phrase), alike in zip(self.phrases, cosines.tolist(), strict=True):
            if label not in found or alike > found[label].alike:
                found[label] = Like(phrase, alike)
        return found
