"""Charts as pure functions of arrays: no Streamlit, no files. Scatter, never ScatterGL (docs/decisions/charts.md)."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from recformer.ui.shared.palette import Style
from recformer.ui.shared.words import as_text

Chart = go.Figure | dict[str, Any]
"""What the app draws: a figure, or its `data` and `layout` as they are. A figure checks all its parts, which takes ten
times as long as anything else on the way to the browser."""
Interval = dict[str, Any]
"""A result's "mean", "low" and "high"; no ends where there is no interval."""
HEIGHT = 280


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
    models: list[tuple[str, Style, list[Interval]]],
    primary: int | None = None,
) -> Chart:
    """A metric at each k with its interval. `models`: (label, how it is drawn, one interval a cutoff).

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
            "marker": style.marker(9),
            "error_y": error_bars(intervals, style.colour),
            "hovertemplate": "%{y:.4f}",
        }
        for shift, (label, style, intervals) in zip(spread, models, strict=True)
    ]
    layout = quiet_layout(title, "", legend=len(models) > 1)
    ticks = [f"k = {k} (primary)" if k == primary else f"k = {k}" for k in cutoffs]
    layout["xaxis"] |= {"tickvals": list(range(len(cutoffs))), "ticktext": ticks}
    return {"data": traces, "layout": layout}


def error_bars(intervals: list[Interval], colour: str) -> dict[str, object]:
    """From the low to the high end of each interval; none where there is no interval."""
    return {
        "type": "data",
        "array": [None if (high := each["high"]) is None else high - each["mean"] for each in intervals],
        "arrayminus": [None if (low := each["low"]) is None else each["mean"] - low for each in intervals],
        "color": colour,
        "thickness": 1.5,
    }
