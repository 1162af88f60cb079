"""Charts as pure functions of arrays: no Streamlit, no files. Scatter, never ScatterGL (see docs/ARCHITECTURE.md)."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from recformer.evaluation.significance import Question
from recformer.ui.shared.words import as_text

Chart = go.Figure | dict[str, Any]
"""What the app draws: a figure, or its `data` and `layout` as they are. A figure checks all its parts, which takes ten
times as long as anything else on the way to the browser."""
HEIGHT = 280
SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "pentagon"]  # not by colour alone
GLYPHS = "●■◆▲✚✖★⬟"
"""The symbols as text, for tables."""


def quiet(figure: go.Figure, title: str, x_title: str, *, legend: bool = False) -> go.Figure:
    """Give a chart the look that all have."""
    return figure.update_layout(quiet_layout(title, x_title, legend=legend))


def quiet_layout(title: str, x_title: str, *, legend: bool = False) -> dict[str, Any]:
    """The look of every chart: small title, little grid, the legend (where there is one) below."""
    return {
        "title": {"text": title, "font": {"size": 14}, "x": 0, "xanchor": "left"},
        "height": HEIGHT,
        "margin": {"l": 10, "r": 10, "t": 36, "b": 64 if legend else 10},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0, "font": {"size": 12}},
        "uirevision": "keep",  # a refresh keeps the zoom
        "showlegend": legend,
        "xaxis": {
            "title": {"text": x_title, "standoff": 8},
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
        },
        "yaxis": {"zeroline": False, "nticks": 6, "automargin": True, "tickformat": ",~g", "ticklabelstandoff": 6},
    }


def interval_chart(
    title: str,
    cutoffs: list[int],
    models: list[tuple[str, str, list[dict[str, float]]]],
    primary: int | None = None,
) -> Chart:
    """A metric at each k with its interval, one colour a model. `models`: (label, colour, one interval a cutoff).

    `primary`: the k that decides, where it is this metric's.
    """
    spread = np.linspace(-0.2, 0.2, len(models)).tolist() if len(models) > 1 else [0.0]
    traces = [
        {
            "type": "scatter",
            "x": [position + shift for position in range(len(cutoffs))],
            "y": [interval["mean"] for interval in intervals],
            "name": as_text(label),
            "mode": "markers",
            "marker": {"color": colour, "size": 9, "symbol": SYMBOLS[place % len(SYMBOLS)]},
            "error_y": _bars(intervals, colour),
            "hovertemplate": "%{y:.4f}",
        }
        for place, (shift, (label, colour, intervals)) in enumerate(zip(spread, models, strict=True))
    ]
    layout = quiet_layout(title, "", legend=len(models) > 1)
    ticks = [f"k = {k} (primary)" if k == primary else f"k = {k}" for k in cutoffs]
    layout["xaxis"] |= {"tickvals": list(range(len(cutoffs))), "ticktext": ticks}
    return {"data": traces, "layout": layout}


def trade_off_chart(
    title: str,
    question: Question,
    labels: list[str],
    colours: list[str],
    points: list[tuple[dict[str, float], dict[str, float]]],
    front: list[bool],
) -> go.Figure:
    """Accuracy (upwards) against duplication (to the right) of each model with both intervals, and the Pareto front.

    `points`: (accuracy, duplication) intervals at the question's k; `front`: which models are not beaten at both.
    """
    figure = go.Figure()
    ends = sorted((other["mean"], one["mean"]) for (one, other), best in zip(points, front, strict=True) if best)
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in ends],
            y=[y for _, y in ends],
            mode="lines",
            line={"color": "#8C8C8C", "dash": "dot", "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    for place, (label, colour, (one, other)) in enumerate(zip(labels, colours, points, strict=True)):
        figure.add_trace(
            go.Scatter(
                x=[other["mean"]],
                y=[one["mean"]],
                name=as_text(label),
                mode="markers",
                marker={"color": colour, "size": 11, "symbol": SYMBOLS[place % len(SYMBOLS)]},
                error_x=_bars([other], colour),
                error_y=_bars([one], colour),
                hovertemplate=f"{question.title} %{{y:.4f}}, duplication@{question.k} %{{x:.4f}}",
            )
        )
    quiet(figure, title, f"duplication in the window @{question.k}, raw", legend=True)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(title=question.title)
    return figure


def slice_chart(
    title: str,
    slices: list[str],
    few: list[bool],
    labels: list[str],
    colours: list[str],
    rows: list[list[dict[str, float]]],
) -> go.Figure:
    """Dots with intervals, one line a slice, one colour and symbol a model; `few` are drawn pale."""
    figure = go.Figure()
    places = np.arange(len(slices))[::-1]  # the first on top
    spread = np.linspace(0.25, -0.25, len(labels)) if len(labels) > 1 else [0.0]
    opacity = [0.35 if pale else 1.0 for pale in few]
    for position, (shift, label, colour) in enumerate(zip(spread, labels, colours, strict=True)):
        intervals = [row[position] for row in rows]
        figure.add_trace(
            go.Scatter(
                x=[interval["mean"] for interval in intervals],
                y=places + shift,
                name=as_text(label),
                mode="markers",
                marker={"color": colour, "size": 8, "opacity": opacity, "symbol": SYMBOLS[position % len(SYMBOLS)]},
                error_x=_bars(intervals, colour),
                hovertemplate="%{x:.4f}",
            )
        )
    quiet(figure, title, "", legend=len(labels) > 1)
    figure.update_layout(height=max(HEIGHT, 110 + len(slices) * max(14 * len(labels), 22)), hovermode="closest")
    figure.update_yaxes(tickvals=places, ticktext=[as_text(label) for label in slices], showgrid=False)
    figure.update_xaxes(showgrid=True, rangemode="tozero")
    return figure


def _bars(intervals: list[dict[str, float]], colour: str) -> dict[str, object]:
    return {
        "type": "data",
        "array": [interval["high"] - interval["mean"] for interval in intervals],
        "arrayminus": [interval["mean"] - interval["low"] for interval in intervals],
        "color": colour,
        "thickness": 1.5,
    }


def bar_chart(
    title: str, x: list[object] | NDArray[np.generic], y: NDArray[np.generic], x_title: str, y_title: str
) -> go.Figure:
    """Counts as bars in the first colour."""
    figure = go.Figure(go.Bar(x=x, y=y, marker={"color": "#0072B2"}, hovertemplate="%{y:,}<extra>%{x}</extra>"))
    quiet(figure, title, x_title)
    figure.update_yaxes(title=y_title)
    return figure


def histogram(title: str, values: NDArray[np.int64], x_title: str, y_title: str) -> go.Figure:
    """How often values fall into 40 bins of equal width."""
    counts, edges = np.histogram(values, bins=40)
    centres = (edges[:-1] + edges[1:]) / 2
    return bar_chart(title, centres, counts, x_title, y_title)


def popularity_chart(title: str, counts: NDArray[np.int64]) -> go.Figure:
    """Interactions of each movie, most popular first, on logarithmic axes: the long tail. `counts` is sorted."""
    kept = np.unique(np.geomspace(1, max(len(counts), 1), 400).astype(np.int64)) - 1
    figure = go.Figure(
        go.Scatter(
            x=kept + 1,
            y=counts[kept],
            mode="lines",
            line={"color": "#0072B2", "width": 2},
            hovertemplate="%{y:,} ratings<extra>movie %{x}</extra>",
        )
    )
    quiet(figure, title, "movies, most popular first")
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log", title="ratings")
    return figure
