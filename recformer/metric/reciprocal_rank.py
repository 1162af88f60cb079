"""Reciprocal rank: how far down the list is the first target?"""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.places import as_table
from recformer.registry import METRICS


@METRICS.register("mrr")
def reciprocal_rank(
    places: NDArray[np.integer],
    k: int,
    num_targets: NDArray[np.integer] | None = None,  # noqa: ARG001  the best place counts alone
) -> NDArray[np.float64]:
    """1 / rank of the first target where that is ≤ k, else 0 (Voorhees 1999).

    Rank 3 at k = 5 gives 1/3. Arguments as in `metric.places`; returns (N,) float64.
    """
    first = as_table(places)[:, 0]
    return np.where(first <= k, 1.0 / first, 0.0)
