"""Duplication: how much of the top k the user already had."""

import numpy as np
from numpy.typing import NDArray


def duplication(duplicates: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Share of each case's top k that is in a given item list, the input window or the history.

    Args:
        duplicates: (N, 20) int; column j counts the repeats among the first j + 1 recommendations.
        k: 1 to 20. Two repeats among the first five give 0.4 at k = 5.

    Returns:
        (N,) float64 in [0, 1].
    """
    return duplicates[:, k - 1].astype(np.float64) / k
