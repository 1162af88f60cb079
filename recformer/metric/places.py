"""Where the targets of cases stand in a list: what the metrics of ranks are computed from.

Their arguments: `places`, (N,) the rank of each case's only target, or (N, M) the places of a case's targets, best
first, then 0 where it has fewer; 1 is first. `k`, the cutoff. `num_targets`, (N,) how many targets each case has, some
of which may be too far down to be among the M; None: one each.
"""

import numpy as np
from numpy.typing import NDArray


def as_table(places: NDArray[np.integer]) -> NDArray[np.integer]:
    """(N, M), of ranks (N,) too."""
    return places[:, None] if places.ndim == 1 else places


def within(places: NDArray[np.integer], k: int) -> NDArray[np.bool_]:
    """(N, M) which targets are among the first k."""
    table = as_table(places)
    return (table > 0) & (table <= k)
