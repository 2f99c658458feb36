"""The training run: one pool of examples, every head in one pass."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from triage.classifier.training.data import Example
from triage.classifier.training.losses import Tensors, balance_of, loss_of, targets_of
from triage.classifier.training.network import Network, batch_of

WARM_UP = 0.06
POOL = 1_500  # examples that are sorted by length together
CHECKPOINT_SECONDS = 300
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# Half the time of float32, the same result within noise; emulated, it takes ten times as long.
HAS_BFLOAT16 = DEVICE.type == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))

Encoded = tuple[Example, list[int]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a network learns, and from what.

    `tokens` is the size of a batch, padding included. `hold` weighs its embedding's distance from
    the frozen one's, `soft` is a teacher's share of what is learnt of a text that has a label too.
    """

    encoder_rate: float = 1.5e-4
    head_rate: float = 1e-3
    tokens: int = 3_000
    hold: float = 1.5
    soft: float = 0.7


def train(
    network: Network,
    encoded: Sequence[Encoded],
    pace: Pace,
    *,
    seed: int,
    checkpoint: Path,
    say: Callable[[str], None],
    frozen: Network | None = None,
) -> None:
    """Train in place, with progress and a checkpoint every few minutes.

    `frozen` is the network before any training, near whose embeddings this one's are held.
    """
    torch.manual_seed(seed)
    network.to(DEVICE)
    held = _frozen_embeddings(frozen, encoded, say) if frozen else {}
    batches = list(_batches(encoded, pace.tokens, random.Random(seed)))
    optimiser, schedule = _optimiser(network, len(batches), pace)
    balance = balance_of([example for example, _ in encoded])
    network.train()
    began = saved = time.monotonic()
    running = torch.zeros((), device=DEVICE)
    for step, batch in enumerate(batches, 1):
        outputs = outputs_of(network, [ids for _, ids in batch])
        targets = targets_of([example for example, _ in batch], balance, DEVICE)
        loss = loss_of(outputs, targets, pace.soft)
        if held:
            loss = loss + pace.hold * _hold_loss(outputs["embedding"], batch, held)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        running = loss.detach() if step == 1 else 0.98 * running + 0.02 * loss.detach()
        if step % 50 == 0 or step == len(batches):
            spent = time.monotonic() - began
            left = spent / step * (len(batches) - step)
            say(f"step {step}/{len(batches)}, loss {running:.3f}, {left / 60:.1f} min left")
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            torch.save(network.state_dict(), checkpoint)
            saved = time.monotonic()
    torch.save(network.state_dict(), checkpoint)
    network.eval()


def _batches(
    encoded: Sequence[Encoded], tokens: int, rng: random.Random
) -> Iterator[list[Encoded]]:
    """Batches of like length within a token budget, in random order."""
    batches: list[list[Encoded]] = []
    for start in range(0, len(encoded), POOL):
        batch: list[Encoded] = []
        for pair in sorted(encoded[start : start + POOL], key=lambda pair: len(pair[1])):
            if batch and len(pair[1]) * (len(batch) + 1) > tokens:
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


def outputs_of(network: Network, ids: Sequence[Sequence[int]]) -> Tensors:
    """What the network makes of token ids, by head."""
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=HAS_BFLOAT16):
        outputs = network(*(tensor.to(DEVICE) for tensor in batch_of(ids, network.pad)))
    return {name: output.float() for name, output in outputs.items()}


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
    network.to(DEVICE).eval()
    with torch.no_grad():
        for start in range(0, len(ordered), 64):
            batch = ordered[start : start + 64]
            embedding = outputs_of(network, batch)["embedding"]
            held |= dict(zip(batch, embedding, strict=True))
    return held
