"""`classify`, `evaluate` and `train` as scripts use them."""

import gzip
import io
import json

import pytest
from django.core.management import CommandError, call_command

from triage.classifier import scoring
from triage.classifier.rows import read_rows

ROWS = [
    {"id": "a", "text": "The board crashes every time I open it.", "category": "bug",
     "sentiment": "neutral", "severity": "P1", "topic": "engineering", "repo": "x"},
    {"id": "b", "title": "Crash on open", "body": "The board crashes when it opens.",
     "category": "bug", "duplicates": ["a"], "repo": "x"},
    {"id": "c", "text": "I love it, great work!", "category": "praise", "sentiment": "positive",
     "repo": "y"},
    {"id": "d", "text": "Too expensive, no thanks.", "category": "complaint", "repo": "y"},
]  # fmt: skip

pytestmark = pytest.mark.django_db


def run(name: str, *words: str) -> str:
    out = io.StringIO()
    call_command(name, *words, stdout=out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path) -> str:
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in ROWS)
    return str(path)


def test_evaluate_tells_every_figure_of_the_design(file):
    found = json.loads(run("evaluate", file, "--json", "--group", "repo"))
    assert found["n"] == 4
    heads = {"n", "macro_f1", "macro_recall", "accuracy", "per_class", "ece"}
    assert set(found["category"]) == heads
    assert set(found["category"]["per_class"]) == {"bug", "criticism", "praise"}
    assert set(found["severity"]) == heads | {"within_one", "p0_recall", "p0_precision"}
    assert found["sentiment"]["n"] == 2
    assert found["duplicates"] == {"n": 1, "recall@1": 1.0, "recall@5": 1.0, "recall@10": 1.0}
    by = found["groups"]["by"]
    assert set(by) == {"x", "y"}
    mean = (by["x"]["category"]["macro_f1"] + by["y"]["category"]["macro_f1"]) / 2
    assert found["groups"]["mean_macro_f1"] == pytest.approx(mean, abs=1e-3)


def test_labels_restrict_the_choice_and_map_folds(file):
    found = json.loads(run("evaluate", file, "--json", "--labels", "bug,feature,question",
                           "--map", "setup=question"))  # fmt: skip
    assert found["category"]["n"] == 2
    assert found["category"]["accuracy"] == 1.0


def test_classify_reads_a_text_and_a_file(tmp_path):
    row = json.loads(run("classify", "It crashes every time."))
    assert set(row) == {"id", "category", "also", "sentiment", "severity", "topic", "language",
                        "confidence", "trusted", "why"}  # fmt: skip
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    rows = [json.loads(line) for line in run("classify", "--input", str(path)).splitlines()]
    assert [row["id"] for row in rows] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("classify", []),
        ("classify", ["x", "--input", "y"]),
        ("classify", ["--input", "/nowhere.jsonl"]),
        ("evaluate", ["/nowhere.jsonl"]),
        ("evaluate", ["FILE", "--labels", "bugs"]),
        ("evaluate", ["FILE", "--map", "setup"]),
        ("train", ["--data", "/nowhere"]),
        ("report", ["--since", "soon"]),
        ("report", ["--format", "doc"]),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_2(name, words, file):
    with pytest.raises(CommandError) as raised:
        run(name, *[file if word == "FILE" else word for word in words])
    assert raised.value.returncode == 2
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"not json", b"[1]", b"{" * 5000, b""])
def test_a_broken_file_is_one_line(content, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(CommandError) as raised:
        run("evaluate", str(path))
    assert raised.value.returncode == 2


def test_figures_agree_with_hand_counts():
    truth, read = list("aabbc"), list("abbba")
    found = scoring.classes(truth, read, [0.9, 0.9, 0.6, 0.6, 0.5])
    assert found["accuracy"] == 0.6
    assert found["per_class"]["a"] == {"n": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert found["per_class"]["b"]["f1"] == 0.8
    assert found["macro_recall"] == 0.5
    assert found["ece"] == pytest.approx((2 * 0.4 + 2 * 0.4 + 1 * 0.5) / 5)


def test_severity_counts_p0_over_all_rows():
    found = scoring.severity(
        ["P0", "P2"], ["P1", "P0"], [1, 1], [True, False, False], [True, True, False]
    )
    assert (found["within_one"], found["p0_recall"], found["p0_precision"]) == (0.5, 1.0, 0.5)


def test_the_model_holds_its_level_on_real_posts(shared):
    path = str(shared / "datasets/feedback_real_train.jsonl.gz")
    rows = list(read_rows(path))[::16]
    from triage.classifier import get_reader
    from triage.classifier.evaluation import Options, evaluate
    from triage.playbook import shipped

    found = evaluate(rows, get_reader(), shipped(), Options())
    assert found["category"]["macro_f1"] > 0.7
    assert found["sentiment"]["macro_recall"] > 0.7
