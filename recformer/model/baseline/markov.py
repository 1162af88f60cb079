"""A first-order Markov chain: what most often came right after the last item."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.histories import Cases
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
    GRID = ({},)

    def __init__(self, prepared: Prepared) -> None:
        histories = prepared.histories
        steps = training_steps(prepared)
        codes = histories.tokens[steps].astype(np.int64) * histories.num_tokens + histories.tokens[steps + 1]
        found, counts = np.unique(codes, return_counts=True)
        self._histories = histories
        self._bounds = np.searchsorted(found, np.arange(histories.num_tokens + 1) * histories.num_tokens)  # (V + 1,)
        self._nexts = found % histories.num_tokens  # tokens that came after i: from bounds[i] to bounds[i + 1]
        self._counts = counts.astype(np.float64)
        self._fractions = fractions(token_counts(prepared))  # (V,)

    def scores(self, cases: Cases) -> NDArray[np.float32]:
        """(B, V) scores of all tokens for cases (B)."""
        last = self._histories.tokens[cases.ends - 1]
        lengths = self._bounds[last + 1] - self._bounds[last]
        places = ranges(self._bounds[last], lengths)
        nexts = self._nexts[places]
        scores = np.tile(self._fractions.astype(np.float32), (len(cases), 1))
        scores[np.repeat(np.arange(len(cases)), lengths), nexts] = self._counts[places] + self._fractions[nexts]
        return scores
