"""First-order Markov chain: what usually comes right after the last movie?"""

import numpy as np
from numpy.typing import NDArray

from recformer.baseline.popularity import popularity_of
from recformer.data.prepared import Prepared
from recformer.registry import BASELINES


@BASELINES.register("markov")
class MarkovChain:
    """The score of an item is how often it followed the input's last item in the training part (Rendle et al. 2010).

    If b came after a twice and c once, b scores 2 and c 1. Popularity, scaled below one transition, breaks ties and
    ranks what never followed.
    """

    TITLE = "Markov chain"
    DESCRIPTION = "What most often came right after the user's last movie, then what is popular."

    def __init__(self, prepared: Prepared) -> None:
        self._windows = prepared.windows
        tokens, size = prepared.windows.tokens, prepared.windows.num_tokens
        popularity = popularity_of(prepared)
        self._popularity = (popularity / (popularity.max() + 1)).astype(np.float32)
        first = prepared.training_pairs()
        pairs, self._counts = np.unique(tokens[first].astype(np.int64) * size + tokens[first + 1], return_counts=True)
        self._next = pairs % size
        self._bounds = np.searchsorted(pairs // size, np.arange(size + 1))  # where each token's successors begin

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of all tokens for the cases `rows`: (B,) → (B, V)."""
        last = self._windows.tokens[self._windows.target_positions(rows) - 1]
        begins, ends = self._bounds[last], self._bounds[last + 1]
        scores = np.repeat(self._popularity[None], len(rows), axis=0)
        row = np.repeat(np.arange(len(rows)), ends - begins)
        entry = np.arange(len(row)) + np.repeat(begins - (np.cumsum(ends - begins) - (ends - begins)), ends - begins)
        scores[row, self._next[entry]] += self._counts[entry]
        return scores
