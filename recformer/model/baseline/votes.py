"""What is shared by those that add up votes of a history: who follows whom, the latest items with weights, and a
fallback by popularity."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recformer.data.histories import Cases, Histories, ranges
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import fractions, token_counts, training_marks

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


def follow_counts(prepared: Prepared, weights: NDArray[np.floating]) -> Sparse:
    """(I, I) how often j follows i in the training part: the sum of `weights` (n,), of 1 to n places between them."""
    histories = prepared.histories
    # SOS and EOS follow nobody; a pair with one between them is of two users.
    marks = training_marks(prepared) & (histories.tokens < histories.num_items)
    owners = np.repeat(np.arange(histories.num_users, dtype=np.int32), np.diff(histories.user_starts))
    shape = (histories.num_items, histories.num_items)
    counts: Sparse = sparse.csr_array(shape, dtype=np.float32)
    for distance, weight in enumerate(weights, start=1):
        places = np.flatnonzero(marks[:-distance] & marks[distance:] & (owners[:-distance] == owners[distance:]))
        values = np.full(len(places), weight, dtype=np.float32)
        pairs = (histories.tokens[places], histories.tokens[places + distance])
        counts += sparse.coo_array((values, pairs), shape=shape).tocsr()
    return counts


class Fallback:
    """What comes after all items that have votes: SOS, EOS and the other items, by popularity, with scores below 0."""

    def __init__(self, prepared: Prepared) -> None:
        self._scores = (fractions(token_counts(prepared)) - 1).astype(np.float32)  # (V,) in [−1, 0)

    def below(self, votes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, I) votes, 0 where there is none → (B, V) scores."""
        scores = np.tile(self._scores, (len(votes), 1))
        np.copyto(scores[:, : votes.shape[1]], votes, where=votes > 0)
        return scores
