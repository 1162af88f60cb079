"""What a run's log holds besides curves, folded, and read when it is opened: nothing here polls."""

import pandas as pd
import streamlit as st
from PIL.Image import DecompressionBombError

from recformer.logs.details import MOST_CHARACTERS, Histogram, Image, LogDetails, Text
from recformer.ui.monitor.histogram_chart import histogram_chart
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard
from recformer.ui.shared.palette import run_colours
from recformer.ui.shared.words import plain

HIGH = 320
LINES = 14  # that fit in it
EMPTY = "This log has no texts, histograms or hyper-parameters."


@st.fragment
def show_details(run_id: str) -> None:
    """Texts, histograms, images and hyper-parameters of a run, under a heading that opens."""
    with guard():
        folded = st.expander(
            "Texts, histograms, hyper-parameters",
            icon=":material/data_object:",
            key="monitor.details",
            on_change="rerun",
        )
        if folded.open:
            with folded:
                _show(run_id, readers.log_details(run_id))


def _show(run_id: str, details: LogDetails) -> None:
    for gap in details.gaps:
        st.warning(plain(gap), icon=":material/warning:")
    if details.empty:
        st.caption(EMPTY)
    if details.hyperparameters:
        st.markdown("##### Hyper-parameters")
        _hyperparameters(details.hyperparameters)
    if details.texts:
        st.markdown("##### Texts")
        for text in details.texts:
            _text(text)
    if details.histograms:
        st.markdown("##### Histograms", help="The stronger the colour, the more of the step's values lie there.")
        _histograms(run_id, details.histograms)
    if details.images:
        st.markdown("##### Images")
        _images(details.images)


def _hyperparameters(values: dict[str, bool | float | str]) -> None:
    # As text: numbers, words and yes or no share the column. A table of Markdown would take what a log says for markup.
    rows = pd.DataFrame({"name": list(values), "value": [_shown(value) for value in values.values()]})
    st.dataframe(rows, hide_index=True, width=560, height=HIGH if len(rows) > 8 else "content")


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
    for start in range(0, len(histograms), 2):
        for column, histogram in zip(st.columns(2), histograms[start : start + 2], strict=False):
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
