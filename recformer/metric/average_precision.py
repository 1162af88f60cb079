"""Average precision: precision at each relevant place, averaged over the relevant items."""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.reciprocal_rank import reciprocal_rank
from recformer.registry import METRICS


@METRICS.register("map")
def average_precision(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """Average precision @k with one relevant item: precision at its rank, which is the reciprocal rank.

    Rank 3 at k = 5 gives 1/3. `ranks`: (N,) int, 1 is first; returns (N,) float64.
    """
    return reciprocal_rank(ranks, k)
