"""The chart of curves as a pure function of arrays: several lines, what happened to the run, and no more points than
can be seen. Scatter, never ScatterGL (see docs/decisions/charts.md)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recformer.logs.axis import Axis, Clock
from recformer.logs.bounds import is_number
from recformer.logs.curves import extremes, smooth, thin
from recformer.logs.series import Curve
from recformer.ui.shared.charts import Chart, quiet_layout
from recformer.ui.shared.left_out import BY_NUMBER, MOST_WORDS, Line, drawn_values, laid_out, safe_range
from recformer.ui.shared.words import as_text

LINE_POINTS, CHART_POINTS = 1000, 3000  # more are not seen, and a browser is slow to draw them
FEWEST_POINTS = 4  # of a line, however many there are
FAINT = 0.3
_WIDE, _WIDEST = 0.8, 9.0  # powers of ten, between which a logarithmic axis is given its ticks
SHADE = "#D55E00"
MARK_COLOUR = "#8C8C8C"
DOT_PX = 5  # a value between two gaps
SUBTITLE_PX = 30  # with room for the marks' words below it
EXACT = 2**53  # a browser counts whole numbers one by one up to here


@dataclass(frozen=True)
class Band:
    """What is drawn behind the lines, such as from the lowest to the highest of several seeds. Arrays are (n,)."""

    colour: str
    step: NDArray[np.int64 | np.float64]
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
    shade_from: float | None = None,
) -> Chart:
    """Curves with at most 1000 points each and 3000 together, among them every spike.

    Smoothed lines keep what was logged faintly behind them. `marks` and `shade_from` (a step from which the rest is
    tinted) are placed by the first line's clock; `mark_words`: whether the marks say what they are. What cannot be
    drawn as it is asked for (see left_out) is said below the title.
    """
    laid = laid_out(lines, axis, x_title, log_axis)
    axis = laid.axis
    lines = [replace(line, clock=BY_NUMBER) for line in lines] if laid.by_number else lines
    marks = () if laid.by_number else marks
    placed = [(mark, x) for mark in marks if (x := _placed(mark, lines[0].clock, axis)) is not None]
    layout = quiet_layout(as_text(title), laid.x_title, legend=sum(not line.pale for line in lines) > 1)
    layout["uirevision"] = f"{axis} {log_axis}"  # a refresh keeps the zoom, another axis has its own
    if laid.words:
        _say(layout, list(dict.fromkeys(laid.words)))  # a pale line may say the same as the one before it
    lines = [replace(line, curve=drawn_values(line.curve, log_axis)) for line in lines]
    _set_axes(layout, lines, axis, log_axis)
    stars = [star for line in lines if (star := _star(line, axis, log_axis)) is not None]
    layout["annotations"] = [*stars, *(_mark_word(mark, x) for mark, x in placed if mark_words)]
    layout["shapes"] = [_mark_line(x) for _, x in placed]
    if shade_from is not None and not laid.by_number:
        layout["shapes"] += _shade(lines[0], shade_from, axis)
    traces = [_band(band, log_axis) for band in bands]
    most = max(min(LINE_POINTS, CHART_POINTS // max(len(lines), 1)), FEWEST_POINTS)
    behind_first = sorted(lines, key=lambda line: not line.pale)
    traces += [trace for line in behind_first for trace in _traces(line, axis, smoothing, most)]
    if not any(np.isfinite(line.curve.value).any() for line in lines):
        _say_empty(layout, lines, axis)
    return {"data": traces, "layout": layout}


def _say(layout: dict[str, Any], words: Sequence[str]) -> None:
    """Small print below the title: what is not drawn, or not as it was asked for."""
    more = [f"{len(words) - MOST_WORDS} more"] if len(words) > MOST_WORDS else []
    text = f"⚠ {' · '.join([*words[:MOST_WORDS], *more])}"
    place = {"y": 1 - layout["margin"]["t"] / 2 / layout["height"], "yanchor": "middle"}  # where it is without
    layout["title"] |= {**place, "subtitle": {"text": as_text(text), "font": {"size": 12}}}
    layout["margin"]["t"] += SUBTITLE_PX


def _say_empty(layout: dict[str, Any], lines: Sequence[Line], axis: Axis) -> None:
    """Where nothing can be drawn an axis would have no range, or an infinite one."""
    layout["yaxis"] |= {"range": [0, 1], "type": "linear", "showticklabels": False}
    layout["yaxis"].pop("dtick", None)
    place = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    layout["annotations"].append({**place, "text": "no value that can be drawn", "font": {"color": MARK_COLOUR}})
    if axis != "wall" and (ends := _ends(lines, axis)) is not None:
        layout["xaxis"].setdefault("range", list(ends) if ends[0] < ends[1] else [ends[0] - 1, ends[1] + 1])


def _ends(lines: Sequence[Line], axis: Axis) -> tuple[float, float] | None:
    """Where the first and the last point of all lines stand, on an axis of numbers; None where none has a place."""
    places = [line.clock.places(line.curve.step, line.curve.wall_time, axis).astype(np.float64) for line in lines]
    low, high = (
        float(extreme.reduce(np.concatenate([np.empty(0), *places]), initial=np.nan)) for extreme in (np.fmin, np.fmax)
    )
    return None if np.isnan(low) else (low, high)


def _traces(line: Line, axis: Axis, smoothing: float, most: int) -> list[dict[str, Any]]:
    """The line; a smoothed one with what was logged behind it."""
    told = {"name": as_text(line.label), "hovertemplate": "%{y:.4g}", "showlegend": line.legend}
    logged = _trace(line, extremes(line.curve, most), axis)
    faint = {**logged, "opacity": FAINT, "hoverinfo": "skip", "showlegend": False}
    if line.pale:
        return [faint]
    if not smoothing:
        return [{**logged, **told}]
    even = thin(line.curve, most)
    smoothed = _trace(line, replace(even, value=smooth(even.value, smoothing)), axis)
    return [faint, {**smoothed, **told}]


def _trace(line: Line, points: Curve, axis: Axis) -> dict[str, Any]:
    trace = {
        "type": "scatter",
        "x": line.clock.places(points.step, points.wall_time, axis),
        "y": points.value,
        "mode": "lines" if len(points) > 1 else "markers",
        "line": {"color": line.colour, "dash": line.dash, "width": line.width},
    }
    alone = _alone(points.value)
    if len(points) > 1 and alone.any():  # a line would not show a value between two gaps
        trace |= {"mode": "lines+markers", "marker": {"color": line.colour, "size": np.where(alone, DOT_PX, 0)}}
    return trace


def _alone(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) which values have a gap on either side."""
    there = np.concatenate([[False], np.isfinite(values), [False]])
    return there[1:-1] & ~there[:-2] & ~there[2:]


