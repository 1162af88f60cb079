"""A first-order Markov chain: what most often came right after the last item."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recformer.data.histories import Cases
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import fractions, step_marks, token_counts
from recformer.model.baseline.votes import Sparse
from recformer.registry import BASELINES

STEPS = 1 << 23  # that are counted at a time


@BASELINES.register("markov")
class Markov:
    """score(j | last token i) = n(i → j) + count(j) / (1 + the highest count).

    n(i → j) counts steps in the training part; divided by n(i) it would be the maximum-likelihood estimate of
    P(j | i), which ranks the same. The fraction breaks ties by popularity and, being below 1, reorders nothing.
    Source: the unpersonalized first-order chain of Rendle, Freudenthaler and Schmidt-Thieme 2010.

    Trained on [a b a c a b]: after a came b twice and c once, and counts are a 3, b 2, c 1; so after a the scores
    are b 2 + 2/4 = 2.5, c 1 + 1/4 = 1.25, a 0 + 3/4 = 0.75.
    """

    TITLE = "Markov chain"
    DESCRIPTION = "Recommends what most often came right after the last item."
    GRID = ({},)

    def __init__(self, prepared: Prepared) -> None:
        histories, size = prepared.histories, prepared.histories.num_tokens
        steps, counts = step_marks(prepared)[:-1], token_counts(prepared)
        firsts, nexts = histories.tokens[:-1], histories.tokens[1:]
        rows: list[Sparse] = []
        bounds = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum(), STEPS))
        for start, end in pairwise(np.unique([0, *bounds, size]).tolist()):  # all pairs at once would be large
            some = steps & (firsts >= start) & (firsts < end)
            pairs = (firsts[some] - start, nexts[some])
            counted = sparse.coo_array((np.ones(len(pairs[0]), np.float32), pairs), shape=(end - start, size))
            rows.append(counted.tocsr())
        self._nexts: Sparse = sparse.vstack(rows).tocsr()  # row i: how often each token came right after i
        self._histories = histories
        self._fractions = fractions(counts)  # (V,)

    def scores(self, cases: Cases) -> NDArray[np.float32]:
        """(B, V) scores of all tokens for cases (B)."""
        found = self._nexts[self._histories.tokens[cases.ends - 1]].tocoo()
        scores = np.tile(self._fractions.astype(np.float32), (len(cases), 1))
        scores[found.row, found.col] = found.data + self._fractions[found.col]
        return scores
