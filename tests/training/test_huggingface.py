"""A model of the team's own choice reads the category."""

from pathlib import Path

import pytest

from triage.classifier.huggingface import BadModel, CategoryModel
from triage.classifier.reader import SHIPPED, Reader
from triage.classifier.texts import Text

TEXTS = [Text(text="the board does not load"), Text(text="please add dark mode"), Text(text="")]
LABELS = {"DEFECT": "bug", "WISH": "feature"}


def test_its_labels_become_our_categories(tiny_model: Path) -> None:
    own = CategoryModel(str(tiny_model), LABELS)
    shares = own.shares(TEXTS)
    assert shares.shape == (3, 7)
    assert shares.sum(axis=1) == pytest.approx(1.0)
    assert (shares[:, :2].sum(axis=1) > 0.99).all()


def test_the_rest_is_read_by_the_shipped_model(tiny_model: Path) -> None:
    shipped, mixed = Reader(SHIPPED), Reader(SHIPPED, CategoryModel(str(tiny_model), LABELS))
    for text, ours, theirs in zip(TEXTS, shipped.read(TEXTS), mixed.read(TEXTS), strict=True):
        assert theirs.category in (("bug", "feature") if text.text else ("other",))
        assert theirs.sentiment == ours.sentiment
        assert theirs.model.startswith(f"{ours.model} with ")


def test_a_zero_shot_model_needs_no_labels(tiny_model: Path) -> None:
    shares = CategoryModel(str(tiny_model), {}).shares(TEXTS[:2])
    assert shares.shape == (2, 7)
    assert (shares > 0).all()


def test_what_cannot_be_used_is_told(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadModel, match='has no label "BUG"'):
        CategoryModel(str(tiny_model), {"BUG": "bug"})
    with pytest.raises(BadModel, match="cannot be loaded"):
        CategoryModel(str(tmp_path / "nothing"), LABELS)
