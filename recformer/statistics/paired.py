"""Paired differences between two models: a randomization test, effect size, power, and the correction of many."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from recformer.statistics.users import UserSums

MOST_FLIPS, LEAST_FLIPS = 100_000, 10_000
SIGNS = 200_000_000  # flips × users that take about a second on two cores
SEED = 19350101
CHUNK = 1000
KEPT_BYTES = 32_000_000
ROUNDING = 1e-6  # of the sum of all sizes, which is what float32 sums are uncertain by
MOST_KNOWN = 20_000
_known: dict[bytes, float] = {}  # p-values by digests of columns: with another k most of them stay the same
NO_SPREAD = 1e-9
"""A spread below this share of the difference is no spread: equal differences are summed with rounding."""
LEVEL = 0.05
POWER = 0.8


def sign_flip_p(differences: UserSums) -> NDArray[np.float64]:
    """(M,) two-sided p-values of the hypothesis that each mean difference is zero.

    If two models are alike, which of them a user's difference speaks for is a coin's throw: p is the share of 10,000
    to 100,000 random choices of signs (the fewer users, the more), one sign a user, whose mean is at least as far
    from zero as the one seen, the one seen among them (so never 0). Without any difference p is 1.
    Source: Fisher 1935; Smucker, Allan and Carterette 2007.
    """
    every = differences.sums.astype(np.float32)  # (U, M); rounding is far below what a p-value can tell
    keys = [blake2b(column.tobytes(), digest_size=16).digest() for column in every.T]
    known = {key: p for key in keys if (p := _known.get(key)) is not None}
    new = {key: place for place, key in enumerate(keys) if key not in known}  # MAP is MRR, and so is its p-value
    if new:
        known |= zip(new, _p_values(np.ascontiguousarray(every[:, list(new.values())])).tolist(), strict=True)
        if len(_known) > MOST_KNOWN:
            _known.clear()
        _known.update(known)
    return np.array([known[key] for key in keys])


def _p_values(sums: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M,) p-values of the columns (U, M), all different."""
    total = sums.sum(axis=0, dtype=np.float64)
    # Means that are equal but for rounding are as far: differences that cancel out leave a total of no size of its own.
    far = np.abs(total) - ROUNDING * np.abs(sums).sum(axis=0, dtype=np.float64)
    as_far = np.ones(sums.shape[1])
    for flipped in sums_under_flips(sums):
        as_far += (np.abs(flipped) >= far).sum(axis=0)
    return as_far / (flips_of(len(sums)) + 1)


def flips_of(num_users: int) -> int:
    """How many random choices of signs this many users are given."""
    return min(max(SIGNS // num_users, LEAST_FLIPS), MOST_FLIPS)


def sums_under_flips(sums: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
    """(R, M) the sums of the columns (U, M) under random signs, one sign a user; `flips_of` rows in all."""
    total = sums.sum(axis=0, dtype=np.float64)
    flips, width = flips_of(len(sums)), -(-len(sums) // 8)
    kept = flips * width <= KEPT_BYTES  # drawing them takes longer than all the rest, and they are always the same
    for bits in _kept_bits(flips, width) if kept else _bits(flips, width):
        heads = np.unpackbits(bits, axis=1, count=len(sums)).astype(np.float32)  # (R, U) of 0 and 1
        # A sign is 2 · head − 1, so Σ sign · x = 2 · Σ head · x − Σ x.
        yield 2 * (heads @ sums) - total


def _bits(flips: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """(R, width) random bytes, eight signs each, `flips` rows in all."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    for start in range(0, flips, CHUNK):
        rows = min(CHUNK, flips - start)
        yield np.frombuffer(generator.bytes(rows * width), np.uint8).reshape(rows, width)


@lru_cache(maxsize=2)
def _kept_bits(flips: int, width: int) -> list[NDArray[np.uint8]]:
    return list(_bits(flips, width))


def paired_effect_size(differences: UserSums) -> NDArray[np.float64]:
    """(M,) the mean difference over the standard deviation of users around it (Cohen's d for pairs, d_z).

    Mean and deviation weigh users as `standard_error` does, so that its sign is that of the difference. Differences 0.1
    and 0.3 give 0.2 / 0.1414 = 1.41. 0 where no user differs from another or there is only one.
    """
    if len(differences.sums) < 2:
        return np.zeros(differences.sums.shape[1])
    mean, spread = differences.mean, standard_error(differences) * np.sqrt(len(differences.sums))
    differs = spread > NO_SPREAD * np.abs(differences.sums / differences.counts).max(axis=0)
    return np.divide(mean, spread, out=np.zeros_like(spread), where=differs)


def standard_error(differences: UserSums) -> NDArray[np.float64]:
    """(M,) standard error of each mean difference, over users; infinite for a single user.

    With one case a user it is sd / √n of the users' differences. With several it is that of a ratio of sums
    (Cochran 1977, section 6.3): a user counts by how far their sum is from what their cases would give at the mean.
    Differences 0.1 and 0.3 give 0.1414 / √2 = 0.1.
    """
    num_users = len(differences.sums)
    if num_users < 2:
        return np.full(differences.sums.shape[1], np.inf)
    apart = (differences.sums - differences.mean * differences.counts) / differences.counts.mean(axis=0)
    return np.sqrt((apart**2).sum(axis=0) / (num_users - 1) / num_users)


def detectable(error: float, comparisons: int = 1) -> float:
    """The minimum detectable difference: a true one of this size is found significant 80 times of 100.

    (z(1 − α/2) + z(0.8)) · `error`, the standard error, where α is 0.05 over the number of `comparisons` in the family,
    the level of Holm's first step. An error of 0.1 gives (1.960 + 0.842) · 0.1 = 0.280 for one comparison.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - LEVEL / comparisons / 2) + normal.inv_cdf(POWER)) * error


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) p-values adjusted so that the chance of even one false alarm among all M stays below the level (Holm 1979).

    The least is multiplied by M, the next by M − 1, and so on, each at least as large as the one before, at most 1:
    .01, .04, .03 become .03, .06, .06.
    """
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted
