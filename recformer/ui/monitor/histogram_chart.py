"""Histograms over the steps of a run as a heatmap: a pure function of what the log holds."""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from recformer.logs.details import Histogram
from recformer.ui.shared.charts import quiet

BINS = 40


def histogram_chart(histogram: Histogram, colour: str) -> go.Figure:
    """Step to the right, value upwards; the stronger the colour, the more of the step's values. `colour`: #RRGGBB."""
    edges, shares = rebinned(histogram)
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    figure = go.Figure(
        go.Heatmap(
            x=histogram.step,
            y=(edges[:-1] + edges[1:]) / 2,
            z=shares.T,
            zmin=0,
            # Where nothing is, the page's own ground shows, light or dark. The square root lets thin tails be seen.
            colorscale=[[(depth / 4) ** 2, f"rgba({red},{green},{blue},{depth / 4:g})"] for depth in range(5)],
            showscale=False,
            hovertemplate="step %{x}, around %{y:.3g}<br>%{z:.1%} of the values<extra></extra>",
        )
    )
    quiet(figure, histogram.tag.replace("<", "&lt;"), "step")
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(showgrid=False)
    if len(histogram.step) <= 10:
        figure.update_xaxes(type="category")  # no step 1.5
    return figure


def rebinned(histogram: Histogram, bins: int = BINS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Common edges (bins + 1,), and for each step the share of its values between them (n, bins).

    The values of a bucket are taken to lie evenly in it: 4 between 0 and 2 are 2 between 0 and 1. A step without
    values is zero throughout.
    """
    filled = [
        edges[[np.flatnonzero(counts)[0], np.flatnonzero(counts)[-1] + 1]]
        for edges, counts in zip(histogram.edges, histogram.counts, strict=True)
        if counts.any()
    ]
    low, high = (min(ends[0] for ends in filled), max(ends[1] for ends in filled)) if filled else (0.0, 1.0)
    if low == high:  # every value is the same
        low, high = low - max(abs(low), 1.0) / 2, high + max(abs(high), 1.0) / 2
    common = np.linspace(low, high, bins + 1)
    rows = [_shares(*one, common) for one in zip(histogram.edges, histogram.counts, strict=True)]
    return common, np.array(rows).reshape(len(rows), bins)


def _shares(
    edges: NDArray[np.float64], counts: NDArray[np.float64], common: NDArray[np.float64]
) -> NDArray[np.float64]:
    total = counts.sum()
    if total <= 0:
        return np.zeros(len(common) - 1)
    below = np.concatenate([[0.0], np.cumsum(counts)]) / total
    wide = np.append(np.diff(edges) > 0, True)
    # A bucket without width is taken together with the one before it.
    shares = np.diff(np.interp(common, edges[wide], below[wide], left=0.0, right=1.0))
    first = int(np.clip(np.searchsorted(common, edges[0], side="right") - 1, 0, len(shares) - 1))
    shares[first] += 1.0 - shares.sum()  # what lies on the very first edge
    return np.clip(shares, 0.0, 1.0)
