"""Reads texts with the shipped model: ONNX Runtime, batches of like length."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feedback import language
from triage import severity, subjects
from triage.classifier.labels import CATEGORIES, SENTIMENTS, SEVERITIES, TOPICS
from triage.classifier.texts import Text, encode, own_words

if TYPE_CHECKING:
    import numpy as np

    from triage.playbook import Playbook

SHIPPED = Path(__file__).with_name("model")
STEP = 16  # texts are padded to a multiple of this, by their own length alone
BATCH_TOKENS = 2_048
OPSET_OUTPUTS = ("category", "sentiment", "severity", "topic", "also", "embedding")
TRUSTED = 0.5  # confidence below which a person should look


class ModelError(Exception):
    """The classifier cannot work; the message says what to do."""


class ModelMissing(ModelError):
    """A file of the model is not there."""


class ModelDamaged(ModelError):
    """A file of the model is not the one that was shipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the classifier made of one text.

    `confidence` is the calibrated probability of `category`, 0 to 1; `severity` is None unless
    the category is bug; `evidence` has the text's own phrases that speak for a severity;
    `embedding` has 384 numbers and unit length.
    """

    category: str
    also: tuple[str, ...]
    sentiment: str
    severity: str | None
    topic: str
    language: str
    confidence: float
    trusted: bool
    why: tuple[str, ...]
    evidence: tuple[str, ...]
    scores: dict[str, dict[str, float]]
    embedding: "np.ndarray[Any, Any]"
    model: str


@cache
def get_reader() -> "Reader":
    """The shipped model, loaded once a process. Raises ModelMissing, ModelDamaged."""
    return Reader(SHIPPED)


class Reader:
    """One model; `read` may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelMissing or ModelDamaged."""
        self.card = _checked_card(folder)
        self.version: str = self.card["version"]
        self._tokenizer = tokenizer_of(folder / "tokenizer.json")
        self._session = _session(folder / "model.onnx")

    def read(self, texts: Sequence[Text], playbook: "Playbook | None" = None) -> list[Reading]:
        """Read texts, in their order. `playbook` says what is evidence and who answers what."""
        outputs = self.outputs(texts)
        return [
            self._reading(text, {name: rows[position] for name, rows in outputs.items()}, playbook)
            for position, text in enumerate(texts)
        ]

    def outputs(self, texts: Sequence[Text]) -> "dict[str, np.ndarray[Any, Any]]":
        """Probabilities by head (rows as `texts`), and embeddings."""
        import numpy as np

        encoded = encode(self._tokenizer, texts)
        found: dict[str, Any] = {}
        for positions, length in _batches(encoded):
            ids = np.zeros((len(positions), length), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, position in enumerate(positions):
                ids[row, : len(encoded[position])] = encoded[position]
                mask[row, : len(encoded[position])] = 1
            results = self._session.run(list(OPSET_OUTPUTS), {"ids": ids, "mask": mask})
            for name, result in zip(OPSET_OUTPUTS, results, strict=True):
                if name not in found:
                    found[name] = np.zeros((len(texts), result.shape[1]), dtype=np.float32)
                found[name][positions] = result
        return {name: self._calibrated(name, rows) for name, rows in found.items()}

    def _calibrated(self, name: str, logits: Any) -> Any:
        import numpy as np

        if name == "embedding":
            return logits
        logits = logits / self.card["temperatures"].get(name, 1.0)
        if name == "also":
            return 1 / (1 + np.exp(-logits))
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def _reading(self, text: Text, row: dict[str, Any], playbook: "Playbook | None") -> Reading:
        words = own_words(f"{text.title}\n{text.text}")
        by_category = _named(CATEGORIES, row["category"])
        by_severity = _named(SEVERITIES, row["severity"])
        evidence = severity.evidence(words, playbook)
        category = _best(by_category)
        if evidence.is_grave and by_category["bug"] >= self.card["grave_bug"]:
            category = "bug"
        grade, reasons = None, list[str]()
        if category == "bug":
            grade, reasons = severity.decide(by_severity, evidence, self.card["p0_threshold"])
        topic, topic_reason = subjects.steer(words, _named(TOPICS, row["topic"]), playbook)
        tongue = language.detect(words)
        confidence = round(by_category[category], 3)
        has_words = sum(character.isalpha() for character in words) >= 3
        return Reading(
            category=category,
            also=_also(row["also"], category),
            sentiment=_best(_named(SENTIMENTS, row["sentiment"])),
            severity=grade,
            topic=topic,
            language=tongue,
            confidence=confidence if has_words else min(confidence, 0.2),
            trusted=has_words and tongue == "en" and confidence >= TRUSTED,
            why=(_category_reason(by_category), *reasons, *topic_reason),
            evidence=tuple(phrase for _, phrase in evidence.found),
            scores={
                "category": by_category,
                "sentiment": _named(SENTIMENTS, row["sentiment"]),
                "severity": by_severity,
                "topic": _named(TOPICS, row["topic"]),
            },
            embedding=row["embedding"],
            model=self.version,
        )


def _batches(encoded: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], int]]:
    """Positions of texts of one padded length, within a token budget.

    A text's padding follows from its own length, so that its reading does not depend on what is
    read beside it.
    """
    by_length: dict[int, list[int]] = {}
    for position, ids in enumerate(encoded):
        by_length.setdefault(-(-len(ids) // STEP) * STEP, []).append(position)
    for length, positions in sorted(by_length.items()):
        size = max(1, BATCH_TOKENS // length)
        for start in range(0, len(positions), size):
            yield positions[start : start + size], length


def _named(names: Sequence[str], row: Any) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(names, row, strict=True)}


def _best(scores: dict[str, float]) -> str:
    return max(scores, key=lambda name: scores[name])


def _also(row: Any, category: str) -> tuple[str, ...]:
    found = _named(CATEGORIES, row)
    ranked = sorted(found, key=lambda name: -found[name])
    return tuple(name for name in ranked if found[name] >= 0.5 and name != category)


def _category_reason(scores: dict[str, float]) -> str:
    first, second = sorted(scores, key=lambda name: -scores[name])[:2]
    return f"reads as {first} ({scores[first]:.0%}), next {second} ({scores[second]:.0%})"


def _checked_card(folder: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        digests = card["sha256"]
        for name, digest in digests.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise ModelDamaged(f"{name} of the classifier is damaged. Restore {folder.name}/.")
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise ModelMissing(
            f"{name} of the classifier is missing. Restore {folder.name}/."
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise ModelDamaged(f"model.json of the classifier cannot be read: {error}.") from None
    return card


def tokenizer_of(path: Path) -> Any:
    """The tokenizer of a file."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # It warns that there is no PyTorch; tokenizers need none.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import PreTrainedTokenizerFast

    names = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "unk")}
    return PreTrainedTokenizerFast(tokenizer_file=str(path), **names)


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - what ONNX Runtime raises has no common name
        raise ModelDamaged(f"The classifier cannot be loaded: {str(error)[:200]}") from None
