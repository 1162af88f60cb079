"""What models share that are solved from counts: a table of what each item votes for, and its sum over a history."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recformer.config import option
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import token_counts
from recformer.model.sizes import Sizes

BLOCK = 256  # items whose votes are sorted at a time: of 100,000 items 100 MB
TINY = 1e-9  # of popularity in the scores: below every vote, so that it only breaks ties


def option_votes() -> int:
    """The option of how many votes of an item are kept."""
    return option(
        500,  # with all of them NDCG@10 on MovieLens-1M is .0004 higher
        "Votes of an item",
        "How many of its strongest votes are kept, of 8 bytes each: the fewer, the smaller and quicker the model.",
        ge=1,
        le=100_000,
    )


class VoteTable(nn.Module):
    """votes(j) = Σ decay^age(i) · W(i, j) over the latest `window` items i of a history.

    Each row of W keeps the `kept` entries that are farthest from zero, so its size does not grow with the catalogue's.
    """

    TRAINED_ON = "counts"

    def __init__(self, sizes: Sizes, kept: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.num_items = sizes.num_tokens - 2
        kept = min(kept, self.num_items)
        # A row for each token, those of SOS and EOS empty.
        self.items = _fixed(torch.zeros(sizes.num_tokens, kept, dtype=torch.int32))
        self.weights = _fixed(torch.zeros(sizes.num_tokens, kept))
        self.popularity = _fixed(torch.ones(self.num_items))
        self.index_limits = {"items": self.num_items}

    def votes(self, tokens: Tensor, decay: float) -> Tensor:
        """(B, T) int → (B, I); SOS votes for nothing."""
        latest = tokens[:, -self.sizes.window :].long().flip(1)
        scores = (TINY * self.popularity).repeat(len(tokens), 1)
        for age, tokens_then in enumerate(latest.unbind(1)):
            scores.scatter_add_(1, self.items[tokens_then].long(), decay**age * self.weights[tokens_then])
        return scores

    @torch.no_grad()
    def keep(self, weights: Any, prepared: Prepared) -> None:
        """Take the strongest of each row of `weights`, (I, I) float32, dense or sparse, and the items' popularity."""
        kept = self.items.shape[1]
        for start in range(0, self.num_items, BLOCK):
            block: Any = weights[start : start + BLOCK]
            rows: NDArray[np.float32] = block if isinstance(block, np.ndarray) else block.toarray()
            strongest = np.argpartition(-np.abs(rows), kept - 1, axis=1)[:, :kept]
            place = slice(start, start + len(rows))
            self.items[place] = torch.from_numpy(strongest.astype(np.int32))
            self.weights[place] = torch.from_numpy(np.take_along_axis(rows, strongest, axis=1))
        counts = torch.from_numpy(token_counts(prepared)[: self.num_items])
        self.popularity.copy_((counts + 1) / (counts.max() + 1))

    def with_marks(self, scores: Tensor) -> Tensor:
        """(B, I) → (B, V): SOS and EOS come last."""
        return torch.cat([scores, scores.min(1, keepdim=True).values.expand(-1, 2) - 1], dim=1)

    @classmethod
    def shape_from(cls, state: dict[str, Tensor]) -> tuple[dict[str, object], Sizes]:
        """Raises KeyError: what a table of votes is of, and how many items it reads, its numbers do not tell."""
        raise KeyError(f"{cls.__name__} of {len(state)} tensors")


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)
