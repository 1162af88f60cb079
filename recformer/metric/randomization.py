"""Paired randomization test: could the difference between two models be the luck of who was asked?"""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.users import UserSums

MOST_FLIPS, LEAST_FLIPS = 100_000, 10_000
SIGNS = 200_000_000  # flips × users that take about a second on two cores
SEED = 19350101
CHUNK = 1000


def sign_flip_p(differences: UserSums) -> NDArray[np.float64]:
    """(M,) two-sided p-values of the hypothesis that each mean difference is zero.

    If two models are alike, which of them a user's difference speaks for is a coin's throw: p is the share of 10,000
    to 100,000 random choices of signs (the fewer users, the more), one sign a user, whose mean is at least as far
    from zero as the one seen, the one seen among them (so never 0). Without any difference p is 1.
    Source: Fisher 1935; Smucker, Allan and Carterette 2007.
    """
    sums = differences.sums.astype(np.float32)  # (U, M); rounding is far below what a p-value can tell
    seen = np.abs(sums.sum(axis=0, dtype=np.float64))
    generator = np.random.Generator(np.random.PCG64(SEED))
    as_far = np.ones(sums.shape[1])
    flips = min(max(SIGNS // len(sums), LEAST_FLIPS), MOST_FLIPS)
    for start in range(0, flips, CHUNK):
        signs = _signs(generator, min(CHUNK, flips - start), len(sums))
        as_far += (np.abs(signs @ sums) >= seen * (1 - 1e-5)).sum(axis=0)
    return as_far / (flips + 1)


def _signs(generator: np.random.Generator, rows: int, num_users: int) -> NDArray[np.float32]:
    """(R, U) of −1 and 1."""
    bits = np.unpackbits(
        np.frombuffer(generator.bytes(rows * (-(-num_users // 8))), np.uint8).reshape(rows, -1), axis=1
    )
    return bits[:, :num_users].astype(np.float32) * 2 - 1
