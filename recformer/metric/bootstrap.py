"""Bootstrap intervals, resampling users: cases of one user are not independent of each other."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
SEED = 20240903


@dataclass(frozen=True)
class Interval:
    """A mean and its 95% percentile interval."""

    mean: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return {"mean": self.mean, "low": self.low, "high": self.high}


def bootstrap(values: NDArray[np.float64], users: NDArray[np.integer]) -> list[Interval]:
    """Mean over cases of each column, with its interval over users (Efron and Tibshirani 1993, ch. 13).

    Paired differences come from the same call: pass the difference of two models' values on the same cases.

    Args:
        values: (N, M) one row a case, one column a quantity.
        users: (N,) who each case belongs to.

    Returns:
        M intervals. With a single user low and high equal the mean.
    """
    _, group = np.unique(users, return_inverse=True)
    num_users = int(group.max()) + 1
    counts = np.bincount(group, minlength=num_users).astype(np.float64)
    sums = np.stack([np.bincount(group, weights=column, minlength=num_users) for column in values.T], axis=1)  # (U, M)
    weights = _weights(num_users)  # (R, U)
    resampled = (weights @ sums) / (weights @ counts)[:, None]  # (R, M)
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    return [Interval(float(m), float(a), float(b)) for m, a, b in zip(values.mean(axis=0), low, high, strict=True)]


@lru_cache(maxsize=4)
def _weights(num_users: int) -> NDArray[np.float64]:
    """(R, U) how often each user is drawn in each resample; seeded, so that every page shows the same interval."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    draws = [np.bincount(generator.integers(num_users, size=num_users), minlength=num_users) for _ in range(RESAMPLES)]
    return np.stack(draws).astype(np.float64)
