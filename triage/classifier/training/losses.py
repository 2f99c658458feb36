"""What a batch's outputs cost, by head: against labels, a teacher's word and the held embedding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from triage.classifier.labels import CATEGORIES, HEADS
from triage.classifier.training.data import Example

SMOOTHING = 0.05
WEIGHTS = {"category": 1.0, "also": 0.3, "sentiment": 1.0, "severity": 0.6, "topic": 0.4}
BALANCE = 0.5
BUG = CATEGORIES.index("bug")
NEVER = -1e4  # a logit

Tensors = dict[str, torch.Tensor]
Balance = dict[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True, slots=True)
class Targets:
    """What a batch should come to, by head, each (batch, classes) or (batch,).

    `labels` has a one for each class that is right, `allowed` for each that the row's data set
    could have said, `weight` is zero without a label; `told` has a teacher's probabilities where
    `taught` is one.
    """

    labels: Tensors
    allowed: Tensors
    weight: Tensors
    told: Tensors
    taught: torch.Tensor


def targets_of(batch: Sequence[Example], balance: Balance, device: torch.device) -> Targets:
    """The targets of these examples, as tensors on `device`."""
    labels, allowed, weight, told = {}, {}, {}, {}
    for head, names in (HEADS | {"also": CATEGORIES}).items():
        rows = np.zeros((len(batch), len(names)), np.float32)
        could, weighs, said = np.ones_like(rows), np.zeros(len(batch), np.float32), rows.copy()
        for row, example in enumerate(batch):
            if example.soft is not None:
                said[row] = example.soft[head]
            own = list(labels_of(example, head))
            if not own:
                continue
            rows[row, own] = 1.0
            weighs[row] = 1.0 if head == "also" else example.weight * balance[head][own].mean()
            if head == "category" and len(example.candidates) < len(names):
                could[row] = 0.0
                could[row, list(example.candidates)] = 1.0
        for found, array in ((labels, rows), (allowed, could), (weight, weighs), (told, said)):
            found[head] = torch.from_numpy(array).to(device)
    taught = torch.tensor([float(example.soft is not None) for example in batch])
    return Targets(labels, allowed, weight, told, taught.to(device))


def labels_of(example: Example, head: str) -> frozenset[int]:
    """The classes that are right; none if the example has no label for this head."""
    if head == "category":
        return example.categories
    if head == "also":
        return example.also or frozenset()
    label = getattr(example, head)
    return frozenset({label}) if label >= 0 else frozenset()


def balance_of(examples: Sequence[Example]) -> Balance:
    """Class weights: a power of the inverse of each class's share, mean 1."""
    balance = {}
    for head, names in HEADS.items():
        counts = [1.0] * len(names)
        for example in examples:
            own = labels_of(example, head)
            for label in own:
                counts[label] += 1 / len(own)
        weights = np.array(counts) ** -BALANCE
        balance[head] = weights / weights.mean()
    return balance


def loss_of(outputs: Tensors, targets: Targets, soft: float) -> torch.Tensor:
    """The mean loss of all heads; `soft` is a teacher's share where there is a label too."""
    size = len(targets.taught)
    kept = 1 - soft * targets.taught
    total = WEIGHTS["also"] * _also(outputs["also"], targets) / size
    for head in HEADS:
        each = _against_labels(outputs[head], targets, head) * kept
        total = total + WEIGHTS[head] * each.sum() / size
        each = _against_teacher(outputs[head], targets, head) * soft * targets.taught
        total = total + WEIGHTS[head] * each.sum() / size
    return total


def _against_labels(logits: torch.Tensor, targets: Targets, head: str) -> torch.Tensor:
    """Cross entropy against any of a row's labels, among those that it could have had."""
    allowed, labels = targets.allowed[head], targets.labels[head]
    log = torch.log_softmax(logits.masked_fill(allowed == 0, NEVER), dim=1)
    right = torch.logsumexp(log.masked_fill(labels == 0, NEVER), dim=1)
    spread = (log * allowed).sum(1) / allowed.sum(1)
    return (-(1 - SMOOTHING) * right - SMOOTHING * spread) * targets.weight[head]


def _against_teacher(logits: torch.Tensor, targets: Targets, head: str) -> torch.Tensor:
    """How far rows are from their teacher's probabilities (Hinton et al., 2015).

    Severities count by how much the teacher takes the text for a bug.
    """
    log, told = torch.log_softmax(logits, dim=1), targets.told[head]
    each = nn.functional.kl_div(log, told, reduction="none").sum(1)
    return each * targets.told["category"][:, BUG] if head == "severity" else each


def _also(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Each category by itself: the labels where there are some, else the teacher's word."""
    labelled = targets.weight["also"].unsqueeze(1)
    wanted = labelled * targets.labels["also"] + (1 - labelled) * targets.told["also"]
    counts = torch.maximum(labelled, targets.taught.unsqueeze(1))
    each = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (each * counts).sum() / len(CATEGORIES) * 2
