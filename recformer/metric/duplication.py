"""Duplication: how much of the top k the user already had."""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.lists import Lists
from recformer.registry import LIST_METRICS


def duplication(duplicates: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Share of each case's top k that is in a given item list, the input window or the history.

    Args:
        duplicates: (N, 20) int; column j counts the repeats among the first j + 1 recommendations.
        k: 1 to 20. Two repeats among the first five give 0.4 at k = 5.

    Returns:
        (N,) float64 in [0, 1].
    """
    return duplicates[:, k - 1].astype(np.float64) / k


@LIST_METRICS.register("duplication/window")
def window_duplication(lists: Lists, k: int) -> NDArray[np.float64]:
    """Share of each top k that is in the input window: (N,) float64. Two of five give 0.4."""
    return duplication(lists.window_repeats, k)


@LIST_METRICS.register("duplication/history")
def history_duplication(lists: Lists, k: int) -> NDArray[np.float64]:
    """Share of each top k that the user had at any time before: (N,) float64. Two of five give 0.4."""
    return duplication(lists.history_repeats, k)
