"""Normalised discounted cumulative gain."""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.places import as_table, within
from recformer.registry import METRICS


@METRICS.register("ndcg")
def ndcg(places: NDArray[np.integer], k: int, num_targets: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
    """Σ 1 / log2(place + 1) over the targets among the first k, over what it would be with all targets first.

    With one target: 1 / log2(rank + 1) where rank ≤ k, else 0. Source: Järvelin and Kekäläinen 2002. Rank 3 at k = 5
    gives 1 / log2(4) = 0.5; places 1 and 3 of two targets give (1 + 0.5) / (1 + 1 / log2(3)) = 0.920.

    Arguments as in `metric.places`; returns (N,) float64.
    """
    gains = np.where(within(places, k), 1.0 / np.log2(np.maximum(as_table(places), 1) + 1.0), 0.0).sum(axis=1)
    if num_targets is None:
        return gains
    ideal = np.cumsum(1.0 / np.log2(np.arange(1, k + 1) + 1.0))  # with 1, 2, … targets first
    return gains / ideal[np.minimum(num_targets, k) - 1]
