"""What a run's log holds besides curves, folded, and read when it is opened: nothing here polls."""

from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from PIL.Image import DecompressionBombError

from recformer.logs import details
from recformer.logs.details import MOST_CHARACTERS, Histogram, Image, LogDetails, Text
from recformer.ui.shared import readers
from recformer.ui.shared.charts import quiet
from recformer.ui.shared.frame import guard, in_columns
from recformer.ui.shared.palette import run_colours
from recformer.ui.shared.words import plain

HIGH = 320
LINES = 14  # that fit in it
BINS = 40


@st.fragment
def show_details(run_id: str) -> None:
    """Texts, histograms, images and hyper-parameters of a run, under a heading that opens."""
    with guard():
        title = "Texts, histograms, hyper-parameters"
        folded = st.expander(title, icon=":material/data_object:", key="monitor.details", on_change="rerun")
        if folded.open:
            with folded:
                folder = readers.root().run(run_id)
                _show(run_id, _read(folder, details.stamps(folder)))


@st.cache_resource(max_entries=4, show_spinner="Reading the log …")
def _read(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> LogDetails:
    return details.read_whole(folder)


def _show(run_id: str, found: LogDetails) -> None:
    for gap in found.gaps:
        st.warning(plain(gap), icon=":material/warning:")
    if found.empty:
        st.caption("This log has no texts, histograms or hyper-parameters.")
    if found.hyperparameters:
        st.markdown("##### Hyper-parameters")
        # As text: the column holds numbers, words, yes and no. Markdown would take what a log says for markup.
        values = list(map(_shown, found.hyperparameters.values()))
        rows = pd.DataFrame({"name": list(found.hyperparameters), "value": values})
        st.dataframe(rows, hide_index=True, width=560, height=HIGH if len(rows) > 8 else "content")
    if found.texts:
        st.markdown("##### Texts")
        for text in found.texts:
            _text(text)
    if found.histograms:
        st.markdown("##### Histograms", help="The stronger the colour, the more of the step's values lie there.")
        _histograms(run_id, found.histograms)
    if found.images:
        st.markdown("##### Images")
        _images(found.images)


def _shown(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _text(text: Text) -> None:
    last = f", the last of {text.logged:,}" if text.logged > 1 else ""
    cut = f"; its first {MOST_CHARACTERS:,} characters" if text.cut else ""
    st.caption(f"{plain(text.tag)} · step {text.step:,}{last}{cut}")
    words = text.text.strip("\n")
    if words.startswith("```") and words.endswith("```"):  # as the trainer fences them for TensorBoard
        words = words.strip("`").strip("\n")
    st.code(words, language=None, wrap_lines=True, height=HIGH if words.count("\n") >= LINES else "content")


def _histograms(run_id: str, histograms: list[Histogram]) -> None:
    colour = run_colours(readers.runs()[0])[run_id]
    for column, histogram in in_columns(histograms):
        column.plotly_chart(histogram_chart(histogram, colour), key=f"histogram.{run_id}.{histogram.tag}")
        if len(histogram.step) < histogram.logged:
            column.caption(f"{len(histogram.step)} of {histogram.logged:,} steps.")


def _images(images: list[Image]) -> None:
    with st.container(horizontal=True):
        for image in images:
            caption = f"{plain(image.tag)} · step {image.step:,}"
            try:
                st.image(image.content, caption=caption, width=240)
            except (OSError, SyntaxError, ValueError, DecompressionBombError):
                st.caption(f"{caption} cannot be shown: the image is damaged or too large.")


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
