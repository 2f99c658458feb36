"""Reads texts with the shipped model: ONNX Runtime, batches of like length."""

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from django.conf import settings

from feedback import language
from triage import severity, subjects
from triage.classifier.carried import Said
from triage.classifier.examples import Examples, Like, Phrases, phrases_of
from triage.classifier.labels import CATEGORIES, HEADS, SENTIMENTS, SEVERITIES, TOPICS
from triage.classifier.texts import Text, Tokens, encode, own_words

if TYPE_CHECKING:
    import numpy as np

    from triage.classifier.adjustment import Adjustment
    from triage.classifier.huggingface import CategoryModel
    from triage.playbook import Playbook

SHIPPED = Path(__file__).with_name("model")
STEP = 8  # texts are padded to a multiple of this, by their own length alone
BATCH_TOKENS = 768
OUTPUTS = ("category", "sentiment", "severity", "topic", "also", "embedding")
NO_WORDS = "there are hardly any words in it"
# An attribute of each matrix product in `model.onnx`: 1 computes in float32, 4 in int8.
PRECISION = b"accuracy_level\x18%c"
INT8_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})  # instructions of processors
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
    the category is bug, `grade` is what it would be then; `p0_probability` is None unless it is a
    P0 by precaution alone; `evidence` has the phrases that speak for a severity; `embedding` has
    384 numbers and unit length.
    """

    category: str
    also: tuple[str, ...]
    sentiment: str
    severity: str | None
    p0_probability: float | None
    grade: str
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
    """The shipped model, with the team's own for the category if one is configured; loaded once a
    process. Raises ModelError.
    """
    if not settings.CLASSIFIER_MODEL:
        return Reader(SHIPPED)
    from triage.classifier.huggingface import BadModel, CategoryModel

    try:
        own = CategoryModel(settings.CLASSIFIER_MODEL, settings.CLASSIFIER_LABELS)
    except BadModel as error:
        raise ModelError(str(error)) from None
    return Reader(SHIPPED, own)


def shipped_version() -> str:
    """The name of the shipped model, without loading it. Raises ModelMissing, ModelDamaged."""
    return str(_card(SHIPPED)["version"])


class Reader:
    """One model; `read` may be called from several threads."""

    def __init__(self, folder: Path, own: "CategoryModel | None" = None) -> None:
        """`own` reads the category in place of the model in `folder`.

        Raises ModelMissing or ModelDamaged.
        """
        self.card = _checked_card(folder)
        self._own = own
        self.version: str = self.card["version"] + (f" with {own.name}"[:40] if own else "")
        self._tokenizer = tokenizer_of(folder / "tokenizer.json")
        self._session = _session(folder / "model.onnx")
        self._examples = lru_cache(maxsize=4)(self._embedded)

    def read(
        self,
        texts: Sequence[Text],
        playbook: "Playbook | None" = None,
        adjustment: "Adjustment | None" = None,
    ) -> list[Reading]:
        """Read texts, in their order.

        `playbook` says what is evidence and who answers what, `adjustment` what was learnt from
        corrections.
        """
        encoded = encode(self._tokenizer, texts)
        outputs, tokens = self._run(encoded)
        if self._own and texts:
            outputs["category"] = self._own.shares(texts)
        if adjustment and texts:
            for head in HEADS:
                outputs[head] = adjustment.apply(head, outputs[head], outputs["embedding"])
        likest = self._likest(outputs, playbook) if playbook and texts else [{}] * len(texts)
        name = self.version + (adjustment.name if adjustment else "")
        return [
            self._reading(
                text,
                {name: rows[position] for name, rows in outputs.items()},
                Said(encoded[position], tokens[position]),
                likest[position],
                playbook,
                name,
            )
            for position, text in enumerate(texts)
        ]

    def _likest(
        self, outputs: dict[str, Any], playbook: "Playbook"
    ) -> Sequence[Mapping[str, Like]]:
        return self._examples(phrases_of(playbook)).likest(outputs["embedding"])

    def _embedded(self, phrases: Phrases) -> Examples:
        texts = [Text(text=phrase) for _, phrase in phrases]
        return Examples(phrases, self.outputs(texts)["embedding"])

    def outputs(self, texts: Sequence[Text]) -> "dict[str, np.ndarray[Any, Any]]":
        """Probabilities by head (rows as `texts`), and embeddings."""
        return self._run(encode(self._tokenizer, texts))[0]

    def _run(self, encoded: Sequence[Tokens]) -> tuple[dict[str, Any], dict[int, Any]]:
        """Outputs by head, a row a text, and by position the logits of a text's tokens."""
        import numpy as np

        found: dict[str, Any] = {}
        tokens: dict[int, Any] = {}
        for positions, length in _batches(encoded):
            ids = np.zeros((len(positions), length), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, position in enumerate(positions):
                own = encoded[position].ids
                ids[row, : len(own)] = own
                mask[row, : len(own)] = 1
            *heads, each = self._session.run([*OUTPUTS, "tokens"], {"ids": ids, "mask": mask})
            for name, result in zip(OUTPUTS, heads, strict=True):
                if name not in found:
                    found[name] = np.zeros((len(encoded), result.shape[1]), dtype=np.float32)
                found[name][positions] = result
            for row, position in enumerate(positions):
                tokens[position] = each[row, : len(encoded[position].ids)]
        return {name: self._calibrated(name, rows) for name, rows in found.items()}, tokens

    def _calibrated(self, name: str, logits: Any) -> Any:
        import numpy as np

        if name == "embedding":
            return logits
        logits = logits / self.card["temperatures"].get(name, 1.0)
        if name == "also":
            return 1 / (1 + np.exp(-logits))
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def _reading(
        self,
        text: Text,
        row: dict[str, Any],
        said: Said,
        likest: Mapping[str, Like],
        playbook: "Playbook | None",
        model: str,
    ) -> Reading:
        words = own_words(f"{text.title}\n{text.text}")
        by_category = _named(CATEGORIES, row["category"])
        by_severity = _named(SEVERITIES, row["severity"])
        evidence = severity.evidence(words, playbook, likest)
        has_words = sum(character.isalpha() for character in words) >= 3
        bug, threshold = by_category["bug"], self.card["p0_threshold"]
        is_grave = evidence.is_grave or bug * by_severity["P0"] >= threshold
        category = self._category(by_category, is_grave) if has_words else "other"
        grade = severity.decide(by_severity, evidence, threshold, bug)
        is_bug = category == "bug"
        topic, topic_reason = subjects.steer(words, _named(TOPICS, row["topic"]), playbook, likest)
        tongue = language.detect(words)
        confidence = round(by_category[category], 3)
        also = _also(row["also"], category) if has_words else ()
        carried = (_category_reason(by_category, category), *said.reasons(category, also))
        return Reading(
            category=category,
            also=also,
            sentiment=_best(_named(SENTIMENTS, row["sentiment"])),
            severity=grade.severity if is_bug else None,
            p0_probability=grade.p0_probability if is_bug else None,
            grade=grade.severity,
            topic=topic,
            language=tongue,
            confidence=confidence if has_words else min(confidence, 0.2),
            trusted=has_words and tongue == "en" and confidence >= TRUSTED,
            why=(
                *(carried if has_words else (NO_WORDS,)),
                *(grade.reasons if is_bug else ()),
                *topic_reason,
            ),
            evidence=tuple(phrase for _, phrase in evidence.found),
            scores={
                "category": by_category,
                "sentiment": _named(SENTIMENTS, row["sentiment"]),
                "severity": by_severity,
                "topic": _named(TOPICS, row["topic"]),
            },
            embedding=row["embedding"],
            model=model,
        )

    def _category(self, scores: dict[str, float], is_grave: bool) -> str:
        """The likeliest category; what speaks for a P0 makes a bug of what may be one."""
        return "bug" if is_grave and scores["bug"] >= self.card["grave_bug"] else _best(scores)


def _batches(encoded: Sequence[Tokens]) -> Iterator[tuple[list[int], int]]:
    """Positions of texts of one padded length, within a token budget.

    A text's padding follows from its own length, so that its reading does not depend on what is
    read beside it.
    """
    by_length: dict[int, list[int]] = {}
    for position, tokens in enumerate(encoded):
        by_length.setdefault(-(-len(tokens.ids) // STEP) * STEP, []).append(position)
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


def _category_reason(scores: dict[str, float], category: str) -> str:
    first, second = sorted(scores, key=lambda name: -scores[name])[:2]
    words = f"reads as {first} ({scores[first]:.0%}), next {second} ({scores[second]:.0%})"
    return words if category == first else f"{words}; taken as {category}, for it may be a P0"


def _checked_card(folder: Path) -> dict[str, Any]:
    card = _card(folder)
    for name, digest in card["sha256"].items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError:
            raise ModelMissing(
                f"{name} of the classifier is missing. Restore {folder.name}/."
            ) from None
        if found != digest:
            raise ModelDamaged(f"{name} of the classifier is damaged. Restore {folder.name}/.")
    return card


def _card(folder: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        return card | {"version": card["version"], "sha256": dict(card["sha256"])}
    except FileNotFoundError:
        raise ModelMissing(
            f"model.json of the classifier is missing. Restore {folder.name}/."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelDamaged(f"model.json of the classifier cannot be read: {error}.") from None


def tokenizer_of(path: Path) -> Any:
    """The tokenizer of a file."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # It warns that there is no PyTorch; tokenizers need none.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import PreTrainedTokenizerFast

    names = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "unk")}
    return PreTrainedTokenizerFast(tokenizer_file=str(path), **names)


def multiplies_int8(described: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for products of int8."""
    try:
        words = described.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return platform.machine() == "arm64"  # macOS: every one of Apple's has them
    return not INT8_PRODUCTS.isdisjoint(words)


@contextmanager
def _for_this_processor(path: Path) -> Iterator[str]:
    """The model's file, or a passing copy that computes in int8 where that is faster.

    A third faster with such instructions; without them it would be far slower.
    """
    if not multiplies_int8():
        yield str(path)
        return
    with NamedTemporaryFile(suffix=".onnx") as copy:  # given as bytes, it would be kept in memory
        copy.write(path.read_bytes().replace(PRECISION % 1, PRECISION % 4))
        copy.flush()
        yield copy.name


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 3
    try:
        with _for_this_processor(path) as model:
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - what ONNX Runtime raises has no common name
        raise ModelDamaged(f"The classifier cannot be loaded: {str(error)[:200]}") from None
