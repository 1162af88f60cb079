"""Overlap: how much do two models' lists for the same case have in common?"""

import numpy as np
from numpy.typing import NDArray

PERSISTENCE = 0.9
"""p of rank-biased overlap: of somebody who reads a place, the share that reads the next one too. At 0.9 the first ten
places carry 86% of the weight of an endless list."""
CHUNK = 8192  # lists compared at once: 20 × 20 marks of each are 3 MB


def jaccard(one: NDArray[np.integer], other: NDArray[np.integer]) -> NDArray[np.float64]:
    """Items in both lists over items in either, whatever their order (Jaccard 1912).

    (a, b, c) beside (b, c, d) gives 2 / 4 = 0.5. Two empty lists are alike: 1.

    Args:
        one: (N, K) recommended items of N cases, each at most once in a list; −1 fills a list that is shorter.
        other: (N, K) of another model for the same cases.

    Returns (N,) float64 in [0, 1].
    """
    shared = _shared_by_depth(one, other)[:, -1] if one.shape[1] else np.zeros(len(one))
    either = (one >= 0).sum(axis=1) + (other >= 0).sum(axis=1) - shared
    return np.divide(shared, either, out=np.ones(len(one)), where=either > 0)


def rank_biased_overlap(
    one: NDArray[np.integer], other: NDArray[np.integer], persistence: float = PERSISTENCE
) -> NDArray[np.float64]:
    """Agreement of two rankings where the top counts most, extrapolated beyond what is shown.

    With A(d) the share of the first d places that both have, and p the persistence,
    RBO = A(k) p^k + (1 − p) / p · Σ_{d=1..k} A(d) p^d: beyond k the agreement is taken to stay what it is at k.
    (a, b) beside (b, a) at p = 0.9: A = 0, 1, so 0.81 + 0.1 / 0.9 · 0.81 = 0.9.
    Source: Webber, Moffat and Zobel 2010, A similarity measure for indefinite rankings, equation 30 (RBO_EXT).

    Args:
        one: (N, K) recommended items of N cases, best first, each at most once in a list; −1 fills a shorter list.
        other: (N, K) of another model for the same cases, as long as `one` in each case.
        persistence: p, between 0 and 1.

    Returns (N,) float64 in [0, 1]: 1 for equal lists (and two empty ones), 0 for lists with nothing in common.

    Raises ValueError for a persistence outside of 0 to 1, and for lists of different lengths.
    """
    if not 0 < persistence < 1:
        raise ValueError(f"persistence = {persistence} is not between 0 and 1")
    lengths = (one >= 0).sum(axis=1)  # (N,)
    if not np.array_equal(lengths, (other >= 0).sum(axis=1)):
        raise ValueError("lists of one case differ in length; rank-biased overlap is of lists to one depth")
    if not one.shape[1]:
        return np.ones(len(one))
    depths = np.arange(1, one.shape[1] + 1)  # (K,)
    agreement = _shared_by_depth(one, other) / depths  # (N, K)
    weights = np.where(depths <= lengths[:, None], persistence**depths, 0.0)  # (N, K)
    last = np.take_along_axis(agreement, np.maximum(lengths - 1, 0)[:, None], axis=1)[:, 0]  # (N,)
    seen = (1 - persistence) / persistence * (agreement * weights).sum(axis=1)
    return np.where(lengths > 0, np.clip(last * persistence**lengths + seen, 0.0, 1.0), 1.0)


def _shared_by_depth(one: NDArray[np.integer], other: NDArray[np.integer]) -> NDArray[np.float64]:
    """(N, K) how many items the first 1 to K places of both lists share."""
    places = np.arange(one.shape[1])
    # An item is shared from the depth on at which the later of the two lists has it.
    later = np.maximum(places[:, None], places[None, :])  # (K, K)
    first_shared = np.zeros(one.shape)
    for start in range(0, len(one), CHUNK):
        some, same = one[start : start + CHUNK, :, None], other[start : start + CHUNK, None, :]
        case, row, column = np.nonzero((some == same) & (some >= 0))
        np.add.at(first_shared, (case + start, later[row, column]), 1.0)
    return first_shared.cumsum(axis=1)
