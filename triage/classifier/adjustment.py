"""A small correction of the model's heads, learnt from what staff corrected.

For each head: logits' = log p + W e + b, where p are the shipped model's probabilities of a text
and e is its embedding. W and b are zero until something is learnt, and pulled towards zero by the
square of their size, so that few corrections change little.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FLOOR = 1e-4  # stored probabilities have four digits
STEPS = 250
RATE = 0.05
PULL = 2e-3  # weight of the squared size of W


@dataclass(frozen=True, slots=True)
class Adjustment:
    """`weights` by head, each (embedding and 1, classes); `name` is appended to the model's."""

    name: str
    weights: "Mapping[str, np.ndarray[Any, Any]]"

    def apply(self, head: str, shares: Any, embeddings: Any) -> Any:
        """The adjusted probabilities, rows as `shares` and `embeddings`."""
        return self._moved(head, shares, embeddings, 1.0)

    def undo(self, head: str, shares: Any, embeddings: Any) -> Any:
        """The shipped model's probabilities from adjusted ones."""
        return self._moved(head, shares, embeddings, -1.0)

    def _moved(self, head: str, shares: Any, embeddings: Any, sign: float) -> Any:
        import numpy as np

        if head not in self.weights:
            return shares
        moved = with_one(embeddings) @ self.weights[head]
        return softmax(np.log(np.clip(shares, FLOOR, 1.0)) + sign * moved)

    def to_bytes(self) -> bytes:
        """The weights as NumPy's own archive."""
        import numpy as np

        buffer = BytesIO()
        arrays: Any = {name: array.astype("<f4") for name, array in self.weights.items()}
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, name: str, stored: bytes) -> "Adjustment":
        """What `to_bytes` wrote."""
        import numpy as np

        with np.load(BytesIO(stored), allow_pickle=False) as archive:
            return cls(name, {head: archive[head] for head in archive.files})


def fit(shares: Any, embeddings: Any, truth: Any, weights: Any) -> Any:
    """W and b of one head by Adam (Kingma, Ba, 2015) on the weighted cross entropy.

    `shares` (rows, classes), `embeddings` (rows, width), `truth` (rows) as class numbers,
    `weights` (rows). The same input gives the same result.
    """
    import numpy as np

    inputs, base = with_one(embeddings), np.log(np.clip(shares, FLOOR, 1.0))
    target = np.eye(shares.shape[1])[truth]
    importance = (weights / weights.sum())[:, None]
    found = np.zeros((inputs.shape[1], shares.shape[1]))
    first, second = np.zeros_like(found), np.zeros_like(found)
    for step in range(1, STEPS + 1):
        gradient = inputs.T @ (importance * (softmax(base + inputs @ found) - target))
        gradient += PULL * found
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        size = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        found -= RATE * (first / (1 - 0.9**step)) / size
    return found


def softmax(logits: Any) -> Any:
    """Probabilities of rows of logits."""
    import numpy as np

    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def with_one(embeddings: Any) -> Any:
    """Embeddings with a last column of ones."""
    import numpy as np

    return np.hstack([embeddings, np.ones((len(embeddings), 1))])
