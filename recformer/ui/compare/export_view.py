"""The button that takes a comparison along; each file is made when it is asked for."""

from functools import partial
from urllib.parse import urlencode

import streamlit as st

from recformer.ui.compare.exports import to_csv, to_latex, to_markdown
from recformer.ui.compare.html_report import to_html
from recformer.ui.compare.page import PARAMETERS
from recformer.ui.compare.views import chosen_metrics, configs_of
from recformer.ui.shared.comparison import ShownComparison

HELP = "The tables of this page with these models, metrics, cutoffs and masking, and the protocol they hold under."


def show_export(comparison: ShownComparison) -> None:
    """Files of what the page shows: a report, and its tables."""
    name, metrics = f"comparison-{comparison.protocol.dataset}", chosen_metrics(comparison)
    with st.popover("Export", icon=":material/download:", help=HELP, key="compare.export"):
        report = partial(to_html, comparison, metrics, configs_of(comparison), _address())
        _button("HTML report", f"{name}.html", "text/html", report)
        st.caption("One file with tables, charts, protocol and settings. It opens without a network.")
        _button("CSV", f"{name}.csv", "text/csv", partial(to_csv, comparison, metrics))
        _button("Markdown", f"{name}.md", "text/markdown", partial(to_markdown, comparison, metrics))
        _button("LaTeX", f"{name}.tex", "application/x-tex", partial(to_latex, comparison, metrics))
        st.caption("Charts: the two buttons above each of them save PNG and SVG.")


def _button(label: str, file: str, mime: str, make: "partial[str]") -> None:
    st.download_button(
        label, make, file_name=file, mime=mime, key=f"export.{label}", on_click="ignore", icon=":material/download:"
    )


def _address() -> str:
    """What follows the app's own address to show this view."""
    known = {name: st.query_params.get_all(name) for name in st.query_params if name in PARAMETERS}
    return "/compare?" + urlencode(known, doseq=True)
