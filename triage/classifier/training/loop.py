"""The training run: one pool of examples, every head in one pass."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from triage.classifier.labels import CATEGORIES, HEADS
from triage.classifier.training.data import Example
from triage.classifier.training.network import Network, batch_of

WARM_UP = 0.06
SMOOTHING = 0.05
TOKENS = 3_000  # of one batch, padding included
POOL = 1_500  # examples that are sorted by length together
WEIGHTS = {"category": 1.0, "also": 0.3, "sentiment": 1.0, "severity": 0.6, "topic": 0.4}
SOFT = 0.7  # share of a teacher's word where there is a label too
BALANCE = 0.5
CHECKPOINT_SECONDS = 300

# Half the time of float32, the same result within noise; emulated, it takes ten times as long.
HAS_BFLOAT16 = bool(torch.cpu.get_capabilities().get("avx512_bf16"))

Encoded = tuple[Example, list[int]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a network learns; `hold` weighs its embedding's distance from the frozen one's."""

    encoder_rate: float = 1.5e-4
    head_rate: float = 1e-3
    hold: float = 1.5


def train(
    network: Network,
    encoded: Sequence[Encoded],
    pace: Pace,
    *,
    seed: int,
    checkpoint: Path,
    say: Callable[[str], None],
) -> None:
    """Train in place, with progress and a checkpoint every few minutes."""
    torch.manual_seed(seed)
    held = _frozen_embeddings(network, encoded, say) if pace.hold else {}
    batches = list(_batches(encoded, random.Random(seed)))
    optimiser, schedule = _optimiser(network, len(batches), pace)
    balance = _balance([example for example, _ in encoded])
    network.train()
    began = saved = time.monotonic()
    running = 0.0
    for step, batch in enumerate(batches, 1):
        loss = _loss(network, batch, balance, held, pace.hold)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0 or step == len(batches):
            spent = time.monotonic() - began
            left = spent / step * (len(batches) - step)
            say(f"step {step}/{len(batches)}, loss {running:.3f}, {left / 60:.1f} min left")
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            torch.save(network.state_dict(), checkpoint)
            saved = time.monotonic()
    torch.save(network.state_dict(), checkpoint)
    network.eval()


def _batches(encoded: Sequence[Encoded], rng: random.Random) -> Iterator[list[Encoded]]:
    """Batches of like length within a token budget, in random order."""
    batches: list[list[Encoded]] = []
    for start in range(0, len(encoded), POOL):
        batch: list[Encoded] = []
        for pair in sorted(encoded[start : start + POOL], key=lambda pair: len(pair[1])):
            if batch and len(pair[1]) * (len(batch) + 1) > TOKENS:
                batches.append(batch)
                batch = []
            batch.append(pair)
        batches.append(batch)
    rng.shuffle(batches)
    yield from batches


