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


def asset(name: str, folder: Path = Path(__file__).parent) -> str:
    """A script or style sheet of ours, which lies beside the module that uses it."""
    return (folder / name).read_text(encoding="utf-8")


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
    library = declare_component("plotly", path=Path(plotly.__file__).parent / "package_data")
    address = f"component/{library.name}/plotly.min.js?version={plotly.__version__}"
    script = asset("live_chart.js").replace("PLOTLY_ADDRESS", address)
    html = '<div class="live-chart"></div>'
    return v2.component("live_chart", html=html, css=asset("live_chart.css"), js=script, isolate_styles=False)