def _band(band: Band, log_axis: bool) -> dict[str, Any]:
    shown = is_number(band.low) & is_number(band.high) & (band.low > 0 if log_axis else True)
    x, low, high = band.step[shown], band.low[shown], band.high[shown]
    return {
        "type": "scatter",
        "mode": "none",  # no outline, which would take as long to draw as the area
        "x": np.concatenate([x, x[::-1]]),
        "y": np.concatenate([high, low[::-1]]),
        "fill": "toself",
        "fillcolor": band.colour,
        "opacity": 0.25,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _set_axes(layout: dict[str, Any], lines: Sequence[Line], axis: Axis, log_axis: bool) -> None:
    values = np.concatenate([line.curve.value for line in lines])
    values = values[np.isfinite(values)]
    if len(values) and not log_axis:
        low, high = float(values.min()), float(values.max())
        # A constant rate would be drawn on an axis from −1 to 1.
        wide = [0, 1.5 * low] if low == high > 0 else safe_range(low, high)
        layout["yaxis"] |= {"range": wide} if wide else {}
    if axis != "wall" and (ends := _ends(lines, axis)) is not None:
        # Within the first two epochs, curves by step are all there is to see.
        early = ends[1] < 2 and any(line.curve.step.dtype.kind == "f" for line in lines)
        if axis == "epoch" and ends[1] - ends[0] <= 10 and max(map(abs, ends)) < EXACT and not early:
            layout["xaxis"]["dtick"] = 1  # no epoch 1.5
        elif (wide := safe_range(*ends)) is not None:
            layout["xaxis"]["range"] = wide
    if log_axis:
        layout["yaxis"]["type"] = "log"
        if len(values) and _WIDE < np.log10(values.max()) - np.log10(values.min()) < _WIDEST:
            layout["yaxis"]["dtick"] = "D2"  # ticks at 1, 2 and 5 of each power of ten; Plotly's own would overlap


def _star(line: Line, axis: Axis, log_axis: bool) -> dict[str, Any] | None:
    """The mark of a line's best step, where the line has that step."""
    place = np.flatnonzero(np.isclose(line.curve.step, line.best)) if line.best is not None else []
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


def _mark_line(x: Any) -> dict[str, Any]:
    look = {"color": MARK_COLOUR, "width": 1, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain", "line": look}


def _mark_word(mark: Mark, x: Any) -> dict[str, Any]:
    place = {"x": x, "y": 1, "yref": "y domain", "yanchor": "bottom", "showarrow": False}
    font = {"color": MARK_COLOUR, "size": 11}
    return {**place, "text": mark.word, "font": font, "hovertext": mark.details or mark.word}


def _placed(mark: Mark, clock: Clock, axis: Axis) -> Any:
    """Where on the axis a mark stands; None where that is not known."""
    x = clock.places(np.array([mark.step]), np.array([mark.wall_time]), axis)[0]
    return None if np.isnan(mark.wall_time if axis == "wall" else x) else x


def _shade(line: Line, step: float, axis: Axis) -> list[dict[str, Any]]:
    """A tint over what comes after `step`, where that has a place on the axis."""
    after = int(np.searchsorted(line.curve.step, step))
    if after >= len(line.curve) or (axis in ("relative", "wall") and np.isnan(line.curve.wall_time[[after, -1]]).any()):
        return []
    ends = line.clock.places(line.curve.step[[after, -1]], line.curve.wall_time[[after, -1]], axis)
    look = {"fillcolor": SHADE, "opacity": 0.07, "line": {"width": 0}, "layer": "below"}
    return [{"type": "rect", "x0": ends[0], "x1": ends[1], "y0": 0, "y1": 1, "yref": "y domain", **look}]
