"""Teachers, and the texts that only they have something to say of."""

import random
from pathlib import Path

import pytest
import torch

from tests.training.test_run import PLAN, data
from triage.classifier.labels import HEADS
from triage.classifier.reader import Reader
from triage.classifier.texts import Text
from triage.classifier.training.augmentation import variants
from triage.classifier.training.data import FOLDS, Example, examples, posts, unlabelled
from triage.classifier.training.losses import balance_of, loss_of, targets_of
from triage.classifier.training.run import Run, run
from triage.classifier.training.teacher import Teachers


def test_a_labelled_text_is_read_by_the_teacher_that_has_not_seen_it(
    tmp_path: Path, tiny_model: Path
) -> None:
    folder = data(tmp_path)
    lines: list[str] = []
    teachers = Teachers(tiny_model, folder, tmp_path, 3, PLAN)
    seen = [*posts(folder), *unlabelled(folder)]
    annotated = teachers.annotate(seen, lines.append)
    assert all(example.soft is not None for example in annotated)
    shares = annotated[0].soft["category"].astype(float)
    assert shares.sum() == pytest.approx(1.0, abs=0.01)
    whole = len(examples(folder, PLAN, 3))
    learnt = [int(line.split()[-2]) for line in lines if "learns from" in line]
    assert len(learnt) == FOLDS
    assert all(0 < count < whole for count in learnt)
    for fold in range(FOLDS):
        own = teachers.words(fold, {e.text: e.fold for e in seen}, lines.append)
        assert all(e.text in own for e in seen if e.fold in (fold, -1))
        assert not any(e.text in own for e in posts(folder) if e.fold != fold)
    again: list[str] = []
    assert len(teachers.annotate(seen, again.append)) == len(seen)
    assert again == []  # a run that was stopped does not train its teachers again


def test_a_run_with_a_teacher_writes_a_model_that_reads(tmp_path: Path, tiny_model: Path) -> None:
    folder = data(tmp_path)
    asked = Run(folder, tmp_path / "model", teacher=tiny_model, taught=PLAN, teachers=PLAN)
    run(asked, lambda line: None)
    assert Reader(tmp_path / "model").read([Text(text="the board does not load")])
    assert not list((tmp_path / "model").glob("teacher*"))


def test_variants_have_no_label_and_stay_in_their_fold(tmp_path: Path) -> None:
    long = Text(text="It crashes. I lost my notes! Please help.", channel="email", context="Help")
    labelled = [
        Example(text=long, categories=frozenset({0}), fold=2),
        Example(text=Text(text="Love it", channel="email"), categories=frozenset({4}), fold=2),
        Example(text=Text(text="How much?", channel="email"), categories=frozenset({2}), fold=1),
    ]
    made = list(variants(labelled, 10, random.Random(1)))
    assert len(made) == 30
    assert not any(example.categories or example.soft for example in made)
    assert [example.fold for example in made] == [2] * 20 + [1] * 10
    assert all("How much" not in example.text.text for example in made[:20])
    assert len({example.text for example in made[:10]}) > 7
    assert made == list(variants(labelled, 10, random.Random(1)))


def test_a_teachers_word_counts_beside_the_label() -> None:
    sizes = {name: len(names) for name, names in HEADS.items()} | {"also": 7}
    says = {name: [1.0, *[0.0] * (size - 1)] for name, size in sizes.items()}
    label = Example(text=Text(text="a"), categories=frozenset({1}), soft=says)
    balance = balance_of([label])

    def cost(first: float, soft: float) -> float:
        outputs = {name: torch.zeros(1, size) for name, size in sizes.items()}
        outputs["category"][0, 0] = first
        return float(loss_of(outputs, targets_of([label], balance, torch.device("cpu")), soft))

    assert cost(2.0, soft=1.0) < cost(0.0, soft=1.0)  # nearer to what the teacher says
    assert cost(2.0, soft=0.0) > cost(0.0, soft=0.0)  # farther from the label
