"""Recall: how many of the targets are among the first k?"""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.places import within
from recformer.registry import METRICS


@METRICS.register("recall")
def recall(places: NDArray[np.integer], k: int, num_targets: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
    """Share of a case's targets that are among the first k (Cleverdon 1967). With one target it is the hit rate.

    Places 3 and 9 of two targets at k = 5 give 1/2. Arguments as in `metric.places`; returns (N,) float64.
    """
    hits = within(places, k).sum(axis=1)
    return hits / (1 if num_targets is None else num_targets)
