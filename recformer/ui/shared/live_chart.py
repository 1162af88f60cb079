"""A Plotly chart that stays on the page while its data change, is saved as PNG or SVG, and leads on from its points.

Streamlit's own chart is another one as soon as its data are: the browser takes it away and builds a new one, without
the zoom. So a component of our own gives new data to the chart that is there (`Plotly.react`). The library is the one
that comes with Plotly for Python, served by Streamlit from where it is installed.
"""

from pathlib import Path
from typing import Any

import plotly
import streamlit as st
from plotly.io import templates
from plotly.io.json import to_json_plotly
from streamlit.components import v2
from streamlit.components.v1 import declare_component
from streamlit.delta_generator import DeltaGenerator

from recformer.ui.shared.charts import Chart

LOOK: dict[str, Any] = {
    "template": templates["none"].to_plotly_json(),
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"size": 12},
    "autosize": True,
    "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#8C8C8C", "activecolor": "#5F6B7A"},
}

HTML = '<div class="live-chart"></div>'

# By rules rather than in the figure: so the colours follow when somebody switches the theme.
CSS = """
.live-chart .gtitle, .live-chart .xtitle, .live-chart .ytitle, .live-chart .legendtext,
.live-chart .hoverlayer text { fill: var(--st-text-color) !important; font-family: var(--st-font) !important; }
.live-chart .xtick text, .live-chart .ytick text { fill: var(--st-gray-text-color, #7a8794) !important;
    font-family: var(--st-font) !important; }
.live-chart .annotation-text { font-family: var(--st-font) !important; }
.live-chart .gtitle-subtitle { fill: var(--st-text-color) !important; font-family: var(--st-font) !important; }
.live-chart .gtitle { font-weight: 600 !important; }
.live-chart .gridlayer path { stroke: var(--st-border-color) !important; opacity: 0.5; }
.live-chart .hoverlayer :is(rect.bg, .hovertext > path) { fill: var(--st-background-color) !important;
    stroke: var(--st-border-color) !important; }
"""

JS = """
// Streamlit does not say how long a file may be kept, and compresses it anew each time it is asked for. So the browser
// is told to take the one of this version that it has: else every page with a chart would wait for 5 MB.
const fetched = async () => {
    const path = "component/recformer.ui.live_chart.plotly/plotly.min.js?version=PLOTLY_VERSION";
    const answer = await fetch(new URL(path, document.baseURI), { cache: "force-cache" });
    if (!answer.ok) throw new Error(answer.statusText);
    const script = document.createElement("script");
    script.textContent = await answer.text();
    document.head.append(script);
    return window.Plotly;
};
const library = (window.recformerPlotly ??= fetched());

// As it is to be printed: dark text on white, with the zoom of the moment.
const save = (format) => (chart) => {
    const white = { paper_bgcolor: "white", plot_bgcolor: "white", font: { ...chart.layout.font, color: "#1F2933" } };
    const name = chart.layout.title.text.replace(/[^A-Za-z0-9@]+/g, "-").replace(/^-|-$/g, "").toLowerCase();
    window.Plotly.downloadImage(
        { data: chart.data, layout: { ...chart.layout, ...white } },
        { format, filename: name || "chart", width: chart.offsetWidth, height: chart.offsetHeight,
          scale: format === "png" ? 3 : 1 },
    );
};

// Made once: a chart whose options are not the very same ones is built anew, and its zoom is gone.
let kept;
const options = (Plotly) => (kept ??= {
    displaylogo: false,
    responsive: true,
    // Plotly would offer to send the chart to its own servers; nothing leaves this machine.
    showSendToCloud: false,
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["toImage", "sendChartToCloud", "select2d", "lasso2d"],
    modeBarButtonsToAdd: [
        { name: "png", title: "Save as PNG", icon: Plotly.Icons.camera, click: save("png") },
        { name: "svg", title: "Save as SVG", icon: Plotly.Icons.disk, click: save("svg") },
    ],
});

const draw = (Plotly, chart, traces, layout) => {
    if (!chart.isConnected) return;
    Plotly.react(chart, traces, layout, options(Plotly));
    chart.link = layout.meta?.link;
    if (chart.link && !chart.isHeard) {
        chart.isHeard = true;
        // The browser goes there itself, so that Back leads to this very view.
        chart.on("plotly_click", ({ points }) => window.location.assign(
            new URL(chart.link + encodeURIComponent(points[0].customdata), document.baseURI)));
    }
};

export default function ({ data, parentElement }) {
    const chart = parentElement.querySelector(".live-chart");
    const { data: traces, layout } = JSON.parse(data);
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", layout.title.text);
    chart.style.height = `${layout.height}px`;
    library.then(
        (Plotly) => draw(Plotly, chart, traces, layout),
        () => { chart.textContent = "This chart could not be drawn: the app does not answer. Reload the page."; },
    );
}
""".replace("PLOTLY_VERSION", plotly.__version__)


def show_live(place: DeltaGenerator, chart: Chart, key: str, link: str = "") -> None:
    """Draw `chart` at `place`, in the chart that was drawn with this key before.

    With `link` a click on a point leads to that address, relative to the page's, with the point's `customdata` added.
    """
    content: dict[str, Any] = chart if isinstance(chart, dict) else chart.to_dict()
    layout = {**content["layout"], **LOOK, **({"meta": {"link": link}} if link else {})}
    data = to_json_plotly({"data": content["data"], "layout": layout})
    with place:
        _component()(key=f"live.{key}", data=data, width="stretch", height="content")


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    # Nothing is ever shown with this one: it only makes Streamlit serve the folder with the library.
    declare_component("plotly", path=Path(plotly.__file__).parent / "package_data")
    return v2.component("live_chart", html=HTML, css=CSS, js=JS, isolate_styles=False)
