"""Labelled rows as training examples, split by where they come from.

A row teaches each head for which it has a label. `candidates` are the categories that its data
set could have chosen from: an issue tracker that only knows bug, feature and question says
nothing on praise, and its "question" may be our "setup".
"""

import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from triage.classifier.labels import ALIASES, CATEGORIES, SENTIMENTS, SEVERITIES, TOPICS
from triage.classifier.texts import Text

ISSUE_LABELS = {"bug": {"bug"}, "feature": {"feature"}, "question": {"question", "setup"}}
FOLDS = 5
HELD_OUT = 0.1  # share of the products of real posts that are kept for evaluation
REAL = ("feedback_real_train.jsonl.gz", "severity_real_train.jsonl.gz")
ISSUES = "nlbse24_train.jsonl.gz"
TWEETS = "semeval_sentiment_train.jsonl.gz"
DEVELOPERS = "dev_sentiment_train.jsonl.gz"
OLDER = "feedback_category_train.jsonl.gz"
REPORTS = "bug_severity_train.jsonl.gz"
WRITTEN = Path(__file__).with_name("written.jsonl.gz")
FEW_PRODUCTS = ("email", "forum")
SALT = "83:"  # chosen so that every channel and category is among what is held out


@dataclass(frozen=True, slots=True)
class Example:
    """One text with what it teaches; a head without a label has -1."""

    text: Text
    categories: frozenset[int] = frozenset()
    candidates: frozenset[int] = frozenset(range(len(CATEGORIES)))
    also: frozenset[int] | None = None
    sentiment: int = -1
    severity: int = -1
    topic: int = -1
    weight: float = 1.0
    soft: Mapping[str, Any] | None = None  # a teacher's probabilities by head
    fold: int = -1  # the part of the labelled data that it belongs to; -1: no label
    holds_embedding: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How often each set is seen, and how much of it."""

    real_epochs: int = 4
    severe_epochs: int = 6
    issue_epochs: int = 2
    tweets: int = 30_000
    developers: int = 5_000
    older: int = 6_000
    written_epochs: int = 2
    unlabelled: int = 17_000  # these and the variants only with teachers, who speak of them
    variants: int = 10  # of each post
    tweet_variants: int = 2
    without_context: float = 0.35  # share of the times that a real post is seen alone


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON Lines file, gzip'd or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def is_held_out(row: dict[str, Any]) -> bool:
    """Whether a real post is kept for evaluation: about a tenth, cut by product."""
    return _digest(f"{SALT}{_group(row)}") < HELD_OUT * 256


def is_held_out_issue(row: dict[str, Any]) -> bool:
    """Whether an issue of NLBSE'24 is kept for evaluation: about a fifth."""
    return _issue(row).fold == 0


def _group(row: dict[str, Any]) -> str:
    """What must not be torn apart: a product's posts.

    Posts without a known product, and those of sets with few products (mails, forums, the
    severity set), stand for themselves.
    """
    has_group = row.get("product") and "topic" in row and row["channel"] not in FEW_PRODUCTS
    return str(row["product"] if has_group else row["id"])


def _digest(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0]


def _fold(group: str) -> int:
    return _digest(f"fold:{group}") % FOLDS


def examples(folder: Path, plan: Plan, seed: int) -> list[Example]:
    """Everything that one run sees, epochs included, in random order."""
    rng = random.Random(seed)
    real, severe = (
        [_real(row) for row in rows(folder / name) if not is_held_out(row)] for name in REAL
    )
    written = [_real(row) for row in rows(WRITTEN)]
    seen: list[Example] = []
    for example in (
        real * plan.real_epochs + severe * plan.severe_epochs + written * plan.written_epochs
    ):
        is_alone = rng.random() < plan.without_context
        seen.append(_alone(example) if is_alone else example)
    seen += _issues(folder) * plan.issue_epochs
    developers = [_tweet(row) for row in rows(folder / DEVELOPERS) if row.get("sentiment")]
    older = [_older(row) for row in rows(folder / OLDER) if row["category"]]
    for some, count in (
        (tweets(folder), plan.tweets),
        (developers, plan.developers),
        (older, plan.older),
    ):
        seen += rng.sample(some, min(count, len(some)))
    rng.shuffle(seen)
    return seen


def posts(folder: Path) -> list[Example]:
    """Every labelled post once: what variants are made of."""
    real = [row for name in REAL for row in rows(folder / name) if not is_held_out(row)]
    return [_real(row) for row in (*real, *rows(WRITTEN))] + _issues(folder)


def _issues(folder: Path) -> list[Example]:
    return [_issue(row) for row in rows(folder / ISSUES) if not is_held_out_issue(row)]


def tweets(folder: Path) -> list[Example]:
    """Every labelled tweet once."""
    return [_tweet(row) for row in rows(folder / TWEETS)]


def unlabelled(folder: Path) -> list[Example]:
    """Texts whose labels teach nothing here; a teacher's word on them does."""
    texts = [text_of(row) for row in rows(folder / REPORTS)]
    texts += [text_of(row) for row in rows(folder / OLDER) if not row["category"]]
    return [Example(text=text) for text in texts]


def _alone(example: Example) -> Example:
    """A post without its context, so that a story's title does not decide what its comments are."""
    return replace(example, text=replace(example.text, context=""))


def text_of(row: dict[str, Any]) -> Text:
    """A row's text, title and context, whichever it has."""
    return Text(
        text=row.get("text") or row.get("body") or "",
        title=row.get("title") or "",
        context=row.get("context") or "",
        channel=row.get("channel") or "",
    )


def _index(names: tuple[str, ...], value: str | None) -> int:
    value = ALIASES.get(value or "", value)
    return names.index(value) if value in names else -1


def _real(row: dict[str, Any]) -> Example:
    main = _index(CATEGORIES, row["category"])
    others = {_index(CATEGORIES, name) for name in row.get("also") or []}
    return Example(
        text=text_of(row),
        categories=frozenset({main}),
        also=frozenset(others | {main}) if "also" in row else None,
        sentiment=_index(SENTIMENTS, row.get("sentiment")),
        severity=_index(SEVERITIES, row.get("severity")),
        topic=_index(TOPICS, row.get("topic")),
        weight=1.0 if row.get("clear", True) else 0.6,
        fold=_fold(_group(row)),
        holds_embedding=True,
    )


def _issue(row: dict[str, Any]) -> Example:
    label = row.get("category") or row["label"]
    names = ISSUE_LABELS[label]
    candidates = set().union(*ISSUE_LABELS.values())
    text = text_of(row)
    return Example(
        text=text,
        fold=_fold(text.title + text.text),
        categories=frozenset(CATEGORIES.index(name) for name in names),
        candidates=frozenset(CATEGORIES.index(name) for name in candidates),
        holds_embedding=True,
    )


def _tweet(row: dict[str, Any]) -> Example:
    text = text_of(row)
    return Example(text=text, fold=_fold(text.text), sentiment=_index(SENTIMENTS, row["sentiment"]))


def _older(row: dict[str, Any]) -> Example:
    category = _index(CATEGORIES, row["category"])
    text = text_of(row)
    return Example(
        text=text,
        fold=_fold(text.text),
        categories=frozenset({category}),
        sentiment=_index(SENTIMENTS, row.get("sentiment")),
        weight=0.4,
    )
