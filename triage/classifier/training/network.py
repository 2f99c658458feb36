"""The encoder with its heads, in PyTorch."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModel

from triage.classifier.labels import CATEGORIES, HEADS

HIDDEN = 192


class Network(nn.Module):
    """MiniLM with one pass for everything.

    The embedding (duplicates, similar items) is the mean over tokens, which training holds near
    the frozen encoder's; the heads read it beside the [CLS] vector, which is theirs to shape.
    """

    def __init__(self, base: Path) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(
            base, attn_implementation="eager", attention_probs_dropout_prob=0.0
        )
        self.encoder.pooler = None
        width = self.encoder.config.hidden_size
        sizes = {name: len(names) for name, names in HEADS.items()} | {"also": len(CATEGORIES)}
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(2 * width, HIDDEN),
                    nn.GELU(),
                    nn.Dropout(0.1),
                    nn.Linear(HIDDEN, size),
                )
                for name, size in sizes.items()
            }
        )
        self.encoder.embeddings.word_embeddings.weight.requires_grad = False

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits by head, and `embedding` of unit length. `ids`, `mask`: (batch, length)."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        features = torch.cat([hidden[:, 0], mean], dim=1)
        outputs = {name: head(features) for name, head in self.heads.items()}
        outputs["embedding"] = nn.functional.normalize(mean, dim=1)
        return outputs


def batch_of(ids: Sequence[Sequence[int]], pad: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids padded to the longest, with their mask."""
    longest = max(map(len, ids))
    padded = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    return padded, mask
