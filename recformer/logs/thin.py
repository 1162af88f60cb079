"""Fewer points to draw, with every spike still in sight; and the smoothing that TensorBoard's slider does."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recformer.logs.series import Curve


@dataclass(frozen=True)
class ThinCurve:
    """A curve with at most as many points as asked for, and what each stands for. All arrays are (n,)."""

    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    """The value at `step`, one that was logged."""
    low: npt.NDArray[np.float64]
    """The least value of the bucket around `step`; NaN only where all of it is."""
    high: npt.NDArray[np.float64]
    """The greatest value of the bucket."""

    def __len__(self) -> int:
        return len(self.step)


def thin(curve: Curve, max_points: int = 1000) -> ThinCurve:
    """At most `max_points` (two or more) points of `curve`, with the minimum and maximum around each.

    The points are cut into buckets of equal count; the first and the last point are always kept, and every
    spike is in some `low` or `high`. Raises ValueError for fewer than two points.
    """
    if max_points < 2:
        raise ValueError(f"max_points is {max_points}; at least 2 are needed")
    n = len(curve)
    if n <= max_points:
        return ThinCurve(curve.step, curve.wall_time, curve.value, curve.value, curve.value)
    bucket = np.arange(max_points, dtype=np.int64)
    first = bucket * n // max_points
    # Evenly from the first point to the last; each lies in its own bucket.
    shown = bucket * (n - 1) // (max_points - 1)
    return ThinCurve(
        step=curve.step[shown],
        wall_time=curve.wall_time[shown],
        y=curve.value[shown],
        low=np.fmin.reduceat(curve.value, first),
        high=np.fmax.reduceat(curve.value, first),
    )


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
