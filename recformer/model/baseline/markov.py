"""A first-order Markov chain: what most often came right after the last item."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import fractions, ranges, token_counts, training_steps
from recformer.registry import BASELINES


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
    DESCRIPTION = "Recommends what most often came right after the last movie."

    def __init__(self, prepared: Prepared) -> None:
        windows = prepared.windows
        steps = training_steps(prepared)
        codes = windows.tokens[steps].astype(np.int64) * windows.num_tokens + windows.tokens[steps + 1]
        found, counts = np.unique(codes, return_counts=True)
        self._windows = windows
        self._bounds = np.searchsorted(found, np.arange(windows.num_tokens + 1) * windows.num_tokens)  # (V + 1,)
        self._nexts = found % windows.num_tokens  # tokens that came after i: from bounds[i] to bounds[i + 1]
        self._counts = counts.astype(np.float64)
        self._fractions = fractions(token_counts(prepared))  # (V,)

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of all tokens for the windows `rows`: (B,) → (B, V)."""
        last = self._windows.tokens[self._windows.target_positions(rows) - 1]
        lengths = self._bounds[last + 1] - self._bounds[last]
        places = ranges(self._bounds[last], lengths)
        nexts = self._nexts[places]
        scores = np.tile(self._fractions.astype(np.float32), (len(rows), 1))
        scores[np.repeat(np.arange(len(rows)), lengths), nexts] = self._counts[places] + self._fractions[nexts]
        return scores
