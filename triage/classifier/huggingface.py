"""A model of the team's own choice for the category: any of Hugging Face's for text
classification, or for zero-shot classification.

It needs torch (the `train` extra). Everything but the category is still read by the shipped
model, which is also what is used for embeddings.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from triage.classifier.labels import CATEGORIES
from triage.classifier.texts import Text, prepared

if TYPE_CHECKING:
    import numpy as np

BATCH = 16
LONGEST = 2_000  # characters that are given to the model; it cuts by its own tokens
HYPOTHESIS = "This text is {}."
MEANINGS = {
    "bug": "a report that something does not work",
    "feature": "a wish for something new",
    "question": "a question about the product",
    "setup": "trouble with installing or signing in",
    "praise": "praise",
    "criticism": "criticism",
    "other": "about something else",
}


class BadModel(Exception):
    """The configured model cannot be used; the message says what to do."""


class CategoryModel:
    """Probabilities of our categories by a model of Hugging Face."""

    def __init__(self, name: str, labels: Mapping[str, str]) -> None:
        """`name`: a folder, or a model of the hub; `labels`: its labels to our categories, empty
        for a zero-shot model. Raises BadModel.
        """
        try:
            from transformers import pipeline
        except ImportError as error:
            raise BadModel(f"CLASSIFIER_MODEL needs the train extra: {error}.") from None
        self.name = name
        self._labels = dict(labels)
        task: Any = "text-classification" if labels else "zero-shot-classification"
        try:
            self._pipeline: Any = pipeline(task, model=name, device=-1)
        except (OSError, ValueError, ImportError, RuntimeError, KeyError) as error:
            first = str(error).strip().splitlines()[0][:200]
            raise BadModel(f"CLASSIFIER_MODEL: {name} cannot be loaded: {first}") from None
        self._check()

    def _check(self) -> None:
        if not self._labels:
            return
        own = set(self._pipeline.model.config.id2label.values())
        if unknown := sorted(self._labels.keys() - own):
            raise BadModel(
                f'CLASSIFIER_LABELS: {self.name} has no label "{unknown[0]}". '
                f"It has: {', '.join(sorted(own))[:300]}."
            )

    def shares(self, texts: Sequence[Text]) -> "np.ndarray[Any, Any]":
        """Probabilities of the categories, rows as `texts`. What no label maps to is `other`."""
        import numpy as np

        words = ["\n".join(filter(None, prepared(text)))[:LONGEST] or "-" for text in texts]
        rows = self._mapped(words) if self._labels else self._by_meaning(words)
        found = np.array([[row.get(name, 0.0) for name in CATEGORIES] for row in rows])
        found = found.reshape(-1, len(CATEGORIES)) + 1e-6
        return found / found.sum(axis=1, keepdims=True)

    def _mapped(self, words: list[str]) -> list[dict[str, float]]:
        answers = self._pipeline(words, top_k=None, truncation=True, batch_size=BATCH)
        rows = []
        for answer in answers:
            row: dict[str, float] = {}
            for one in answer:
                category = self._labels.get(one["label"], "other")
                row[category] = row.get(category, 0.0) + one["score"]
            rows.append(row)
        return rows

    def _by_meaning(self, words: list[str]) -> list[dict[str, float]]:
        by_meaning = {meaning: name for name, meaning in MEANINGS.items()}
        answers = self._pipeline(
            words, list(by_meaning), hypothesis_template=HYPOTHESIS, truncation=True
        )
        answers = [answers] if isinstance(answers, dict) else answers
        return [
            {by_meaning[k]: v for k, v in zip(one["labels"], one["scores"], strict=True)}
            for one in answers
        ]
