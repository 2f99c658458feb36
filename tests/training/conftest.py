"""What the tests of training need: torch, and small models of their own making."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

WORDS = (
    "the board does not load it crashes please add dark mode how do i install love great".split()
)


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A BERT of two small layers with random weights and two labels, as a folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    torch.manual_seed(3)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {word: number for number, word in enumerate(dict.fromkeys([*special, *WORDS]))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        id2label={0: "DEFECT", 1: "WISH"},
        label2id={"DEFECT": 0, "WISH": 1},
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    return tmp_path


def rows_of(path: Path, rows: list[dict[str, object]]) -> None:
    """Write rows as gzip'd JSON Lines."""
    import gzip

    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
