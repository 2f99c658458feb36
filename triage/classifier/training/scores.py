"""The figures of the model card: held-out posts, by channel, beside float32, with intervals."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from triage.classifier.evaluation import Options, Scored, figures, score
from triage.classifier.reader import Reader
from triage.classifier.training.data import is_held_out, rows
from triage.playbook import shipped

DRAWS = 200  # of the bootstrap
FIGURES = (
    ("category", "macro_f1", "category, macro F1"),
    ("category", "accuracy", "category, accuracy"),
    ("category", "ece", "category, expected calibration error"),
    ("sentiment", "macro_recall", "sentiment, macro recall"),
    ("topic", "accuracy", "topic, accuracy"),
    ("severity", "within_one", "severity within one level"),
    ("severity", "p0_recall", "P0 recall"),
    ("severity", "p0_precision", "P0 precision"),
    ("duplicates", "recall@5", "duplicates, recall at 5"),
)
Rows = Sequence[Mapping[str, Any]]


def scores(folder: Path, data: Path) -> str:
    """Tables in Markdown of the model in `folder`, and of its float32 twin in `folder`/exact."""
    int8, exact = Reader(folder), Reader(folder / "exact")
    lines = [
        "| rows | figure | int8 | 95 % interval | float32 |",
        "| --- | --- | --- | --- | --- |",
    ]
    by_channel: list[str] = []
    for name, held in _sets(data):
        read, twin = _score(int8, held), figures(_score(exact, held), Options())
        found, spread = figures(read, Options()), _spread(read)
        for head, figure, words in FIGURES:
            value = found.get(head, {}).get(figure)
            if value is not None:
                low, high = spread.get((head, figure), (value, value))
                between = f"{low:.3f} to {high:.3f}" if low < high else ""
                other = twin[head][figure]
                lines.append(
                    f"| {name} ({len(held)}) | {words} | {value:.3f} | {between} | {other:.3f} |"
                )
        by_channel = by_channel or _by_channel(read)
    return "\n".join([*lines, "", *by_channel]) + "\n"


def _sets(data: Path) -> Iterator[tuple[str, Rows]]:
    real = [row for row in rows(data / "feedback_real_train.jsonl.gz") if is_held_out(row)]
    yield "real posts", real
    yield "real posts, clear ones", [row for row in real if row["clear"]]
    severe = rows(data / "severity_real_train.jsonl.gz")
    yield "posts rich in P0", [row for row in severe if is_held_out(row)]
    for title, name in (
        ("TweetEval validation", "tweeteval_sentiment_val.jsonl.gz"),
        ("Hadoop duplicates", "duplicates_hadoop.jsonl.gz"),
    ):
        if (data / name).is_file():  # teaches nothing, so that training can do without
            yield title, list(rows(data / name))


def _score(reader: Reader, held: Rows) -> list[Scored]:
    return score(held, reader, shipped(), Options())


def _spread(read: Sequence[Scored]) -> dict[tuple[str, str], tuple[float, float]]:
    """95 % intervals by the percentile bootstrap over rows (Efron, 1979)."""
    rng = random.Random(7)
    drawn: dict[tuple[str, str], list[float]] = {}
    for _ in range(DRAWS):
        # Duplicates are pairs of rows; drawn with repetition they mean nothing.
        sample = [replace(one, row=_labels(one)) for one in rng.choices(read, k=len(read))]
        found = figures(sample, Options())
        for head, figure, _words in FIGURES:
            value = found.get(head, {}).get(figure)
            if value is not None:
                drawn.setdefault((head, figure), []).append(value)
    return {key: _interval(sorted(values)) for key, values in drawn.items()}


def _labels(one: Scored) -> dict[str, Any]:
    return {name: one.row.get(name) for name in ("category", "sentiment", "topic", "severity")}


def _interval(values: Sequence[float]) -> tuple[float, float]:
    edge = round(len(values) * 0.025)
    return values[edge], values[-1 - edge]


def _by_channel(read: Sequence[Scored]) -> list[str]:
    lines = ["| channel | posts | category, macro F1 | accuracy |", "| --- | --- | --- | --- |"]
    for channel in sorted({str(one.row["channel"]) for one in read}):
        own = [one for one in read if one.row["channel"] == channel]
        row = figures(own, Options())["category"]
        lines.append(f"| {channel} | {len(own)} | {row['macro_f1']:.3f} | {row['accuracy']:.3f} |")
    return lines
