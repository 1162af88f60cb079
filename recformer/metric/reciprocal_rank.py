"""Reciprocal rank: how far down the list is the target?"""

import numpy as np
from numpy.typing import NDArray

from recformer.registry import METRICS


@METRICS.register("mrr")
def reciprocal_rank(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """1 / rank where rank ≤ k, else 0 (Voorhees 1999).

    Rank 3 at k = 5 gives 1/3. `ranks`: (N,) int, 1 is first; returns (N,) float64.
    """
    return np.where(ranks <= k, 1.0 / ranks, 0.0)
