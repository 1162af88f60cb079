"""The points of one tag as they were written, growing; and the curve that they make."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

_GROWTH = 8  # an eighth more room than needed: adding stays cheap, and a point costs about 24 bytes


@dataclass(frozen=True)
class Curve:
    """One scalar over the steps of a run, sorted by step, each step once. The arrays are read-only."""

    step: npt.NDArray[np.int64 | np.float64]
    """(n,) training step; where `by_time`, the number of the point, from 1. Of what was logged within epochs, shares of
    them where it stands among curves by epoch."""
    wall_time: npt.NDArray[np.float64]
    """(n,) when it was logged, seconds since 1970; NaN where the log does not say."""
    value: npt.NDArray[np.float64]
    """(n,) as logged: NaN and infinity included."""
    by_time: bool = False
    """Whether the steps that were logged start again or are missing, so that the points stand in order of time."""
    repeated: int = 0
    """How many points have a step that another one has. Where `by_time` all are here, else the later of each step."""

    def __len__(self) -> int:
        return len(self.step)

    def part(self, which: slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Curve":
        """Some of its points, or all in another order."""
        return replace(self, step=self.step[which], wall_time=self.wall_time[which], value=self.value[which])


def joined(curves: Sequence[Curve]) -> Curve:
    """The points of several, one after the other."""
    return Curve(
        np.concatenate([curve.step for curve in curves]),
        np.concatenate([curve.wall_time for curve in curves]),
        np.concatenate([curve.value for curve in curves]),
    )


class Series:
    """Points in the order in which they were written. What was given away as a curve is never changed."""

    def __init__(self, points: Curve) -> None:
        self._hold(points)

    def _hold(self, points: Curve) -> None:
        self._room = points  # arrays (capacity,) each, of which the first `_count` are filled
        self._count = len(points)
        self._rises = _rises(points.step)  # whether each step is greater than the one before

    @classmethod
    def empty(cls) -> "Series":
        return cls(Curve(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.float64)))

    def __len__(self) -> int:
        return self._count

    def points(self) -> Curve:
        """All points so far as they were written, which is no order of steps."""
        return self._room.part(slice(self._count))

    def curve(self) -> Curve:
        """The curve of all points so far."""
        curve = self.points() if self._rises else arranged(self.points())
        for array in (curve.step, curve.wall_time, curve.value):
            array.flags.writeable = False
        return curve

    def cut(self, step: int) -> None:
        """Drop the points at `step` and later."""
        points = self.points()
        if not self._rises:
            self._hold(points.part(points.step < step))
        elif (count := int(np.searchsorted(points.step, step))) < self._count:
            # What comes after them was given away, so it is never written over.
            self._room, self._count = self._room.part(slice(count)), count

    def add(self, new: Curve) -> None:
        """Take in points in the order in which they were written."""
        if not len(new):
            return
        follows = not self._count or new.step[0] > self._room.step[self._count - 1]
        self._rises = self._rises and bool(follows) and _rises(new.step)
        count = self._count + len(new)
        if count > len(self._room):
            more = count + count // _GROWTH - self._count
            rest = Curve(np.zeros(more, np.int64), np.zeros(more), np.zeros(more))
            self._room = joined([self.points(), rest])
        filled = slice(self._count, count)
        self._room.step[filled], self._room.wall_time[filled] = new.step, new.wall_time
        self._room.value[filled] = new.value
        self._count = count


def arranged(points: Curve) -> Curve:
    """The curve that points make, whatever their order. What is logged twice alike, by a copied file, counts once.

    Points that share a step are different ones where the lowest step comes back: its steps start again each epoch, or
    were not given. They then stand in order of time. Else a run went on from before its end, and of each step the
    later point holds.
    """
    timed = not np.isnan(points.wall_time).any()
    order = np.lexsort((points.wall_time, points.step)) if timed else np.argsort(points.step, kind="stable")
    if timed:
        order = order[~_again(points.part(order))]
    step = points.step[order]
    last = np.append(np.diff(step) != 0, True)  # of each step: stable sorting has the one written later come last
    repeated = int(len(step) - last.sum())
    if not repeated or step[1] != step[0]:
        return replace(points.part(order[last]), repeated=repeated)
    order = np.sort(order)  # as they were written
    if timed:
        order = order[np.argsort(points.wall_time[order], kind="stable")]
    number = np.arange(1, len(order) + 1)
    return Curve(number, points.wall_time[order], points.value[order], by_time=True, repeated=repeated)


def _again(points: Curve) -> npt.NDArray[np.bool_]:
    """(n,) which points are the same in step, time and value as the one before."""
    same = np.diff(points.step) == 0
    same &= np.diff(points.wall_time) == 0
    same &= points.value[1:].view(np.int64) == points.value[:-1].view(np.int64)
    return np.append(False, same)


def _rises(step: npt.NDArray[np.int64 | np.float64]) -> bool:
    return bool(np.all(step[1:] > step[:-1]))
