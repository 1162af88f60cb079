"""The chart of curves as a pure function of arrays: several lines, what happened to the run, and no more points than
can be seen. Scatter, never ScatterGL (see docs/ARCHITECTURE.md)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recformer.logs.axis import Axis, Clock
from recformer.logs.series import Curve
from recformer.logs.thin import extremes, smooth, thin
from recformer.ui.charts import Chart, quiet_layout
from recformer.ui.words import as_text

LINE_POINTS, CHART_POINTS = 1000, 3000  # more are not seen, and a browser is slow to draw them
FEWEST_POINTS = 4  # of a line, however many there are
FAINT = 0.3
_WIDE = 6.0  # greatest over least, from which a logarithmic axis gets fewer ticks
SHADE = "#D55E00"
MARK_COLOUR = "#8C8C8C"
AS_LOGGED = Clock(0.0)


@dataclass(frozen=True)
class Line:
    """One curve of the chart."""

    label: str
    colour: str
    curve: Curve
    dash: str = "solid"
    clock: Clock = AS_LOGGED
    best: int | None = None
    """The step to mark with a star: the run's best."""
    legend: bool = True
    width: float = 2.0
    """In pixels."""


@dataclass(frozen=True)
class Band:
    """What is drawn behind the lines, such as from the lowest to the highest of several seeds. Arrays are (n,)."""

    colour: str
    step: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Mark:
    """Something that happened to a run: a thin line across the chart, with a word at its head."""

    word: str
    step: float
    wall_time: float
    """Seconds since 1970."""
    details: str = ""


def curve_chart(
    title: str,
    lines: Sequence[Line],
    *,
    axis: Axis = "epoch",
    x_title: str = "epoch",
    smoothing: float = 0.0,
    log_axis: bool = False,
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
    mark_words: bool = True,
    shade_from: int | None = None,
) -> Chart:
    """Curves with at most 1000 points each and 3000 together, among them every spike.

    Smoothed lines keep what was logged faintly behind them. `marks` and `shade_from` (a step from which the rest is
    tinted) are placed by the first line's clock; `mark_words`: whether the marks say what they are.
    """
    layout = quiet_layout(as_text(title), x_title, legend=len(lines) > 1)
    layout["uirevision"] = f"{axis} {log_axis}"  # a refresh keeps the zoom, another axis has its own
    _set_axes(layout, lines, axis, log_axis)
    stars = [star for line in lines if (star := _star(line, axis, log_axis)) is not None]
    clock = lines[0].clock
    layout["annotations"] = [*stars, *(_mark_word(mark, clock, axis) for mark in marks if mark_words)]
    layout["shapes"] = [_mark_line(mark, clock, axis) for mark in marks]
    if shade_from is not None:
        layout["shapes"].append(_shade(lines[0], shade_from, axis))
    traces = [_band(band.step, band.low, band.high, band.colour) for band in bands]
    most = max(min(LINE_POINTS, CHART_POINTS // max(len(lines), 1)), FEWEST_POINTS)
    traces += [trace for line in lines for trace in _traces(line, axis, smoothing, most)]
    return {"data": traces, "layout": layout}


def _traces(line: Line, axis: Axis, smoothing: float, most: int) -> list[dict[str, Any]]:
    """The line; a smoothed one with what was logged behind it."""
    told = {"name": as_text(line.label), "hovertemplate": "%{y:.4g}", "showlegend": line.legend}
    logged = _trace(line, extremes(line.curve, most), axis)
    if not smoothing:
        return [{**logged, **told}]
    even = thin(line.curve, most)
    smoothed = _trace(line, replace(even, value=smooth(even.value, smoothing)), axis)
    return [{**logged, "opacity": FAINT, "hoverinfo": "skip", "showlegend": False}, {**smoothed, **told}]


def _trace(line: Line, points: Curve, axis: Axis) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": line.clock.places(points.step, points.wall_time, axis),
        "y": points.value,
        "mode": "lines" if len(points) > 1 else "markers",
        "line": {"color": line.colour, "dash": line.dash, "width": line.width},
    }


def _band(x: NDArray[np.generic], low: NDArray[np.float64], high: NDArray[np.float64], colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "none",  # no outline, which would take as long to draw as the area
        "x": np.concatenate([x, x[::-1]]),
        "y": np.concatenate([high, low[::-1]]),
        "fill": "toself",
        "fillcolor": colour,
        "opacity": 0.25,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _set_axes(layout: dict[str, Any], lines: Sequence[Line], axis: Axis, log_axis: bool) -> None:
    values = np.concatenate([line.curve.value for line in lines])
    if not log_axis and len(values) and values.min() == values.max() > 0:
        # A constant rate would be drawn on an axis from −1 to 1.
        layout["yaxis"]["range"] = [0, 1.5 * float(values[0])]
    last = max((int(line.curve.step[-1]) for line in lines if len(line.curve)), default=0)
    if axis == "epoch" and last <= 10:
        layout["xaxis"]["dtick"] = 1  # no epoch 1.5
    if log_axis:
        layout["yaxis"]["type"] = "log"
        positive = values[values > 0]
        if len(positive) and positive.max() > _WIDE * positive.min():
            layout["yaxis"]["dtick"] = "D2"  # ticks at 1, 2 and 5 of each power of ten; Plotly's own would overlap


def _star(line: Line, axis: Axis, log_axis: bool) -> dict[str, Any] | None:
    """The mark of a line's best step, where the line has that step."""
    place = np.flatnonzero(line.curve.step == line.best) if line.best is not None else []
    if not len(place):
        return None
    at = slice(int(place[0]), int(place[0]) + 1)
    y = float(line.curve.value[at][0])
    if not np.isfinite(y) or (log_axis and y <= 0):
        return None
    return {
        "x": line.clock.places(line.curve.step[at], line.curve.wall_time[at], axis)[0],
        "y": np.log10(y) if log_axis else y,  # on a logarithmic axis Plotly places annotations by the exponent
        "text": "★",
        "showarrow": False,
        "font": {"color": line.colour, "size": 16},
        "hovertext": f"best of {as_text(line.label)}: {y:.4g}",
    }


def _mark_line(mark: Mark, clock: Clock, axis: Axis) -> dict[str, Any]:
    x = _place(mark, clock, axis)
    look = {"color": MARK_COLOUR, "width": 1, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain", "line": look}


def _mark_word(mark: Mark, clock: Clock, axis: Axis) -> dict[str, Any]:
    return {
        "x": _place(mark, clock, axis),
        "y": 1,
        "yref": "y domain",
        "yanchor": "bottom",
        "text": mark.word,
        "showarrow": False,
        "font": {"color": MARK_COLOUR, "size": 11},
        "hovertext": mark.details or mark.word,
    }


def _place(mark: Mark, clock: Clock, axis: Axis) -> Any:
    return clock.places(np.array([mark.step]), np.array([mark.wall_time]), axis)[0]


def _shade(line: Line, step: int, axis: Axis) -> dict[str, Any]:
    """A tint over what comes after `step`."""
    after = int(np.searchsorted(line.curve.step, step))
    ends = line.clock.places(line.curve.step[[after, -1]], line.curve.wall_time[[after, -1]], axis)
    return {
        "type": "rect",
        "x0": ends[0],
        "x1": ends[1],
        "y0": 0,
        "y1": 1,
        "yref": "y domain",
        "fillcolor": SHADE,
        "opacity": 0.07,
        "line": {"width": 0},
        "layer": "below",
    }
