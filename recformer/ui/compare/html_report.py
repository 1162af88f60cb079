"""A comparison as one HTML file: tables, charts, protocol, configurations. It opens anywhere, without a network."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from recformer.evaluation.report import corrections
from recformer.evaluation.significance import SIGNIFICANT
from recformer.evaluation.slices import known_dimensions
from recformer.ui.compare.charts import accuracy_chart, groups_chart, loss_charts, metric_chart
from recformer.ui.compare.conclusion_view import answer_of, leaks_of, protocol_rows
from recformer.ui.compare.exports import Section, sections, spread_and_difference
from recformer.ui.compare.tables import config_differences, is_best
from recformer.ui.compare.user_scatter import pair_of, scatter_chart
from recformer.ui.shared import readers
from recformer.ui.shared.charts import GLYPHS, Chart
from recformer.ui.shared.comparison import DUPLICATION, TITLES, ShownComparison

TEMPLATE = "html_report.jinja"


def to_html(comparison: ShownComparison, ranking: list[str], configs: dict[str, dict[str, Any]], address: str) -> str:
    """The page's views of `comparison` with the metrics `ranking`; `configs` by the runs' names.

    `address` is the part of the page's address that shows the same view in the app.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    parts = sections(comparison, ranking)
    return environment.get_template(TEMPLATE).render(
        comparison=comparison,
        models=list(zip(comparison.models, parts[0].results, GLYPHS, strict=False)),
        answer=answer_of(comparison),
        leaks=leaks_of(comparison),
        sections=[(part, _charts(comparison, part)) for part in parts],
        slices=_slices(comparison),
        scatters=_scatters(comparison),
        curves=[as_json(chart) for chart in loss_charts(comparison).values()],
        protocol=protocol_rows(comparison),
        differing=config_differences(configs, everything=False),
        configs=config_differences(configs, everything=True),
        config_names=list(configs),
        titles=TITLES,
        is_best=is_best,
        behind=partial(spread_and_difference, question=comparison.question),
        corrections=partial(corrections, title=comparison.question.title),
        difference_class=_difference_class,
        address=address,
        created=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        library=Markup(get_plotlyjs()),
    )


def _charts(comparison: ShownComparison, section: Section) -> list[Markup]:
    if section.title == "Ranking":
        return [as_json(metric_chart(comparison, section.results, metric)) for metric in section.metrics]
    if section.metrics == DUPLICATION:
        chart = metric_chart(comparison, section.results, DUPLICATION[0])
        return [as_json(chart), as_json(accuracy_chart(comparison))]
    return []


def _slices(comparison: ShownComparison) -> list[Markup]:
    choice, name = comparison.choice, comparison.question.primary
    charts: list[Markup] = []
    for dimension in known_dimensions(choice.data):
        shown, rows = readers.slices(
            comparison.keys, comparison.evaluations, choice.data, dimension, name, choice.masking
        )
        if shown:
            charts.append(as_json(groups_chart(comparison, name, shown, rows)))
    return charts


def _scatters(comparison: ShownComparison) -> list[Markup]:
    """The reference against each other model."""
    reference = comparison.reference_model
    others = [model for place, model in enumerate(comparison.models) if place != comparison.reference]
    return [as_json(scatter_chart(pair_of(comparison, reference, other))) for other in others]


def as_json(chart: Chart) -> Markup:
    """A chart for a script element of the report: dark on white, and nothing in it can end that element."""
    figure = go.Figure(chart)
    figure.update_layout(template="none", paper_bgcolor="white", plot_bgcolor="white", font={"color": "#1F2933"})
    # A script's text ends at the first "</script", whatever the JSON around it; these are the same characters to JSON.
    text = str(figure.to_json()).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(text)


def _difference_class(metric: dict[str, Any], name: str) -> str:
    """better, worse or "": how a difference to the reference is coloured, where it is significant."""
    from recformer.evaluation.table import direction

    difference = metric.get("difference", {})
    if difference.get("p_holm", 1.0) >= SIGNIFICANT or direction(name) == 0:
        return ""
    return "better" if (difference["mean"] > 0) == (direction(name) > 0) else "worse"