def _optimiser(
    network: Network, steps: int, pace: Pace
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": encoder, "lr": pace.encoder_rate},
            {"params": network.heads.parameters(), "lr": pace.head_rate},
            {"params": network.embedder.parameters(), "lr": pace.head_rate},
        ],
        weight_decay=0.01,
    )
    warm = max(1, int(steps * WARM_UP))

    def rate(step: int) -> float:
        return min(step / warm, max(0.0, (steps - step) / max(1, steps - warm)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def _balance(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Class weights: a power of the inverse of each class's share, mean 1."""
    balance = {}
    for head, names in HEADS.items():
        counts = [1.0] * len(names)
        for example in examples:
            for label in _labels(example, head):
                counts[label] += 1 / max(1, len(_labels(example, head)))
        weights = torch.tensor([count**-BALANCE for count in counts])
        balance[head] = weights / weights.mean()
    return balance


def _labels(example: Example, head: str) -> frozenset[int]:
    if head == "category":
        return example.categories
    label = getattr(example, head)
    return frozenset({label}) if label >= 0 else frozenset()


def _loss(
    network: Network,
    batch: Sequence[Encoded],
    balance: dict[str, torch.Tensor],
    held: dict[tuple[int, ...], torch.Tensor],
    hold: float,
) -> torch.Tensor:
    outputs = outputs_of(network, [ids for _, ids in batch])
    total = outputs["category"].sum() * 0.0
    for head in HEADS:
        total = total + WEIGHTS[head] * _head_loss(outputs[head], batch, head, balance[head])
    total = total + WEIGHTS["also"] * _also_loss(outputs["also"], batch)
    if held:
        total = total + hold * _hold_loss(outputs["embedding"], batch, held)
    return total


def outputs_of(network: Network, ids: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """What the network makes of token ids, by head."""
    with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BFLOAT16):
        outputs = network(*batch_of(ids, network.pad))
    return {name: output.float() for name, output in outputs.items()}


def _head_loss(
    logits: torch.Tensor, batch: Sequence[Encoded], head: str, balance: torch.Tensor
) -> torch.Tensor:
    """Cross entropy against any of an example's labels, among those that it could have had."""
    size = logits.shape[1]
    target, allowed = torch.zeros_like(logits), torch.ones_like(logits)
    weight = torch.zeros(len(batch))
    for row, (example, _) in enumerate(batch):
        labels = _labels(example, head)
        if not labels:
            continue
        target[row, list(labels)] = 1.0
        weight[row] = example.weight * balance[list(labels)].mean()
        if head == "category" and len(example.candidates) < size:
            allowed[row] = 0.0
            allowed[row, list(example.candidates)] = 1.0
    log = torch.log_softmax(logits.masked_fill(allowed == 0, -1e4), dim=1)
    right = torch.logsumexp(log.masked_fill(target == 0, -1e4), dim=1)
    spread = (log * allowed).sum(1) / allowed.sum(1)
    each = -(1 - SMOOTHING) * right - SMOOTHING * spread
    taught = torch.tensor([example.soft is not None for example, _ in batch])
    total = (each * weight * (1 - SOFT * taught)).sum()
    if taught.any():
        total = total + SOFT * _distance(logits, batch, head)
    return total / len(batch)


def _distance(logits: torch.Tensor, batch: Sequence[Encoded], head: str) -> torch.Tensor:
    """How far the taught examples are from their teacher's probabilities, summed.

    Severities count by how much the teacher takes the text for a bug (Hinton et al., 2015).
    """
    taught = [(row, example.soft) for row, (example, _) in enumerate(batch) if example.soft]
    told = torch.stack([torch.as_tensor(soft[head]) for _, soft in taught]).float()
    log = torch.log_softmax(logits[[row for row, _ in taught]], dim=1)
    each = nn.functional.kl_div(log, told, reduction="none").sum(1)
    if head == "severity":
        bug = CATEGORIES.index("bug")
        each = each * torch.tensor([float(soft["category"][bug]) for _, soft in taught])
    return each.sum()


def _also_loss(logits: torch.Tensor, batch: Sequence[Encoded]) -> torch.Tensor:
    target, weight = torch.zeros_like(logits), torch.zeros(len(batch), 1)
    for row, (example, _) in enumerate(batch):
        if example.also is not None:
            target[row, list(example.also)] = 1.0
            weight[row] = 1.0
        elif example.soft is not None:
            target[row] = torch.as_tensor(example.soft["also"]).float()
            weight[row] = 1.0
    each = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (each * weight).sum() / (len(batch) * len(CATEGORIES)) * 2


def _hold_loss(
    embedding: torch.Tensor, batch: Sequence[Encoded], held: dict[tuple[int, ...], torch.Tensor]
) -> torch.Tensor:
    rows = [row for row, (_, ids) in enumerate(batch) if tuple(ids) in held]
    if not rows:
        return embedding.sum() * 0.0
    frozen = torch.stack([held[tuple(batch[row][1])] for row in rows])
    return (1 - (embedding[rows] * frozen).sum(1)).sum() / len(batch)


def _frozen_embeddings(
    network: Network, encoded: Sequence[Encoded], say: Callable[[str], None]
) -> dict[tuple[int, ...], torch.Tensor]:
    """What the encoder made of these texts before any training, by their token ids."""
    unique = {tuple(ids) for example, ids in encoded if example.holds_embedding}
    ordered = sorted(unique, key=len)
    say(f"embedding {len(ordered)} texts with the frozen encoder")
    held: dict[tuple[int, ...], torch.Tensor] = {}
    network.eval()
    with torch.no_grad():
        for start in range(0, len(ordered), 64):
            batch = ordered[start : start + 64]
            embedding = outputs_of(network, batch)["embedding"]
            held |= dict(zip(batch, embedding, strict=True))
    return held
