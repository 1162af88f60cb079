"""The points of one tag, sorted and growing: what is new is added at the end, however many there are already."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_GROWTH = 8  # an eighth more room than needed: adding stays cheap, and a point costs about 24 bytes


@dataclass(frozen=True)
class Curve:
    """One scalar over the steps of a run, sorted by step, each step once. The arrays are read-only."""

    step: npt.NDArray[np.int64]
    """(n,) training step."""
    wall_time: npt.NDArray[np.float64]
    """(n,) when it was logged, seconds since 1970."""
    value: npt.NDArray[np.float64]
    """(n,) as logged: NaN and infinity included."""

    def __len__(self) -> int:
        return len(self.step)


class Series:
    """Points sorted by step, each step once. What was given away as a curve is never changed."""

    def __init__(self, points: Curve) -> None:
        self._room = points  # arrays (capacity,) each, of which the first `_count` are filled
        self._count = len(points)

    @classmethod
    def empty(cls) -> "Series":
        return cls(Curve(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.float64)))

    def __len__(self) -> int:
        return self._count

    def curve(self) -> Curve:
        """All points so far."""
        filled = _part(self._room, slice(self._count))
        for array in (filled.step, filled.wall_time, filled.value):
            array.flags.writeable = False
        return filled

    def cut(self, step: int) -> None:
        """Drop the points at `step` and later."""
        self._keep(int(np.searchsorted(self._room.step[: self._count], step)))

    def add(self, new: Curve) -> None:
        """Take in points in the order in which they were written; their steps may repeat and go back.

        Of two at one step the later wall time holds, of equal ones that which came last.
        """
        if not len(new):
            return
        known = self._room.step[: self._count]
        follows = not len(known) or new.step[0] > known[-1]
        if not (follows and bool(np.all(new.step[1:] > new.step[:-1]))):
            place = int(np.searchsorted(known, new.step.min()))
            new = _sorted(_joined(_part(self._room, slice(place, self._count)), new))
            self._keep(place)
        self._append(new)

    def _keep(self, count: int) -> None:
        """Keep the first `count` points; what comes after them was given away, so it is never written over."""
        if count < self._count:
            self._room, self._count = _part(self._room, slice(count)), count

    def _append(self, new: Curve) -> None:
        count = self._count + len(new)
        if count > len(self._room):
            more = count + count // _GROWTH - self._count
            rest = Curve(np.zeros(more, np.int64), np.zeros(more), np.zeros(more))
            self._room = _joined(_part(self._room, slice(self._count)), rest)
        filled = slice(self._count, count)
        self._room.step[filled], self._room.wall_time[filled] = new.step, new.wall_time
        self._room.value[filled] = new.value
        self._count = count


def _part(points: Curve, which: slice) -> Curve:
    return Curve(points.step[which], points.wall_time[which], points.value[which])


def _joined(one: Curve, other: Curve) -> Curve:
    return Curve(
        np.concatenate([one.step, other.step]),
        np.concatenate([one.wall_time, other.wall_time]),
        np.concatenate([one.value, other.value]),
    )


def _sorted(points: Curve) -> Curve:
    """Each step once: its latest point."""
    order = np.lexsort((points.wall_time, points.step))  # stable: of equal wall times the one written later comes last
    chosen = order[np.append(np.diff(points.step[order]) != 0, True)]
    return Curve(points.step[chosen], points.wall_time[chosen], points.value[chosen])
