"""Average precision: precision at each target's place, averaged over the targets."""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.places import as_table, within
from recformer.registry import METRICS


@METRICS.register("map")
def average_precision(
    places: NDArray[np.integer], k: int, num_targets: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Σ j / place of the j-th target, over the targets among the first k, divided by how many targets there are.

    With one target it is the reciprocal rank: rank 3 at k = 5 gives 1/3. Places 1 and 4 of two targets give
    (1/1 + 2/4) / 2 = 0.75. Source: Buckley and Voorhees 2000, cut at k.

    Arguments as in `metric.places`; returns (N,) float64.
    """
    table = as_table(places)
    precision = np.arange(1, table.shape[1] + 1) / np.maximum(table, 1)
    total = np.where(within(places, k), precision, 0.0).sum(axis=1)
    return total / (1 if num_targets is None else num_targets)
