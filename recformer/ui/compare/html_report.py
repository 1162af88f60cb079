"""A comparison as one HTML file: tables, charts, protocol, configurations. It opens anywhere, without a network."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from recformer.evaluation.report import BY_WORD, TO_BEST, corrections, settings_in_words, to_best
from recformer.evaluation.slices import known_dimensions
from recformer.ui.compare.charts import accuracy_chart, groups_chart, loss_charts, metric_chart
from recformer.ui.compare.comparison import DUPLICATION, ShownComparison, title_of
from recformer.ui.compare.tables import (
    Section,
    better_or_worse,
    config_differences,
    is_best,
    sections,
    spread_and_difference,
)
from recformer.ui.compare.user_scatter import pair_of, scatter_chart
from recformer.ui.shared.charts import Chart


def to_html(comparison: ShownComparison, ranking: list[str], configs: dict[str, dict[str, Any]], address: str) -> str:
    """The page's views of `comparison` with the metrics `ranking`; `configs` by the runs' names.

    `address` is the part of the page's address that shows the same view in the app.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    parts, primary = sections(comparison, ranking), comparison.question.primary
    slices = [comparison.slices_by(dimension, primary) for dimension in known_dimensions(comparison.choice.data)]
    others = [model for place, model in enumerate(comparison.models) if place != comparison.reference]
    return environment.get_template("html_report.jinja").render(
        comparison=comparison,
        primary=comparison.primary(),
        to_best=to_best,
        about_best=f"{TO_BEST[0].upper()}{TO_BEST[1:]}.",
        models=list(zip(comparison.models, parts[0].results, strict=True)),
        sections=[(part, list(map(as_json, _charts(comparison, part)))) for part in parts],
        slices=[as_json(groups_chart(comparison, primary, shown)) for shown in slices if shown[0]],
        scatters=[as_json(scatter_chart(pair_of(comparison, comparison.reference_model, other))) for other in others],
        curves=list(map(as_json, loss_charts(comparison).values())),
        differing=config_differences(configs, everything=False),
        configs=config_differences(configs, everything=True),
        config_names=list(configs),
        title_of=title_of,
        by_word=BY_WORD,
        settings_in_words=settings_in_words,
        is_best=is_best,
        behind=partial(spread_and_difference, question=comparison.question),
        corrections=partial(corrections, title=comparison.question.title),
        difference_class=better_or_worse,
        address=address,
        created=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        library=Markup(get_plotlyjs()),
    )


def _charts(comparison: ShownComparison, section: Section) -> list[Chart]:
    if section.title == "Ranking":
        return [metric_chart(comparison, section.results, metric) for metric in section.metrics]
    if section.metrics == DUPLICATION:
        return [metric_chart(comparison, section.results, DUPLICATION[0]), accuracy_chart(comparison)]
    return []


def as_json(chart: Chart) -> Markup:
    """A chart for a script element of the report: dark on white, and nothing in it can end that element."""
    figure = go.Figure(chart)
    figure.update_layout(template="none", paper_bgcolor="white", plot_bgcolor="white", font={"color": "#1F2933"})
    # A script's text ends at the first "</script", whatever the JSON around it; these are the same characters to JSON.
    text = str(figure.to_json()).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(text)
