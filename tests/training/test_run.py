"""From labelled rows to shipped files, on a few dozen rows."""

import random
from pathlib import Path

from tests.training.conftest import WORDS, rows_of
from triage.classifier.reader import Reader
from triage.classifier.texts import Text
from triage.classifier.training.data import (
    Plan,
    examples,
    is_held_out,
    is_held_out_issue,
    posts,
)
from triage.classifier.training.run import Run, run

CATEGORIES = ("bug", "feature", "question", "setup", "praise", "criticism", "other")
PLAN = Plan(
    real_epochs=1,
    severe_epochs=1,
    issue_epochs=1,
    written_epochs=0,
    tweets=4,
    developers=4,
    older=4,
    unlabelled=5,
    variants=1,
    tweet_variants=1,
)


def data(folder: Path) -> Path:
    """Every set that training reads, made up."""
    rng = random.Random(1)

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=6))

    real = [
        {
            "id": str(number),
            "channel": ("hackernews", "email")[number % 2],
            "product": f"p{number % 20}",
            "text": text(),
            "context": "story: A board",
            "category": CATEGORIES[number % 7],
            "also": [],
            "sentiment": ("negative", "neutral", "positive")[number % 3],
            "severity": f"P{number % 4}" if number % 7 == 0 else None,
            "topic": "engineering",
            "clear": bool(number % 3),
        }
        for number in range(120)
    ]
    labelled = [{"text": text(), "category": "bug", "sentiment": "neutral"} for _ in range(6)]
    sets = {
        "feedback_real_train": real,
        "severity_real_train": [{**row, "severity": "P0", "category": "bug"} for row in real[:40]],
        "nlbse24_train": [{"title": text(), "body": text(), "label": "bug"} for _ in range(30)],
        "semeval_sentiment_train": labelled,
        "dev_sentiment_train": labelled,
        "feedback_category_train": labelled,
        "bug_severity_train": labelled,
        "tweeteval_sentiment_val": labelled,
        "duplicates_hadoop": [
            {"id": "a", "title": text(), "body": text(), "duplicates": ["b"]},
            {"id": "b", "title": text(), "body": text(), "duplicates": ["a"]},
        ],
    }
    for name, rows in sets.items():
        rows_of(folder / f"{name}.jsonl.gz", rows)
    return folder


def test_a_run_writes_a_model_that_reads(tmp_path: Path) -> None:
    folder = data(tmp_path)
    lines: list[str] = []
    card = run(Run(data=folder, out=tmp_path / "model", plan=PLAN), lines.append)
    reader = Reader(tmp_path / "model")
    assert reader.version == card["version"]
    assert sum(path.stat().st_size for path in (tmp_path / "model").iterdir()) < 30_000_000
    alone = reader.read([Text(text="the board does not load")])[0]
    beside = reader.read([Text(text="x " * 90), Text(text="the board does not load")])[1]
    assert alone.scores == beside.scores  # a reading does not depend on what is read beside it
    assert any("step" in line for line in lines)
    assert "| real posts" in (tmp_path / "model" / "SCORES.md").read_text()


def test_what_is_held_out_is_never_seen(tmp_path: Path) -> None:
    folder = data(tmp_path)
    seen = {example.text.text for example in examples(folder, PLAN, seed=1)}
    import gzip
    import json

    def of(name: str) -> list[dict[str, str]]:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt") as lines:
            return [json.loads(line) for line in lines]

    held = {row["text"] for row in of("feedback_real_train") if is_held_out(row)}
    issues = {row["body"] for row in of("nlbse24_train") if is_held_out_issue(row)}
    assert held and issues
    assert not (held | issues) & seen
    assert not (held | issues) & {post.text.text for post in posts(folder)}
