"""Several runs' curves as one: their mean, and the band between the lowest and the highest."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from recformer.logs.series import Curve


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
