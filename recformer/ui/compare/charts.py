"""The charts of a comparison, as the page draws them and its report keeps them."""

import numpy as np
import plotly.graph_objects as go

from recformer.evaluation.compare import pareto_front
from recformer.evaluation.slices import is_few
from recformer.evaluation.table import Result
from recformer.logs.curves import spread_of
from recformer.logs.series import Curve
from recformer.run.model_ref import ModelRef
from recformer.ui.compare.comparison import TITLES, ShownComparison, SliceRows
from recformer.ui.shared import readers
from recformer.ui.shared.charts import HEIGHT, Chart, error_bars, interval_chart, quiet
from recformer.ui.shared.curve_chart import Band, Line, curve_chart
from recformer.ui.shared.palette import REFERENCE
from recformer.ui.shared.words import as_text

CURVES = {
    "Validation loss": "loss/validation",
    "Training loss": "loss/train",
    "Validation NDCG@10": "metric/ndcg@10",
}


def metric_chart(comparison: ShownComparison, results: list[Result], metric: str) -> Chart:
    """One metric at each chosen k, with intervals."""
    title = f"{TITLES[metric]} by k" if " " in TITLES[metric] else f"{TITLES[metric]}@k"
    cutoffs = comparison.choice.cutoffs
    models = [
        (label, style, [result["metrics"][f"{metric}@{k}"] for k in cutoffs])
        for label, style, result in zip(comparison.labels, comparison.styles, results, strict=True)
    ]
    primary = comparison.question.k if metric == comparison.question.metric else None
    return interval_chart(title, cutoffs, models, primary)


def accuracy_chart(comparison: ShownComparison) -> go.Figure:
    """The primary metric (upwards) against duplication (to the right), both with intervals, and the Pareto front."""
    question = comparison.question
    accuracy = [result["metrics"][question.primary] for result in comparison.primary()]
    repeated = comparison.shown(["duplication/window"], [question.k])
    duplication = [result["metrics"][f"duplication/window@{question.k}"] for result in repeated]
    means = [(one["mean"], other["mean"]) for one, other in zip(accuracy, duplication, strict=True)]
    ends = sorted((x, y) for (y, x), best in zip(means, pareto_front(means), strict=True) if best)
    figure = go.Figure(
        go.Scatter(
            x=[x for x, _ in ends],
            y=[y for _, y in ends],
            mode="lines",
            line={"color": REFERENCE, "dash": "dot", "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    for model, one, other in zip(comparison.models, accuracy, duplication, strict=True):
        colour = model.style.colour
        figure.add_scatter(
            x=[other["mean"]],
            y=[one["mean"]],
            name=as_text(model.label),
            mode="markers",
            marker=model.style.marker(11),
            error_x=error_bars([other], colour),
            error_y=error_bars([one], colour),
            hovertemplate=f"{question.title} %{{y:.4f}}, duplication@{question.k} %{{x:.4f}}",
        )
    title = f"Accuracy against repeats ({comparison.choice.masking} masked)"
    quiet(figure, title, f"duplication in the window @{question.k}, raw", legend=True)
    figure.update_yaxes(title=question.title)
    return figure.update_layout(hovermode="closest")


def groups_chart(comparison: ShownComparison, name: str, shown: SliceRows) -> go.Figure:
    """One metric for each group of one dimension, one line a group, the first on top; pale where it says little."""
    slices, rows = shown
    figure, count = go.Figure(), len(comparison.models)
    lines = np.arange(len(slices))[::-1]
    spread = np.linspace(0.25, -0.25, count) if count > 1 else [0.0]
    opacity = [0.35 if is_few(row, entry.cases) else 1.0 for entry, row in zip(slices, rows, strict=True)]
    for place, (shift, model) in enumerate(zip(spread, comparison.models, strict=True)):
        intervals = [row[place] for row in rows]
        figure.add_scatter(
            x=[interval["mean"] for interval in intervals],
            y=lines + shift,
            name=as_text(model.label),
            mode="markers",
            marker=model.style.marker(8) | {"opacity": opacity},
            error_x=error_bars(intervals, model.style.colour),
            hovertemplate="%{x:.4f}",
        )
    quiet(figure, f"{name} by {slices[0].dimension}", "", legend=count > 1)
    figure.update_layout(height=max(HEIGHT, 110 + len(slices) * max(14 * count, 22)), hovermode="closest")
    labels = [as_text(f"{entry.label} ({entry.cases:,})") for entry in slices]
    figure.update_yaxes(tickvals=lines, ticktext=labels, showgrid=False)
    return figure.update_xaxes(showgrid=True, rangemode="tozero")


def loss_charts(comparison: ShownComparison) -> dict[str, Chart]:
    """Losses and validation NDCG of all models that have a log, tag to chart; seeds as mean and band."""
    charts: dict[str, Chart] = {}
    for title, tag in CURVES.items():
        lines: list[Line] = []
        bands: list[Band] = []
        for model in comparison.models:
            curves = [curve for member in model.members if (curve := _curve(comparison, member, tag)) is not None]
            if curves:
                spread, style = spread_of(curves), model.style
                lines.append(Line(model.label, style.colour, spread.mean, width=style.width))
                if len(curves) > 1:
                    bands.append(Band(style.colour, spread.mean.step, spread.low, spread.high))
        if lines:
            charts[tag] = curve_chart(title, lines, bands=bands)
    return charts


def _curve(comparison: ShownComparison, model: ModelRef, tag: str) -> Curve | None:
    known = model.run in {run.run_id for run in comparison.choice.runs}
    return readers.log(model.run).scalars().get(tag) if known else None  # a baseline has none
