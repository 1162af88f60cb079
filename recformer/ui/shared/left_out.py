"""A chart's lines, and what of them can be drawn as it is asked for; what cannot is drawn in the next best way, with a
note."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recformer.errors import count
from recformer.logs.axis import AS_LOGGED, TITLES, Axis, Clock
from recformer.logs.bounds import is_number
from recformer.logs.curves import gaps
from recformer.logs.series import Curve

BY_NUMBER = Clock(math.nan)
"""Where points stand by their steps as logged, or by their number."""
POINTS = "points, in the order in which they were logged"
MOST_WORDS = 3
_LEAST = 1e-100  # drawn as 0 on a linear axis: browsers cannot count in smaller steps


@dataclass(frozen=True)
class Line:
    """One curve of a chart."""

    label: str
    colour: str
    curve: Curve
    dash: str = "solid"
    clock: Clock = BY_NUMBER
    best: float | None = None
    """The step to mark with a star: the run's best."""
    legend: bool = True
    width: float = 2.0
    """In pixels."""
    pale: bool = False
    """Whether it is drawn faintly behind the others, without a place in the legend."""


@dataclass(frozen=True)
class Layout:
    """How lines are laid out that were asked for otherwise."""

    axis: Axis
    x_title: str
    by_number: bool
    """Whether clocks count for nothing: steps or points stand where their numbers are."""
    words: list[str]
    """What is not as it was asked for, or not drawn."""


def laid_out(lines: Sequence[Line], axis: Axis, x_title: str, log_axis: bool) -> Layout:
    """The axis on which all lines can be drawn, which is `axis` where that says where their points stand."""
    repeated = sum(line.curve.repeated for line in lines if line.curve.by_time)
    later = sum(line.curve.repeated for line in lines if not line.curve.by_time)
    words = [f"{count(later, 'point')} logged again; the later ones are shown"] if later else []
    untimed, by_number = sum(map(_untimed, lines)), False
    if axis in ("epoch", "step") and repeated:
        by_number = untimed > 0
        how = "shown in the order they were logged" if by_number else "shown by time"
        words.append(f"{count(repeated, 'point')} {'shares' if repeated == 1 else 'share'} a step; {how}")
        if not by_number:
            axis, x_title = "relative", f"{lines[0].clock.unit_name} {TITLES['relative']}"
    elif axis in ("relative", "wall"):
        by_number = untimed == sum(len(line.curve) for line in lines)
        if by_number:
            words.append("no usable times in the log; shown by step")
        elif untimed:
            words.append(f"{count(untimed, 'point')} without a usable time left out")
    if by_number:
        axis, x_title = "step", POINTS if repeated else AS_LOGGED
    return Layout(axis, x_title, by_number, [*words, *_value_words(lines, log_axis)])


def _untimed(line: Line) -> int:
    """How many points have no place on an axis of time."""
    return len(line.curve) if math.isnan(line.clock.began) else int(np.isnan(line.curve.wall_time).sum())


def _value_words(lines: Sequence[Line], log_axis: bool) -> Iterator[str]:
    for line in lines:
        name = f"{line.label}: " if len(lines) > 1 else ""
        if (gap := gaps(line.curve)) is not None:
            # A log with a number of steps in an epoch counts epochs.
            counts_epochs = line.clock.steps_per_epoch is not None
            yield f"{name}{gap.words.replace(' step ', ' epoch ') if counts_epochs else gap.words}"
        if log_axis and (below := int((line.curve.value <= 0).sum())):
            yield f"{name}{below:,} not above 0, so not on a logarithmic axis"


def drawn_values(curve: Curve, log_axis: bool) -> Curve:
    """The curve with NaN, which is a gap, for each value that cannot be drawn."""
    value = np.where(is_number(curve.value), curve.value, np.nan)
    if log_axis:
        return replace(curve, value=np.where(value > 0, value, np.nan))
    return replace(curve, value=np.where(np.abs(value) < _LEAST, 0.0, value))


def safe_range(low: float, high: float) -> list[float] | None:
    """A range to give to an axis from `low` to `high`, both finite; None where it finds a good one itself.

    A browser counts ticks in floating point: between 2⁶² and 2⁶² + 1 there is nothing to count.
    """
    size = max(abs(low), abs(high))
    if high - low > 1e-9 * size or size == 0:
        return None
    pad = 1e-3 * size
    return [low - pad, high + pad]
