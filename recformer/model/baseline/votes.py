"""What baselines that add up votes of a history share: the latest items with weights, and a fallback by popularity."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recformer.data.histories import Cases, Histories, ranges
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import fractions, token_counts

Sparse = Any
"""A sparse matrix of SciPy, whose operations have no useful types."""


def latest_items(histories: Histories, cases: Cases, latest: int, decay: float) -> Sparse:
    """(B, I) the weight of each item of a history: decay^age, 1 for the latest; `latest` of them, 0 for all.

    An item that is there twice has both weights.
    """
    lengths = histories.lengths(cases)
    lengths = np.minimum(lengths, latest) if latest else lengths
    items = histories.tokens[ranges(cases.ends - lengths, lengths)]
    rows = np.repeat(np.arange(len(cases)), lengths)
    ages = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(rows)) - 1
    weights = np.power(decay, ages, dtype=np.float32)
    return sparse.coo_array((weights, (rows, items)), shape=(len(cases), histories.num_items)).tocsr()


class Fallback:
    """What comes after all items that have votes: SOS, EOS and the other items, by popularity, with scores below 0."""

    def __init__(self, prepared: Prepared) -> None:
        self._scores = (fractions(token_counts(prepared)) - 1).astype(np.float32)  # (V,) in [−1, 0)

    def below(self, votes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, I) votes, 0 where there is none → (B, V) scores."""
        scores = np.tile(self._scores, (len(votes), 1))
        np.copyto(scores[:, : votes.shape[1]], votes, where=votes > 0)
        return scores
