"""Popularity: everybody gets what most people watched."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.registry import BASELINES


def popularity_of(prepared: Prepared) -> NDArray[np.int64]:
    """(V,) how often each token occurs in the training part."""
    tokens = prepared.windows.tokens[prepared.training_positions()]
    return np.bincount(tokens, minlength=prepared.windows.num_tokens)


@BASELINES.register("popularity")
class Popularity:
    """The score of an item is how often it occurs in the training part, the same for everybody. 3 plays score 3."""

    TITLE = "Popularity"
    DESCRIPTION = "The most watched movies of the training part, the same for everybody."

    def __init__(self, prepared: Prepared) -> None:
        self._scores = popularity_of(prepared).astype(np.float32)

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of all tokens for the cases `rows`: (B,) → (B, V)."""
        return np.repeat(self._scores[None], len(rows), axis=0)
