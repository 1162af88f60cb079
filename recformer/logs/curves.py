"""What is drawn of curves: fewer points with every spike, TensorBoard's smoothing, several runs as one, and gaps.

A value that is no number cannot be drawn; `gaps` tells where such values begin and how many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from recformer.logs.bounds import LARGEST, is_number
from recformer.logs.series import Curve


def thin(curve: Curve, max_points: int) -> Curve:
    """At most `max_points` (two or more) points of `curve`, evenly from the first to the last.

    Raises ValueError for fewer than two points.
    """
    if max_points < 2:
        raise ValueError(f"max_points is {max_points}; at least 2 are needed")
    n = len(curve)
    if n <= max_points:
        return curve
    return curve.part(np.arange(max_points, dtype=np.int64) * (n - 1) // (max_points - 1))


def extremes(curve: Curve, max_points: int) -> Curve:
    """At most `max_points` (four or more) points of `curve`, in their order: drawn as a line they look as all would.

    The points are cut into buckets of equal count, of which the least and the greatest value are kept, and the first
    and the last point of all. So every spike stays. What is no number is kept where a bucket holds nothing else.
    Raises ValueError for fewer than four points.
    """
    if max_points < 4:
        raise ValueError(f"max_points is {max_points}; at least 4 are needed")
    n = len(curve)
    if n <= max_points:
        return curve
    size = -(-n // ((max_points - 2) // 2))
    filled = np.full((-(-n // size), size), np.nan)
    filled.flat[:n] = curve.value
    first = np.arange(len(filled)) * size
    unknown = np.isnan(filled)
    least = first + np.where(unknown, np.inf, filled).argmin(axis=1)
    greatest = first + np.where(unknown, -np.inf, filled).argmax(axis=1)
    return curve.part(np.unique(np.concatenate([[0, n - 1], least, greatest])))


def smooth(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Exponential moving average of `values` (n,), debiased as TensorBoard's slider does it.

    `weight` in [0, 1) is that of the past; 0 changes nothing. A value that is not finite stays as it is and
    is left out of the average. Example: smooth([1, 3], 0.5) = [1, (0.25·1 + 0.5·3) / 0.75] = [1, 2.333].
    Raises ValueError for another weight.
    """
    if not 0.0 <= weight < 1.0:
        raise ValueError(f"weight is {weight}; allowed: 0 up to, not including, 1")
    smoothed = np.array(values, dtype=np.float64)
    average, share = 0.0, 0.0  # share of the average that values make up, the rest is its initial zero
    for index in np.flatnonzero(np.isfinite(smoothed)).tolist():
        average = weight * average + (1.0 - weight) * float(smoothed[index])
        share = weight * share + (1.0 - weight)
        smoothed[index] = average / share
    return smoothed


@dataclass(frozen=True, eq=False)
class Spread:
    """The mean over runs at the steps that all of them have, and what lies around it."""

    mean: Curve
    low: NDArray[np.float64]
    """(n,) lowest run at each step."""
    high: NDArray[np.float64]
    """(n,) highest run at each step."""


def spread_of(curves: Sequence[Curve]) -> Spread:
    """Curves 1, 3 and 2, 5 give the mean 1.5, 4 between 1, 3 and 2, 5. `curves` is not empty."""
    steps = reduce(np.intersect1d, [curve.step for curve in curves])
    places = [np.searchsorted(curve.step, steps) for curve in curves]
    values = np.stack([curve.value[place] for curve, place in zip(curves, places, strict=True)])  # (R, n)
    times = np.max([curve.wall_time[place] for curve, place in zip(curves, places, strict=True)], axis=0)
    by_time = any(curve.by_time for curve in curves)
    mean = Curve(steps, times, values.mean(axis=0), by_time, sum(curve.repeated for curve in curves))
    return Spread(mean, values.min(axis=0), values.max(axis=0))


@dataclass(frozen=True)
class Gaps:
    """The values of a curve that are no numbers (see bounds.is_number)."""

    count: int
    since: int | None
    """From which step on there is no number any more; None where the last value is one."""
    by_time: bool
    earlier: int
    """How many of them stand before that step; all of them where the last value is a number."""
    too_large: int
    """How many of them are finite."""

    @property
    def words(self) -> str:
        """For example "not a number since step 5", or "3 values are not a number"."""
        what = "not a number" if not self.too_large else f"not a number or beyond {LARGEST:.0e}"
        if self.since is None:
            return f"{self.count:,} {'value is' if self.count == 1 else 'values are'} {what}"
        since = f"{what} since {'point' if self.by_time else 'step'} {self.since:,}"
        return f"{since}, and {self.earlier:,} before" if self.earlier else since


def gaps(curve: Curve) -> Gaps | None:
    """None where every value is a number. Example: 5, NaN, 4, NaN, inf at steps 1 to 5: 3 of them, since step 4."""
    wrong = ~is_number(curve.value)
    count = int(wrong.sum())
    if not count:
        return None
    right = np.flatnonzero(~wrong)
    first = int(right[-1]) + 1 if len(right) else 0
    since = int(curve.step[first]) if first < len(curve) else None
    earlier = int(wrong[:first].sum())
    return Gaps(count, since, curve.by_time, earlier, int(np.isfinite(curve.value[wrong]).sum()))
