"""How sure a mean over users is: one rule for tables, slices, charts and words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recformer.statistics.bootstrap import bootstrap
from recformer.statistics.score_interval import score_interval
from recformer.statistics.users import UserSums

Ends = tuple[NDArray[np.float64], NDArray[np.float64]]


def intervals(
    cases: UserSums, levels: Sequence[float], signed: NDArray[np.bool_], bounded: NDArray[np.bool_]
) -> list[Ends]:
    """Ends (M,) and (M,) of the intervals of M means, for each level in percent; NaN where there is none.

    The bootstrap's, over users. Where all users are alike it has no width, which says nothing of users not seen: then
    the ends are those of a score interval. A difference lies within ±1, so where all n users have the same, the mean
    moves as far as the share of others that none of n leaves possible. A single user has no interval.

    Worked: 30 users who all have 0 give 0 to 0.114 at 95%, and a difference of 0 for all gives −0.114 to 0.114.

    Args:
        signed: (M,) which are differences, from −1 to 1; all others are from 0 to 1.
        bounded: (M,) which have these limits; what has none, such as bits, has no interval where all are alike.
    """
    found: list[Ends] = []
    mean, count = cases.mean, cases.counts.sum(axis=0)
    for level, (low, high) in zip(levels, bootstrap(cases, levels), strict=True):
        alike = high - low <= 1e-12
        reach = score_interval(np.zeros_like(mean), np.zeros_like(mean), count, level)[1]
        share = np.clip(mean, 0, 1)
        lowest, highest = score_interval(share, share**2, count, level)
        lowest = np.where(signed, mean - reach * (1 + mean), lowest)
        highest = np.where(signed, mean + reach * (1 - mean), highest)
        lowest, highest = (np.where(bounded, end, np.nan) for end in (lowest, highest))
        found.append(of_several(cases, (np.where(alike, lowest, low), np.where(alike, highest, high))))
    return found


def rank_interval(table: UserSums, squares: NDArray[np.float64]) -> Ends:
    """Ends (M,) and (M,) of the 95% intervals of means of metrics of ranks, in tables and slices alike.

    `squares`: (M,) means of the squares of what cases have. Most cases have 0: of few users percentile bootstrap
    intervals hold the truth less often than they say, score intervals do not.
    """
    return of_several(table, score_interval(table.mean, squares, _independent_cases(table, squares)))


def _independent_cases(table: UserSums, squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) how many independent cases each mean is worth: all of them where a user has one, fewer where several of a
    user are alike."""
    cases = np.broadcast_to(table.counts.sum(axis=0), squares.shape)
    apart = (table.sums - table.mean * table.counts) ** 2
    between = apart.sum(axis=0) / cases**2
    within = np.maximum(squares - table.mean**2, 0)
    varies = within > 1e-12  # equal values differ by rounding alone, which says nothing of how users are alike
    worth = np.divide(within, between, out=cases.copy(), where=varies & (between > 0))
    return np.where(table.counts.max(axis=0) > 1, np.clip(worth, 1, cases), cases)


def of_several(cases: UserSums, ends: Ends) -> Ends:
    """The ends, but NaN where all cases are a single user's, who can show nothing of others."""
    several = (cases.counts > 0).sum(axis=0) > 1
    low, high = (np.where(several, end, np.nan) for end in ends)
    return low, high
