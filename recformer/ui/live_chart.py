"""A Plotly chart that stays on the page while its data change: its zoom survives, and nothing flickers.

Streamlit's own chart is another one as soon as its data are: the browser takes it away and builds a new one, without
the zoom. So a component of our own gives new data to the chart that is there (`Plotly.react`). The library is the one
that comes with Plotly for Python, served by Streamlit from where it is installed.
"""

from pathlib import Path
from typing import Any

import plotly
import plotly.graph_objects as go
import streamlit as st
from streamlit.components import v2
from streamlit.components.v1 import declare_component
from streamlit.delta_generator import DeltaGenerator

HTML = '<div class="live-chart"></div>'

# By rules rather than in the figure: so the colours follow when somebody switches the theme.
CSS = """
.live-chart .gtitle, .live-chart .xtitle, .live-chart .ytitle, .live-chart .legendtext,
.live-chart .hoverlayer text { fill: var(--st-text-color) !important; font-family: var(--st-font) !important; }
.live-chart .xtick text, .live-chart .ytick text { fill: var(--st-gray-text-color, #7a8794) !important;
    font-family: var(--st-font) !important; }
.live-chart .annotation-text { font-family: var(--st-font) !important; }
.live-chart .gtitle { font-weight: 600 !important; }
.live-chart .gridlayer path { stroke: var(--st-border-color) !important; opacity: 0.5; }
.live-chart .hoverlayer rect.bg { fill: var(--st-background-color) !important;
    stroke: var(--st-border-color) !important; }
"""

JS = """
const library = (window.recformerPlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("component/recformer.ui.live_chart.plotly/plotly.min.js", document.baseURI);
    script.onload = () => resolve(window.Plotly);
    script.onerror = reject;
    document.head.append(script);
}));

export default function ({ data, parentElement }) {
    const chart = parentElement.querySelector(".live-chart");
    const { data: traces, layout } = JSON.parse(data);
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", layout.title.text);
    chart.style.height = `${layout.height}px`;
    library.then(
        (Plotly) => chart.isConnected && Plotly.react(chart, traces, layout, { displaylogo: false, responsive: true }),
        () => { chart.textContent = "This chart could not be drawn: the app does not answer. Reload the page."; },
    );
}
"""


def show_live(place: DeltaGenerator, figure: go.Figure, key: str) -> None:
    """Draw `figure` at `place`, in the chart that was drawn with this key before."""
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 12},
        autosize=True,
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#8C8C8C", "activecolor": "#5F6B7A"},
    )
    with place:
        _component()(key=f"live.{key}", data=figure.to_json(), width="stretch", height="content")


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    # Nothing is ever shown with this one: it only makes Streamlit serve the folder with the library.
    declare_component("plotly", path=Path(plotly.__file__).parent / "package_data")
    return v2.component("live_chart", html=HTML, css=CSS, js=JS, isolate_styles=False)
