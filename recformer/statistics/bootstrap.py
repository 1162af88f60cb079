"""Bootstrap intervals, resampling users."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recformer.statistics.users import UserSums

RESAMPLES = 1000
SEED = 20240903
CHUNK = 250  # resamples at once: 250 × 160,000 users are 320 MB
KEPT_BYTES = 32_000_000


def bootstrap(cases: UserSums, levels: Sequence[float]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Ends (M,) and (M,) of the percentile intervals of the means, for each level in percent, from the same resamples.

    Efron and Tibshirani 1993, ch. 13. Paired differences come from the same call: pass the differences of two models'
    sums. With a single user both ends equal the mean. Seeded: the same sums give the same interval on every page.
    """
    num_users = len(cases.sums)
    parts: list[NDArray[np.float64]] = []
    kept = RESAMPLES * num_users * 2 <= KEPT_BYTES  # for one set of users they are always the same
    for draws in _kept_draws(num_users) if kept else _draws(num_users):
        drawn = draws.astype(np.float64)  # (R, U)
        with np.errstate(invalid="ignore"):  # a slice of few users may be drawn without any of them: left out
            parts.append((drawn @ cases.sums) / (drawn @ cases.counts))
    below = [(100 - level) / 2 for level in levels]
    ends = np.nanpercentile(np.concatenate(parts), [*below, *(100 - share for share in below)], axis=0)
    mean = cases.mean  # of equal values the resamples' means differ from it by rounding
    lows, highs = ends[: len(below)], ends[len(below) :]
    return [(np.minimum(low, mean), np.maximum(high, mean)) for low, high in zip(lows, highs, strict=True)]


def _draws(num_users: int) -> Iterator[NDArray[np.uint16]]:
    """(R, U) how often each user is drawn in each resample, 1000 rows in all."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    for start in range(0, RESAMPLES, CHUNK):
        rows = range(min(CHUNK, RESAMPLES - start))
        draws = [np.bincount(generator.integers(num_users, size=num_users), minlength=num_users) for _ in rows]
        yield np.stack(draws).astype(np.uint16)


@lru_cache(maxsize=2)
def _kept_draws(num_users: int) -> list[NDArray[np.uint16]]:
    return list(_draws(num_users))
