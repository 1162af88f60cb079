"""Hit rate: is a target among the first k?"""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.places import within
from recformer.registry import METRICS


@METRICS.register("hr")
def hit_rate(
    places: NDArray[np.integer],
    k: int,
    num_targets: NDArray[np.integer] | None = None,  # noqa: ARG001  one hit is enough
) -> NDArray[np.float64]:
    """1 where a target is among the first k, else 0. With one target this is recall@k, and what the article calls MAP.

    Rank 3 at k = 5 gives 1. Arguments as in `metric.places`; returns (N,) float64.
    """
    return np.asarray(within(places, k).any(axis=1), dtype=np.float64)
