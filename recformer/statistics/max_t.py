"""Correction for several comparisons that knows how they hang together: the same random signs for all of them."""

import numpy as np
from numpy.typing import NDArray

from recformer.statistics.paired import flips_of, sums_under_flips
from recformer.statistics.users import UserSums

ROUNDING = 1e-5  # of a sum whose squares add up to 1, in float32


def max_t(differences: UserSums) -> NDArray[np.float64]:
    """(M,) p-values of a family of mean differences: the chance of even one false alarm among all M stays below each.

    Step-down max-T of Westfall and Young (1993, algorithm 4.1) over the signs of `sign_flip_p`: each difference, from
    the clearest down, is compared with the largest that the same signs give to it and to all less clear ones. A
    difference counts as clear by its sum over the root of its sum of squares, which no sign changes. Differences that
    rise and fall together cost less than under Holm's correction, which must expect the worst of them. Never above
    Holm's p by more than the randomness of the signs, never below `floor`.
    """
    sums = differences.sums.astype(np.float64)  # (U, M)
    scale = np.sqrt((sums**2).sum(axis=0))
    scaled = np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 0).astype(np.float32)
    seen = np.abs(scaled.sum(axis=0, dtype=np.float64))  # (M,)
    order = np.argsort(-seen, kind="stable")
    seen, scaled = seen[order], np.ascontiguousarray(scaled[:, order])
    as_far = np.ones(len(order))
    for flipped in sums_under_flips(scaled):
        largest = np.maximum.accumulate(np.abs(flipped)[:, ::-1], axis=1)[:, ::-1]  # of this one and those less clear
        as_far += (largest >= seen - ROUNDING).sum(axis=0)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(as_far / (flips_of(len(sums)) + 1))
    return adjusted


def floor(num_users: int) -> float:
    """The least p-value that there can be with this many users: one flip is the one seen."""
    return 1 / (flips_of(num_users) + 1)
