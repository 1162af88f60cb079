"""Hit rate: is the target among the first k?"""

import numpy as np
from numpy.typing import NDArray

from recformer.registry import METRICS


@METRICS.register("hr")
def hit_rate(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    """1 where rank ≤ k, else 0. With one relevant item this is recall@k, and what the article calls MAP.

    Rank 3 at k = 5 gives 1. `ranks`: (N,) int, 1 is first; returns (N,) float64.
    """
    return (ranks <= k).astype(np.float64)
