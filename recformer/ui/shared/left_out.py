"""What of a chart's lines can be drawn as it is asked for; what cannot is drawn in the next best way, and said."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from recformer.logs.axis import AS_LOGGED, TITLES, Axis, Clock
from recformer.logs.bounds import is_number
from recformer.logs.gaps import gaps
from recformer.logs.series import Curve

BY_NUMBER = Clock(math.nan)
"""Where points stand by their steps as logged, or by their number."""
POINTS = "points, in the order in which they were logged"
MOST_WORDS = 3
_LEAST = 1e-100  # drawn as 0 on a linear axis: browsers cannot count in smaller steps


class _Line(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def curve(self) -> Curve: ...
    @property
    def clock(self) -> Clock: ...


@dataclass(frozen=True)
class Layout:
    """How lines are laid out that were asked for otherwise."""

    axis: Axis
    x_title: str
    by_number: bool
    """Whether clocks count for nothing: steps or points stand where their numbers are."""
    words: list[str]
    """What is not as it was asked for, or not drawn."""


def laid_out(lines: Sequence[_Line], axis: Axis, x_title: str, log_axis: bool) -> Layout:
    """The axis on which all lines can be drawn, which is `axis` where that says where their points stand."""
    repeated = sum(line.curve.repeated for line in lines if line.curve.by_time)
    later = sum(line.curve.repeated for line in lines if not line.curve.by_time)
    words = [f"{_points(later)} logged again; the later ones are shown"] if later else []
    numbered = Layout("step", POINTS if repeated else AS_LOGGED, True, words)
    if axis in ("epoch", "step") and repeated:
        if all(_timed(line) for line in lines):
            axis, x_title = "relative", f"{lines[0].clock.unit_name} {TITLES['relative']}"
            words.append(f"{_share(repeated)} a step; shown by time")
        else:
            words.append(f"{_share(repeated)} a step; shown in the order they were logged")
            return replace(numbered, words=[*words, *_value_words(lines, log_axis)])
    if axis in ("relative", "wall"):
        unknown = sum(_untimed(line) for line in lines)
        if unknown == sum(len(line.curve) for line in lines):
            words.append("no usable times in the log; shown by step")
            return replace(numbered, words=[*words, *_value_words(lines, log_axis)])
        if unknown:
            words.append(f"{_points(unknown)} without a usable time left out")
    return Layout(axis, x_title, False, [*words, *_value_words(lines, log_axis)])


def _timed(line: _Line) -> bool:
    return not _untimed(line)


def _untimed(line: _Line) -> int:
    """How many points have no place on an axis of time."""
    return len(line.curve) if math.isnan(line.clock.began) else int(np.isnan(line.curve.wall_time).sum())


def _value_words(lines: Sequence[_Line], log_axis: bool) -> Iterator[str]:
    for line in lines:
        name = f"{line.label}: " if len(lines) > 1 else ""
        if (gap := gaps(line.curve)) is not None:
            # A log with a number of steps in an epoch counts epochs.
            counts_epochs = line.clock.steps_per_epoch is not None
            yield f"{name}{gap.words.replace(' step ', ' epoch ') if counts_epochs else gap.words}"
        if log_axis and (below := int((line.curve.value <= 0).sum())):
            yield f"{name}{below:,} not above 0, so not on a logarithmic axis"


def _points(count: int) -> str:
    return "1 point" if count == 1 else f"{count:,} points"


def _share(count: int) -> str:
    return "1 point shares" if count == 1 else f"{count:,} points share"


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
