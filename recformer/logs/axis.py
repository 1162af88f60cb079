"""Where the points of a curve stand: by epoch, by step, by the time since the run began, or by date."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recformer.logs.series import Curve

Axis = Literal["epoch", "step", "relative", "wall"]
TITLES: dict[Axis, str] = {
    "epoch": "epoch",
    "step": "optimizer step",
    "relative": "since the run began",
    "wall": "date",
}
_LATEST_S = 1e11  # some thousand years: a log that says nanoseconds where seconds belong has no dates
_MINUTE_S, _HOUR_S = 60.0, 3600.0
AS_LOGGED = "step, as logged"


@dataclass(frozen=True)
class Clock:
    """What turns the step and the wall time of a run's points into a place on an axis."""

    began: float
    """Wall time of the run's first point, seconds since 1970."""
    steps_per_epoch: float | None = None
    """Optimizer steps in an epoch, for a log that counts epochs; None for one that counts steps."""
    epochs: Curve | None = None
    """The epoch at each step, where a log that counts steps says so."""
    unit_s: float = _HOUR_S
    """Seconds in a unit of the axis "relative"."""

    @property
    def knows_epochs(self) -> bool:
        return self.steps_per_epoch is not None or self.epochs is not None

    def places(
        self, step: NDArray[np.int64] | NDArray[np.float64], wall_time: NDArray[np.float64], axis: Axis
    ) -> NDArray[np.generic]:
        """(n,) float64, or datetime64 on the axis "wall". What a log does not tell stays the step as it was logged."""
        if axis == "wall":
            known = np.abs(wall_time) < _LATEST_S  # false for what is no number, too
            begin = self.began if abs(self.began) < _LATEST_S else 0.0
            offset = time.localtime(begin).tm_gmtoff  # Plotly shows dates as they are given: in local time
            dates = (np.where(known, wall_time + offset, 0.0) * 1000).astype("datetime64[ms]")
            return np.where(known, dates, np.datetime64("NaT", "ms"))
        if axis == "relative":
            return (wall_time - self.began) / self.unit_s
        if axis == "step" and self.steps_per_epoch is not None:
            return step * self.steps_per_epoch
        if axis == "epoch" and self.epochs is not None:
            return np.interp(step, self.epochs.step, self.epochs.value)
        return step


def clock_of(curves: dict[str, Curve], steps_per_epoch: float | None) -> Clock:
    """The clock of a run with these curves, of which at least one has points."""
    began = min(float(curve.wall_time[0]) for curve in curves.values())
    return Clock(began, steps_per_epoch, None if steps_per_epoch is not None else curves.get("epoch"))


def relative_unit(longest_s: float) -> tuple[float, str]:
    """Seconds in the unit in which times up to `longest_s` are easiest to read, and its name."""
    return (_MINUTE_S, "minutes") if longest_s < 2 * _HOUR_S else (_HOUR_S, "hours")
