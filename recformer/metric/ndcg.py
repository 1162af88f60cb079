"""Normalised discounted cumulative gain."""

import numpy as np
from numpy.typing import NDArray

from recformer.registry import METRICS


@METRICS.register("ndcg")
def ndcg(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """1 / log2(rank + 1) where rank ≤ k, else 0: with one relevant item the ideal gain is 1.

    Source: Järvelin and Kekäläinen 2002. Rank 3 at k = 5 gives 1 / log2(4) = 0.5.

    `ranks`: (N,) int, 1 is first; returns (N,) float64.
    """
    return np.where(ranks <= k, 1.0 / np.log2(ranks + 1.0), 0.0)
