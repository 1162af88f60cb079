"""The views of a comparison: ranking, duplication, the lists, slices, users, curves, configurations."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from recformer.evaluation.report import TO_BEST, corrections
from recformer.evaluation.slices import FEW, FEW_HITS, MOST_GROUPS, SEEN, known_dimensions
from recformer.evaluation.table import Result
from recformer.ui.compare.article_view import show_article
from recformer.ui.compare.charts import accuracy_chart, groups_chart, loss_charts, metric_chart
from recformer.ui.compare.comparison import ACCURACY, DIVERSITY, DUPLICATION, ShownComparison, title_of
from recformer.ui.compare.loss_view import show_losses
from recformer.ui.compare.tables import (
    config_differences,
    difference_rows,
    metric_table,
    row_heads,
    slice_table,
    to_best_rows,
)
from recformer.ui.compare.user_scatter import show_users
from recformer.ui.shared.frame import in_columns
from recformer.ui.shared.live_chart import show_live
from recformer.ui.shared.selection import name_values_not_here, pick_many, pick_one
from recformer.ui.shared.words import explain, plain

DIFFERENCE_COLUMNS: dict[str, Any] = {
    "metric": "Metric",
    "model": "Model",
    "difference": st.column_config.NumberColumn("Difference", format="%+.4f"),
    "low": st.column_config.NumberColumn("95% from", format="%+.4f"),
    "high": st.column_config.NumberColumn("to", format="%+.4f"),
    "p": st.column_config.NumberColumn("p", format="%.5f"),
    "p_adjusted": st.column_config.NumberColumn("p, corrected", format="%.5f", help=explain("corrected")),
    "about": st.column_config.TextColumn("About", help=explain("about")),
    "family": st.column_config.TextColumn("Family", help=explain("primary")),
    "detectable": st.column_config.NumberColumn("Detectable", format="%.4f", help=explain("detectable")),
    "effect_size": st.column_config.NumberColumn("Effect size", format="%+.3f", help=explain("effect_size")),
    "lowest": st.column_config.TextColumn("At the lowest", help="Where no p-value could be lower with these users."),
}


def pick_view() -> str:
    """The view that the URL names. It must be asked for on every run: Streamlit forgets what is not drawn."""
    names = list(VIEWS)
    name_values_not_here("view", names.__contains__)
    chosen = st.segmented_control(
        "View", names, default=names[0], required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    return str(chosen or names[0])


def chosen_metrics(comparison: ShownComparison) -> list[str]:
    """The metrics of the ranking that the address names, wherever the page is; all where it names none."""
    return _with_primary(st.query_params.get_all("metrics"), comparison)


def _with_primary(chosen: list[str], comparison: ShownComparison) -> list[str]:
    there = _accuracy(comparison)
    kept = [metric for metric in there if metric in chosen] or there
    return [metric for metric in there if metric in kept or metric == comparison.question.metric]


def _accuracy(comparison: ShownComparison) -> list[str]:
    """The metrics of the ranking there are; with several targets a case, recall is one of its own."""
    return [*ACCURACY, "recall"] if comparison.protocol.time_ties == "as_set" else ACCURACY


def _ranking(comparison: ShownComparison) -> None:
    """A table and a chart for each ranking metric; the primary one is always shown."""
    there = _accuracy(comparison)
    item, items = comparison.choice.data.nouns.item, comparison.choice.data.nouns.items
    chosen = pick_many(
        "Metrics",
        there,
        "metrics",
        key="compare.metrics" if there == ACCURACY else "compare.metrics.sets",  # one more is shown at once
        suggested=there,
        show=title_of,
        short=True,
        label_visibility="collapsed",
        placeholder="All metrics",
    )
    metrics = _with_primary(chosen, comparison)
    results = comparison.shown(metrics)
    _tables(comparison, results, metrics)
    st.caption(
        f"value ± half of its 95% interval (difference to the reference). {_corrections(comparison, results)}"
        + (
            f"Users have several held-out {items}: HR asks for any of them, MRR for the first, recall for their share."
            if comparison.protocol.time_ties == "as_set"
            else f"With one held-out {item} a user, MAP is MRR and recall is HR."
        ),
        help=explain("corrected"),
    )
    _show_warm_and_cold(comparison)
    if rows := difference_rows(results, comparison.labels):
        with st.expander("All differences: intervals, p-values, effect sizes"):
            st.dataframe(rows, hide_index=True, key="compare.differences", column_config=DIFFERENCE_COLUMNS)
            if to_best := to_best_rows(results, comparison.labels, comparison.question):
                st.caption(f"{comparison.question.title} to the best: {plain(comparison.conclusion.model)}; {TO_BEST}.")
                st.dataframe(to_best, hide_index=True, key="compare.to_best", column_config=DIFFERENCE_COLUMNS)
    for column, metric in in_columns(metrics):
        show_live(column, metric_chart(comparison, results, metric), f"compare.{metric}")


def _show_warm_and_cold(comparison: ShownComparison) -> None:
    """What is new in the part that is evaluated apart from what was in training, where much of it is new."""
    facts = comparison.evaluations[0].split_facts
    if facts is not None and facts.is_cold:
        st.markdown(f"**{comparison.question.title}**, warm and cold cases apart", help=explain("split_facts"))
        st.markdown(slice_table(comparison.slices_by(SEEN, comparison.question.primary), comparison.labels))


def _tables(comparison: ShownComparison, results: list[Result], metrics: list[str]) -> None:
    """One table a metric, as many beside one another as fit."""
    heads = row_heads(comparison)
    with st.container(horizontal=True, gap="medium"):
        for metric in metrics:
            with st.container(width="content"):
                term = metric.split("/")[0] if metric in DUPLICATION or metric.startswith(DIVERSITY) else metric
                st.markdown(f"**{plain(title_of(metric))}**", help=explain(term, comparison.choice.data.nouns))
                table = metric_table(results, heads, metric, comparison.choice.cutoffs, comparison.question)
                st.markdown(table, unsafe_allow_html=True)  # for the colours of the marks; names are escaped


def _corrections(comparison: ShownComparison, results: list[Result]) -> str:
    """How the stars of a view are corrected, as a sentence of a caption."""
    corrected = corrections(results, comparison.question.title)
    return f"{plain(corrected)}. " if corrected else ""


def _duplication(comparison: ShownComparison) -> None:
    """How much of the raw top k the user has just seen, or ever; and what less of it costs."""
    results = comparison.shown(DUPLICATION)
    _tables(comparison, results, DUPLICATION)
    st.caption(
        "Share of the raw top k, nothing masked; less is better. Masking the history makes both zero by definition. "
        + _corrections(comparison, results),
        help=explain("corrected"),
    )
    left, right = st.columns(2)
    show_live(left, metric_chart(comparison, results, DUPLICATION[0]), "compare.duplication")
    show_live(right, accuracy_chart(comparison), "compare.trade_off")
    right.caption("Up and to the left is better. The dotted line joins the Pareto front.", help=explain("trade_off"))


def _beyond(comparison: ShownComparison) -> None:
    """What the lists are like, apart from whether they hit."""
    results = comparison.shown(comparison.beyond)
    _tables(comparison, results, comparison.beyond)
    st.caption(
        f"{_corrections(comparison, results)}None of these is better or worse by itself. Coverage and Gini are of all "
        "lists together and have no interval; "
        "they depend on how many users are evaluated.",
        help=explain("corrected"),
    )


def _slices(comparison: ShownComparison) -> None:
    """One metric for groups of users and items."""
    left, right = st.columns(2)
    nouns = comparison.choice.data.nouns
    there = known_dimensions(comparison.choice.data)
    name_values_not_here("slice", there.__contains__)
    dimension = left.selectbox("Group by", there, key="slice", bind="query-params", help=explain("slices", nouns))
    names = [f"{metric}@{k}" for metric in ACCURACY[:3] for k in comparison.choice.cutoffs]
    names.append(f"duplication/window@{comparison.question.k}")
    names = list(dict.fromkeys([comparison.question.primary, *names]))
    name = pick_one(right, "Metric", names, "slice_metric", key="compare.slice_metric", help=explain("ndcg", nouns))
    shown = comparison.slices_by(dimension, name)
    if not shown[0]:
        st.info(f"By {dimension} there are no groups here: all cases are alike in it.")
        return
    show_live(st.container(), groups_chart(comparison, name, shown), "compare.slices")
    st.markdown(slice_table(shown, comparison.labels))
    st.caption(
        f"Mean and 95% interval over the users of each group; cases in brackets. Groups of fewer than {FEW} cases or "
        f"{FEW_HITS} hits are grey. Where {nouns.an_item} is in several groups, such as genres, these overlap; of more "
        f"than {MOST_GROUPS} the largest are shown."
    )


def _curves(comparison: ShownComparison) -> None:
    """Training and validation loss of all runs, and their validation NDCG; seeds as mean and band."""
    charts = loss_charts(comparison)
    for tag, chart in charts.items():
        show_live(st.container(), chart, f"compare.{tag}")
    st.caption(
        "Losses of runs with different loss functions are different quantities. Bands reach from the lowest to the "
        "highest of several seeds."
        if charts
        else "None of these models has a log."
    )


def _configs(comparison: ShownComparison) -> None:
    """What differs between the runs' configurations."""
    everything = st.toggle("Show all settings", key="all_settings", bind="query-params")
    rows = config_differences(comparison.configs, everything)
    if rows:
        st.dataframe(rows, hide_index=True, key="compare.configs")
    else:
        st.caption("Nothing differs between these configurations.")


VIEWS: dict[str, Callable[[ShownComparison], None]] = {
    "Ranking": _ranking,
    "Duplication": _duplication,
    "Beyond accuracy": _beyond,
    "Slices": _slices,
    "Users": show_users,
    "Loss curves": _curves,
    "Penalties": lambda _: show_losses(),
    "Configurations": _configs,
    "Article": lambda comparison: show_article(comparison.choice.runs),
}
