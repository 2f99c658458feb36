"""Larger encoders, trained on the same labels, whose readings the shipped one learns from.

They are too large to ship. What they say of a text, labelled or not, has more to teach than the
label alone (Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015). A
teacher that was trained on a text only repeats its label; so the labelled texts are cut into
folds, by product, and each fold is read by the teacher that has not seen it. A text without a
label is read by all of them.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from triage.classifier.labels import HEADS
from triage.classifier.texts import Text, encode
from triage.classifier.training.data import FOLDS, Example, Plan, examples
from triage.classifier.training.loop import Pace, outputs_of, train
from triage.classifier.training.network import Network

PACE = Pace(encoder_rate=4e-5)
PLAN = Plan(real_epochs=3, severe_epochs=4, issue_epochs=2, tweets=30_000, developers=5_000)
TOKENS = 6_000  # of one batch that is only read

Said = dict[str, Any]  # probabilities by head
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Teachers:
    """One teacher a fold, of the weights in the folder `base`, trained on the labels in `data`.

    What each says of the texts that it was asked is kept in `out` until the run is over, so that a
    run that was stopped goes on.
    """

    base: Path
    data: Path
    out: Path
    seed: int
    plan: Plan = PLAN

    def annotate(self, seen: Sequence[Example], say: Say) -> list[Example]:
        """The examples with what the teachers say of them."""
        asked = _asked(seen)
        said = self._merged(asked, [self.words(fold, asked, say) for fold in range(FOLDS)])
        return [replace(example, soft=said[example.text]) for example in seen]

    def words(self, fold: int, asked: dict[Text, int], say: Say) -> dict[Text, Said]:
        """What the teacher of one fold says of the texts that are its own to read."""
        texts = [text for text, own in asked.items() if own in (fold, -1)]
        digest = hashlib.sha256(repr(texts).encode("utf-8", "replace")).hexdigest()[:12]
        kept = self.out / f"teacher-{fold}-{digest}.npz"
        if not kept.exists():
            network, tokenizer = self._trained(fold, say)
            say(f"the teacher of fold {fold} reads {len(texts)} texts")
            part = self.out / "teacher.part.npz"
            np.savez(part, **_read(network, tokenizer, texts))
            part.rename(kept)
        arrays = dict(np.load(kept))
        return {
            text: {head: rows[row] for head, rows in arrays.items()}
            for row, text in enumerate(texts)
        }

    def _trained(self, fold: int, say: Say) -> tuple[Network, Any]:
        torch.manual_seed(self.seed + fold)
        network, tokenizer = Network(self.base), AutoTokenizer.from_pretrained(self.base)
        seen = [
            example
            for example in examples(self.data, self.plan, self.seed + fold)
            if example.fold != fold
        ]
        say(f"the teacher of fold {fold} learns from {len(seen)} examples")
        found = encode(tokenizer, [example.text for example in seen])
        encoded = [(example, own.ids) for example, own in zip(seen, found, strict=True)]
        part = self.out / "teacher.pt"
        train(network, encoded, PACE, seed=self.seed + fold, checkpoint=part, say=say)
        part.unlink()
        return network, tokenizer

    @staticmethod
    def _merged(asked: dict[Text, int], by_fold: Sequence[dict[Text, Said]]) -> dict[Text, Said]:
        return {
            text: by_fold[own][text]
            if own >= 0
            else {
                head: np.mean([said[text][head] for said in by_fold], axis=0)
                for head in (*HEADS, "also")
            }
            for text, own in asked.items()
        }


def _asked(seen: Sequence[Example]) -> dict[Text, int]:
    """Each text once, with its fold."""
    return {example.text: example.fold for example in seen}


def _read(network: Network, tokenizer: Any, texts: Sequence[Text]) -> dict[str, np.ndarray]:
    """Probabilities by head, a row a text."""
    encoded = [own.ids for own in encode(tokenizer, texts)]
    order = sorted(range(len(texts)), key=lambda position: len(encoded[position]))
    sizes = {name: len(names) for name, names in HEADS.items()} | {"also": len(HEADS["category"])}
    found = {name: np.zeros((len(texts), size), np.float16) for name, size in sizes.items()}
    start = 0
    while start < len(order):
        longest = len(encoded[order[min(start + 64, len(order) - 1)]])
        positions = order[start : start + max(1, TOKENS // longest)]
        start += len(positions)
        with torch.inference_mode():
            outputs = outputs_of(network, [encoded[position] for position in positions])
        for name in HEADS:
            found[name][positions] = torch.softmax(outputs[name], dim=1).cpu().numpy()
        found["also"][positions] = torch.sigmoid(outputs["also"]).cpu().numpy()
    return found
