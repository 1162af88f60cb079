"""The views of a comparison: ranking, duplication and its trade-off, the lists, slices, curves, configurations."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from recformer.evaluation.slices import FEW, known_dimensions
from recformer.evaluation.summary import Result
from recformer.evaluation.trade_off import pareto_front
from recformer.logs.series import Curve
from recformer.logs.spread import spread_of
from recformer.ui import readers
from recformer.ui.article_view import show_article
from recformer.ui.charts import interval_chart, slice_chart, trade_off_chart
from recformer.ui.comparing import CUTOFFS, RANKING, Comparison
from recformer.ui.curve_chart import Band, Line, curve_chart
from recformer.ui.loss_view import show_losses
from recformer.ui.run_views import label_of
from recformer.ui.tables import config_differences, difference_rows, metric_table, slice_table
from recformer.ui.words import explain

DIFFERENCE_COLUMNS: dict[str, Any] = {
    "metric": "Metric",
    "model": "Model",
    "difference": st.column_config.NumberColumn("Difference", format="%+.4f"),
    "low": st.column_config.NumberColumn("95% from", format="%+.4f"),
    "high": st.column_config.NumberColumn("to", format="%+.4f"),
    "p": st.column_config.NumberColumn("p", format="%.5f"),
    "p_holm": st.column_config.NumberColumn("p after Holm", format="%.5f"),
    "effect_size": st.column_config.NumberColumn("Effect size", format="%+.3f", help=explain("effect_size")),
}
TITLES = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "hr": "HR"}
BEYOND = {
    "novelty": "Novelty (bits)",
    "popularity": "Average popularity",
    "diversity/genre": "Genre diversity within a list",
    "coverage": "Catalogue coverage",
    "gini": "Gini coefficient",
}


def pick_view() -> str:
    """The view that the URL names. It must be asked for on every run: Streamlit forgets what is not drawn."""
    names = list(VIEWS)
    chosen = st.segmented_control(
        "View", names, default=names[0], required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    return str(chosen)


def _ranking(comparison: Comparison) -> None:
    """A table for each ranking metric, and NDCG by k."""
    results = comparison.shown(RANKING)
    for pair in (RANKING[:2], RANKING[2:]):
        for column, metric in zip(st.columns(2), pair, strict=True):
            with column:
                st.markdown(f"**{TITLES[metric]}**", help=explain(metric))
                st.markdown(metric_table(results, comparison.labels, metric, CUTOFFS, comparison.reference))
    st.caption(
        "value ± half of its 95% interval (difference to the reference, stars after Holm). With one held-out movie a "
        "user, MAP equals MRR and recall equals HR; what the article calls MAP is HR.",
        help=explain("holm"),
    )
    _differences(comparison, results)
    chart = interval_chart("NDCG@k with 95% intervals", CUTOFFS, comparison.models(results, "ndcg"))
    st.plotly_chart(chart, key="compare.ndcg")


def _differences(comparison: Comparison, results: list[Result]) -> None:
    """Every tested difference of a view, for who wants the figures behind the stars."""
    rows = difference_rows(results, comparison.labels)
    if rows:
        with st.expander("All differences: intervals, p-values, effect sizes"):
            st.dataframe(rows, hide_index=True, key="compare.differences", column_config=DIFFERENCE_COLUMNS)


def _duplication(comparison: Comparison) -> None:
    """How much of the raw top k the user has just seen, or ever; and what less of it costs."""
    of_window, of_history = "duplication/window", "duplication/history"
    results = comparison.shown([of_window, of_history])
    words = {of_window: "In the input window", of_history: "In the whole history"}
    for column, metric in zip(st.columns(2), words, strict=True):
        with column:
            st.markdown(f"**{words[metric]}**", help=explain("duplication"))
            st.markdown(metric_table(results, comparison.labels, metric, CUTOFFS, comparison.reference))
    st.caption(
        "Share of the raw top k, nothing masked; less is better. Masking the history makes both zero by definition.",
        help=explain("holm"),
    )
    left, right = st.columns(2)
    chart = interval_chart("Duplication@k in the window, raw", CUTOFFS, comparison.models(results, of_window))
    left.plotly_chart(chart, key="compare.duplication")
    with right:
        _trade_off(comparison)


def _trade_off(comparison: Comparison) -> None:
    accuracy = comparison.shown(["ndcg"])
    duplication = comparison.shown(["duplication/window"])
    points = [
        (one["metrics"]["ndcg@10"], other["metrics"]["duplication/window@10"])
        for one, other in zip(accuracy, duplication, strict=True)
    ]
    front = pareto_front([(one["mean"], other["mean"]) for one, other in points])
    title = f"Accuracy against repeats ({comparison.choice.masking} masked)"
    chart = trade_off_chart(title, comparison.labels, comparison.colours, points, front)
    st.plotly_chart(chart, key="compare.trade_off")
    st.caption("Up and to the left is better. The dotted line joins the Pareto front.", help=explain("trade_off"))


def _beyond(comparison: Comparison) -> None:
    """What the lists are like, apart from whether they hit."""
    results = comparison.shown(list(BEYOND))
    for pair in (["novelty", "popularity"], ["diversity/genre", "coverage"], ["gini"]):
        for column, metric in zip(st.columns(2), pair, strict=False):
            with column:
                st.markdown(f"**{BEYOND[metric]}**", help=explain(metric))
                st.markdown(metric_table(results, comparison.labels, metric, CUTOFFS, comparison.reference))
    st.caption(
        "None of these is better or worse by itself. Coverage and Gini are of all lists together and have no interval; "
        "they depend on how many users are evaluated.",
        help=explain("holm"),
    )


def _slices(comparison: Comparison) -> None:
    """One metric for groups of users and movies."""
    left, right = st.columns(2)
    there = known_dimensions(comparison.choice.data)
    dimension = left.selectbox("Group by", there, key="slice", bind="query-params", help=explain("slices"))
    names = [f"{metric}@{k}" for metric in RANKING[:3] for k in CUTOFFS] + ["duplication/window@10"]
    name = right.selectbox(
        "Metric", names, index=names.index("ndcg@10"), key="slice_metric", bind="query-params", help=explain("ndcg")
    )
    masking = "none" if name.startswith("duplication") else comparison.choice.masking
    shown, rows = readers.slices(
        comparison.keys, comparison.evaluations, comparison.choice.data, dimension, name, masking
    )
    labels = [f"{entry.label} ({entry.cases:,})" for entry in shown]
    few = [entry.cases < FEW for entry in shown]
    st.plotly_chart(
        slice_chart(f"{name} by {dimension}", labels, few, comparison.labels, comparison.colours, rows),
        key="compare.slices",
    )
    st.markdown(slice_table(shown, comparison.labels, rows))
    st.caption(
        f"Mean and 95% interval over the users of each group; cases in brackets. Groups of fewer than {FEW} cases are "
        "grey. A movie has several genres, so groups by genre overlap."
    )


def _curves(comparison: Comparison) -> None:
    """Training and validation loss of all runs, and their validation NDCG; seeds as mean and band."""
    panels = {
        "Validation loss": "loss/validation",
        "Training loss": "loss/train",
        "Validation NDCG@10": "metric/ndcg@10",
    }
    shown = 0
    for title, tag in panels.items():
        lines: list[Line] = []
        bands: list[Band] = []
        for label, colour, members in zip(comparison.labels, comparison.colours, comparison.members, strict=True):
            curves = [curve for name in members if (curve := _curve(comparison, name, tag)) is not None]
            if curves:
                spread = spread_of(curves)
                lines.append(Line(label, colour, spread.mean))
                if len(curves) > 1:
                    bands.append(Band(colour, spread.mean.step, spread.low, spread.high))
        if lines:
            st.plotly_chart(curve_chart(title, lines, bands=bands), key=f"compare.{tag}")
            shown += 1
    st.caption(
        "Losses of runs with different loss functions are different quantities. Bands reach from the lowest to the "
        "highest of several seeds."
        if shown
        else "None of these models has a log."
    )


def _curve(comparison: Comparison, name: str, tag: str) -> Curve | None:
    run_id = name.split("/")[0]
    if run_id not in {run.run_id for run in comparison.choice.runs}:
        return None  # a baseline
    return readers.curves(run_id).get(tag)


def _configs(comparison: Comparison) -> None:
    """What differs between the runs' configurations."""
    everything = st.toggle("Show all settings", key="all_settings", bind="query-params")
    run_ids = {name.split("/")[0] for members in comparison.members for name in members}
    runs = comparison.choice.runs
    configs = {label_of(runs, run.run_id): run.config for run in runs if run.run_id in run_ids}
    rows = config_differences(configs, everything)
    if rows:
        st.dataframe(rows, hide_index=True, key="compare.configs")
    else:
        st.caption("Nothing differs between these configurations.")


def _losses(_: Comparison) -> None:
    """What the losses' gradients do to repeats."""
    show_losses()


def _article(comparison: Comparison) -> None:
    """The article's figures, its files' and honest ones."""
    show_article(comparison.choice.runs)


VIEWS: dict[str, Callable[[Comparison], None]] = {
    "Ranking": _ranking,
    "Duplication": _duplication,
    "Beyond accuracy": _beyond,
    "Slices": _slices,
    "Loss curves": _curves,
    "Penalties": _losses,
    "Configurations": _configs,
    "Article": _article,
}
