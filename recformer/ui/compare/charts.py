"""The charts of a comparison, as the page draws them and its report keeps them."""

import plotly.graph_objects as go

from recformer.evaluation.compare import pareto_front
from recformer.evaluation.slices import FEW, Slice
from recformer.evaluation.table import Result
from recformer.logs.series import Curve
from recformer.logs.spread import spread_of
from recformer.run.model_ref import ModelRef
from recformer.ui.shared import readers
from recformer.ui.shared.charts import Chart, interval_chart, slice_chart, trade_off_chart
from recformer.ui.shared.comparison import TITLES, ShownComparison
from recformer.ui.shared.curve_chart import Band, Line, curve_chart

CURVES = {
    "Validation loss": "loss/validation",
    "Training loss": "loss/train",
    "Validation NDCG@10": "metric/ndcg@10",
}


def metric_chart(comparison: ShownComparison, results: list[Result], metric: str) -> Chart:
    """One metric at each chosen k, with intervals."""
    title = f"{TITLES[metric]} by k" if " " in TITLES[metric] else f"{TITLES[metric]}@k"
    primary = comparison.question.k if metric == comparison.question.metric else None
    return interval_chart(title, comparison.choice.cutoffs, comparison.series(results, metric), primary)


def accuracy_chart(comparison: ShownComparison) -> go.Figure:
    """The primary metric against duplication, with the Pareto front."""
    question = comparison.question
    duplication = f"duplication/window@{question.k}"
    points = [
        (one["metrics"][question.primary], other["metrics"][duplication])
        for one, other in zip(comparison.primary(), comparison.shown(["duplication/window"], [question.k]), strict=True)
    ]
    front = pareto_front([(one["mean"], other["mean"]) for one, other in points])
    title = f"Accuracy against repeats ({comparison.choice.masking} masked)"
    return trade_off_chart(title, question, comparison.labels, comparison.colours, points, front)


def groups_chart(
    comparison: ShownComparison, name: str, slices: list[Slice], rows: list[list[dict[str, float]]]
) -> go.Figure:
    """One metric for each group of one dimension; groups of few cases are pale."""
    labels = [f"{entry.label} ({entry.cases:,})" for entry in slices]
    few = [entry.cases < FEW for entry in slices]
    title = f"{name} by {slices[0].dimension}"
    return slice_chart(title, labels, few, comparison.labels, comparison.colours, rows)


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
    return readers.curves(model.run).get(tag) if known else None  # a baseline has none
