"""Where the points of a curve stand: by epoch, by step, by the time since the run began, or by date."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recformer.logs.bounds import is_number
from recformer.logs.series import Curve

Axis = Literal["epoch", "step", "relative", "wall"]
TITLES: dict[Axis, str] = {
    "epoch": "epoch",
    "step": "optimizer step",
    "relative": "since the run began",
    "wall": "date",
}
_MINUTE_S, _HOUR_S = 60.0, 3600.0
_UNITS = {_MINUTE_S: "minutes", _HOUR_S: "hours"}
AS_LOGGED = "step, as logged"
_ZONE_S = 900  # clocks are changed at whole quarters of an hour


@dataclass(frozen=True)
class Clock:
    """What turns the step and the wall time of a run's points into a place on an axis."""

    began: float
    """Wall time of the run's first point, seconds since 1970; NaN where no point has one."""
    steps_per_epoch: float | None = None
    """Optimizer steps in an epoch, for a log that counts epochs; None for one that counts steps."""
    epochs: Curve | None = None
    """The epoch at each step, where a log that counts steps says so."""
    unit_s: float = _HOUR_S
    """Seconds in a unit of the axis "relative"."""

    @property
    def unit_name(self) -> str:
        return _UNITS[self.unit_s]

    @property
    def knows_epochs(self) -> bool:
        return self.steps_per_epoch is not None or self.epochs is not None

    def places(
        self, step: NDArray[np.int64 | np.float64], wall_time: NDArray[np.float64], axis: Axis
    ) -> NDArray[np.generic]:
        """(n,) float64, or datetime64 on the axis "wall". What a log does not tell stays the step as it was logged."""
        if axis == "wall":
            return local_dates(wall_time)
        if axis == "relative":
            return (wall_time - self.began) / self.unit_s
        if axis == "step" and self.steps_per_epoch is not None:
            return step * self.steps_per_epoch
        if axis == "epoch" and self.epochs is not None:
            return np.interp(step, self.epochs.step, self.epochs.value)
        return step


def clock_of(curves: dict[str, Curve], steps_per_epoch: float | None) -> Clock:
    """The clock of a run with these curves, of which at least one has points."""
    began = float(np.fmin.reduce([np.fmin.reduce(curve.wall_time) for curve in curves.values() if len(curve)]))
    epochs = curves.get("epoch")
    told = steps_per_epoch is None and epochs is not None and not epochs.by_time and bool(is_number(epochs.value).all())
    return Clock(began, steps_per_epoch, epochs if told else None)


def local_dates(wall_time: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """(n,) what the clock on the wall showed then, as Plotly shows dates as they are given; NaT for what is no time.

    Each time has its own distance to UTC: a run may go on over a change to summer time.
    """
    known = ~np.isnan(wall_time)
    quarters, which = np.unique(np.where(known, wall_time, 0.0) // _ZONE_S, return_inverse=True)
    offsets = np.array([time.localtime(quarter * _ZONE_S).tm_gmtoff for quarter in quarters.tolist()])
    dates = (np.where(known, wall_time + offsets[which], 0.0) * 1000).astype("datetime64[ms]")
    return np.where(known, dates, np.datetime64("NaT", "ms"))


def relative_unit(longest_s: float) -> float:
    """Seconds in the unit in which times up to `longest_s` are easiest to read."""
    return _MINUTE_S if longest_s < 2 * _HOUR_S else _HOUR_S
