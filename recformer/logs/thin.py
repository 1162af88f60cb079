"""Fewer points to draw, with every spike still in sight; and the smoothing that TensorBoard's slider does."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

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
    return _at(curve, np.arange(max_points, dtype=np.int64) * (n - 1) // (max_points - 1))


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
    return _at(curve, np.unique(np.concatenate([[0, n - 1], least, greatest])))


def _at(curve: Curve, places: npt.NDArray[np.int64]) -> Curve:
    return replace(curve, step=curve.step[places], wall_time=curve.wall_time[places], value=curve.value[places])


def smooth(values: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
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
