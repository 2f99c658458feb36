"""The encoder with its heads, in PyTorch."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModel

from triage.classifier.labels import CATEGORIES, HEADS

HIDDEN = 192
LEFT_OUT = 0.2


class Network(nn.Module):
    """An encoder with one pass for everything.

    The heads read the [CLS] vector and the mean over tokens. The embedding (duplicates, similar
    items) is a projection of the means of the last and of a middle layer, taught to stay near the
    embedding of the encoder before training: so it keeps its meaning while the encoder is free
    to learn the heads' tasks.
    """

    def __init__(self, base: Path) -> None:
        """`base`: a folder with weights; its word embeddings stay as they are."""
        super().__init__()
        self.encoder = AutoModel.from_pretrained(
            base, attn_implementation="eager", attention_probs_dropout_prob=0.0
        )
        self.encoder.pooler = None
        self.pad = self.encoder.config.pad_token_id
        self.middle = self.encoder.config.num_hidden_layers // 2
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
        self.embedder = nn.Linear(2 * width, width, bias=False)
        with torch.no_grad():
            self.embedder.weight.copy_(torch.cat([torch.eye(width), torch.zeros(width, width)], 1))
        self.encoder.embeddings.word_embeddings.weight.requires_grad = False

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits by head, `embedding` of unit length, and `tokens`: the categories' logits of each
        token by itself, (batch, length, categories). `ids`, `mask`: (batch, length).
        """
        states = self.encoder(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        weights = self._kept(mask).unsqueeze(-1).to(states[-1].dtype)
        mean, middle = (
            (state * weights).sum(1) / weights.sum(1) for state in (states[-1], states[self.middle])
        )
        first = states[-1][:, 0]
        features = torch.cat([first, mean], dim=1)
        outputs = {name: head(features) for name, head in self.heads.items()}
        each = torch.cat([first.unsqueeze(1).expand_as(states[-1]), states[-1]], dim=2)
        outputs["tokens"] = self.heads["category"](each)
        embedding = self.embedder(torch.cat([mean, middle], dim=1))
        outputs["embedding"] = nn.functional.normalize(embedding, dim=1)
        return outputs

    def _kept(self, mask: torch.Tensor) -> torch.Tensor:
        """In training a part of the tokens is left out of the means: the heads must not rest on
        all of them, and a single one's word means something.
        """
        if not self.training:
            return mask
        kept = mask * (torch.rand(mask.shape, device=mask.device) >= LEFT_OUT)
        kept[:, 0] = 1
        return kept


def batch_of(ids: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids padded to the longest, with their mask."""
    longest = max(map(len, ids))
    padded = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    return padded, mask
