"""A larger encoder, trained on the same labels, whose readings the shipped one learns from.

It is too large to ship. What it says of a text, labelled or not, has more to teach than the label
alone (Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from triage.classifier.labels import HEADS
from triage.classifier.texts import encode
from triage.classifier.training.data import Example, Plan, examples
from triage.classifier.training.loop import Pace, outputs_of, train
from triage.classifier.training.network import Network

FROZEN_LAYERS = 6  # of twelve: a third of the time
PACE = Pace(encoder_rate=5e-5, head_rate=1e-3, hold=0.0)
PLAN = Plan(
    # Few epochs: a teacher that knows its examples by heart only repeats their labels.
    real_epochs=2,
    severe_epochs=3,
    issue_epochs=1,
    tweets=4_000,
    developers=500,
    older=1_000,
    without_context=0.25,
)
TOKENS = 6_000  # of one batch that is only read


class Teacher:
    """A trained teacher and how it reads."""

    def __init__(self, base: Path) -> None:
        """`base`: a folder with the weights and the tokenizer of an encoder."""
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.network = Network(base, frozen_layers=FROZEN_LAYERS)

    def train(self, data: Path, seed: int, checkpoint: Path, say: Callable[[str], None]) -> None:
        """Train on the labels; a checkpoint that is whole is taken instead."""
        if checkpoint.exists():
            say(f"the teacher is taken from {checkpoint}")
            self.network.load_state_dict(torch.load(checkpoint))
            self.network.eval()
            return
        seen = examples(data, PLAN, seed)
        say(f"teacher: {len(seen)} examples")
        encoded = list(zip(seen, self._encode(seen), strict=True))
        part = checkpoint.with_suffix(".part")
        train(self.network, encoded, PACE, seed=seed, checkpoint=part, say=say)
        part.rename(checkpoint)

    def annotate(self, seen: Sequence[Example], say: Callable[[str], None]) -> list[Example]:
        """The examples with the teacher's probabilities by head."""
        encoded = self._encode(seen)
        unique = sorted({tuple(ids) for ids in encoded}, key=len)
        said: dict[tuple[int, ...], dict[str, Any]] = {}
        start = 0
        while start < len(unique):
            size = max(1, TOKENS // len(unique[min(start + 64, len(unique) - 1)]))
            batch = unique[start : start + size]
            said |= dict(zip(batch, self._read(batch), strict=True))
            start += size
            if start % 2_000 < size:
                say(f"teacher reads {start}/{len(unique)}")
        return [
            replace(example, soft=said[tuple(ids)])
            for example, ids in zip(seen, encoded, strict=True)
        ]

    def _encode(self, seen: Sequence[Example]) -> list[list[int]]:
        return [tokens.ids for tokens in encode(self.tokenizer, [example.text for example in seen])]

    def _read(self, batch: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        with torch.inference_mode():
            outputs = outputs_of(self.network, batch)
        found = {name: torch.softmax(outputs[name], dim=1) for name in HEADS}
        found["also"] = torch.sigmoid(outputs["also"])
        arrays = {name: rows.numpy().astype(np.float16) for name, rows in found.items()}
        return [{name: rows[row] for name, rows in arrays.items()} for row in range(len(batch))]
