"""Intervals of means of few cases, most of which are 0: hit rates and what a hit counts for."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray


def score_interval(
    mean: NDArray[np.float64], squares: NDArray[np.float64], cases: NDArray[np.float64], level: float = 95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(M,) and (M,): the ends of the interval of means of values from 0 to 1 of independent cases.

    For hit rates it is Wilson's (1927), a little wider. A value such as NDCG is a hit times what the hit counts for, so
    at a true mean m its variance is m · r − m², with r the mean square over the mean; the interval holds every m from
    which the mean seen is at most z standard errors away. r is taken as if there were one full hit more, since few
    hits say little about it. Percentile bootstrap intervals of groups with few hits hold the truth far less often than
    they say, these do (benchmarks/inference.py).

    3 hits of 30 give 0.035 to 0.256; none of 30 gives 0 to 0.114.

    Args:
        mean: (M,) of the values seen.
        squares: (M,) mean of their squares.
        cases: (M,) how many.
    """
    z2 = NormalDist().inv_cdf(0.5 + level / 200) ** 2
    ratio = (squares * cases + 1) / (mean * cases + 1)
    a = 1 + z2 / cases
    b = mean + z2 * ratio / cases / 2
    root = np.sqrt(np.maximum(b**2 - a * mean**2, 0))
    return (b - root) / a, np.minimum((b + root) / a, 1.0)
