"""The Compare page's parts: what is compared, its evaluation with progress, tables, charts, and the protocol."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from recformer.data.dataset import Dataset
from recformer.evaluation.ranks import Masking
from recformer.evaluation.summary import summarise
from recformer.jobs.overview import RunSummary
from recformer.registry import SPLITS
from recformer.ui import readers
from recformer.ui.charts import curve_chart, interval_chart
from recformer.ui.palette import run_colours
from recformer.ui.run_views import checkpoint_in_link, checkpoint_label, checkpoint_names, label_of, suggestion
from recformer.ui.selection import pick_many, pick_masking, pick_one
from recformer.ui.tables import config_differences, metric_table
from recformer.ui.words import explain, plain

CUTOFFS = [3, 5, 10]
RANKING = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "hr": "HR"}
MOST = 8


@dataclass(frozen=True)
class Choice:
    """What is compared with what, and how."""

    names: list[str]
    """RUN/best or RUN/last, the reference among them."""
    reference: int
    """Position of the reference."""
    masking: Masking
    split: str
    data: Dataset
    runs: list[RunSummary]

    @property
    def labels(self) -> list[str]:
        return [checkpoint_label(self.runs, name) for name in self.names]

    @property
    def colours(self) -> list[str]:
        colours = run_colours(self.runs)
        return [colours[name.split("/")[0]] for name in self.names]


def choose(runs: list[RunSummary]) -> Choice | None:
    """Models, reference, masking and split, all kept in the URL. None where there is nothing to compare yet."""
    names = checkpoint_names(runs)
    if not names:
        st.info("There is no checkpoint to compare yet.", icon=":material/info:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
        return None

    def label(name: str) -> str:
        return checkpoint_label(runs, name)

    chosen = pick_many(
        "Models",
        names,
        "runs",
        key="compare.runs",
        suggested=suggestion(runs),
        show=label,
        read=checkpoint_in_link,
        max_selections=MOST,
        help="Checkpoints of your runs: the best by validation, or the last.",
    )
    if not chosen:
        st.info("Pick one or more models above.", icon=":material/arrow_upward:")
        return None
    left, middle, right = st.columns(3)
    reference = pick_one(
        left, "Reference", chosen, "baseline", key="compare.baseline", show=label, help=explain("difference")
    )
    masking = pick_masking(middle)
    splits = SPLITS.names()
    split = right.selectbox(
        "Split", splits, index=splits.index("leave_last_out"), key="split", bind="query-params", help=explain("split")
    )
    return Choice(
        list(chosen),
        chosen.index(reference),
        masking,
        split,
        readers.dataset_of_models(chosen),
        runs,
    )


def evaluate(choice: Choice) -> dict[str, Any]:
    """The summary of all models under one protocol; what is not in the rank store is computed with progress."""
    place = st.empty()

    def showing(name: str) -> Any:
        def show(done: int, total: int) -> None:
            place.progress(
                done / total, text=f"Evaluating {checkpoint_label(choice.runs, name)}: {done:,} of {total:,} cases"
            )

        return show

    with st.spinner("Evaluating …"):
        evaluations = [readers.evaluation(name, choice.data, choice.split, showing(name)) for name in choice.names]
    place.empty()
    return summarise(evaluations, CUTOFFS, choice.reference)


def show_verdict(choice: Choice, summary: dict[str, Any]) -> None:
    """The answer in one line: which is best at NDCG@10, and whether the data can tell it from the reference."""
    results = _under(summary, choice.masking)
    best = max(range(len(results)), key=lambda position: results[position]["metrics"]["ndcg@10"]["mean"])
    figure = results[best]["metrics"]["ndcg@10"]
    words = f"**{plain(choice.labels[best])}** has the highest NDCG@10, {figure['mean']:.4f}"
    difference = figure.get("difference")
    if difference is None:
        others = [
            result["metrics"]["ndcg@10"]["difference"] for n, result in enumerate(results) if n != choice.reference
        ]
        clear = bool(others) and all(other["high"] < 0 for other in others)
        words += (
            "." if not others else ", clearly above all others." if clear else ", but not clearly above all others."
        )
    elif difference["low"] > 0:
        bounds = f"95% {difference['low']:+.4f} to {difference['high']:+.4f}"
        words += f", clearly above the reference ({difference['mean']:+.4f}, {bounds})."
    else:
        words += f"; the difference to the reference ({difference['mean']:+.4f}) is within what chance gives."
    st.markdown(words, help=explain("ndcg"))
    leaks = [
        _leak(label, result) for label, result in zip(choice.labels, results, strict=True) if result["trained_on"] != 0
    ]
    if leaks:
        words = f"Trained on what it is evaluated on: {'; '.join(leaks)}. Such figures flatter the model."
        st.warning(words, icon=":material/warning:")


def _leak(label: str, result: dict[str, Any]) -> str:
    count = result["trained_on"]
    known = (
        "unknown, it was imported and probably leaks" if count is None else f"{count:,} of {result['cases']:,} cases"
    )
    return f"{plain(label)}: {known}"


def show_ranking(choice: Choice, summary: dict[str, Any]) -> None:
    """A table for each ranking metric, and NDCG by k."""
    results = _under(summary, choice.masking)
    for left, right in (("ndcg", "mrr"), ("hr", "map")):
        for column, metric in zip(st.columns(2), (left, right), strict=True):
            with column:
                st.markdown(f"**{RANKING[metric]}**", help=explain(metric))
                st.markdown(metric_table(results, choice.labels, metric, CUTOFFS, choice.reference))
    st.caption(
        "value ± half of its 95% interval (difference to the reference). With one held-out movie a user, MAP equals "
        "MRR and recall equals HR; what the article calls MAP is HR.",
        help=explain("interval"),
    )
    st.plotly_chart(
        interval_chart("NDCG@k with 95% intervals", CUTOFFS, _models(choice, results, "ndcg")), key="compare.ndcg"
    )


def show_duplication(choice: Choice, summary: dict[str, Any]) -> None:
    """How much of the raw top k the user has just seen, or ever."""
    results = _under(summary, "none")
    for column, (of, words) in zip(
        st.columns(2), (("window", "In the input window"), ("history", "In the whole history")), strict=True
    ):
        with column:
            st.markdown(f"**{words}**", help=explain("duplication"))
            st.markdown(metric_table(results, choice.labels, f"duplication/{of}", CUTOFFS, choice.reference))
    st.caption(
        "Share of the raw top k, nothing masked; less is better. Masking the history makes both zero by definition."
    )
    st.plotly_chart(
        interval_chart("Duplication@k in the window, raw", CUTOFFS, _models(choice, results, "duplication/window")),
        key="compare.duplication",
    )


def show_curves(choice: Choice) -> None:
    """Training and validation loss of all runs, and their validation NDCG."""
    run_ids = list(dict.fromkeys(name.split("/")[0] for name in choice.names))
    colours = run_colours(choice.runs)
    curves = {run_id: readers.curves(run_id) for run_id in run_ids}
    panels = [
        ("Validation loss", "loss/validation"),
        ("Training loss", "loss/train"),
        ("Validation NDCG@10", "metric/ndcg@10"),
    ]
    shown = 0
    for title, tag in panels:
        lines = [
            (label_of(choice.runs, run_id), colours[run_id], "solid", curves[run_id][tag])
            for run_id in run_ids
            if tag in curves[run_id]
        ]
        if lines:
            st.plotly_chart(curve_chart(title, lines), key=f"compare.{tag}")
            shown += 1
    if not shown:
        st.caption("None of these runs has a log.")


def show_configs(choice: Choice) -> None:
    """What differs between the runs' configurations."""
    everything = st.toggle("Show all settings", key="all_settings", bind="query-params")
    configs = {
        label_of(choice.runs, run.run_id): run.config
        for run in choice.runs
        if run.run_id in {name.split("/")[0] for name in choice.names}
    }
    rows = config_differences(configs, everything)
    if rows:
        st.dataframe(rows, hide_index=True, key="compare.configs")
    else:
        st.caption("Nothing differs between these configurations.")


def show_protocol(choice: Choice, summary: dict[str, Any]) -> None:
    """How these numbers came about."""
    protocol = summary["protocol"]
    skipped = f" · {protocol['skipped_users']} users with too short a history" if protocol["skipped_users"] else ""
    st.caption(
        f"Protocol: {protocol['dataset']} ({protocol['fingerprint']}) · split {protocol['split']['name']}, "
        f"{protocol['part']} part · {protocol['cases']:,} cases{skipped} · ranked among all {protocol['item_set']} · "
        f"masking {choice.masking} (duplication: none) · ties count against the model · "
        f"window of {protocol['window']} · 1,000 bootstrap resamples of users, seed {protocol['bootstrap_seed']}"
    )


def _under(summary: dict[str, Any], masking: str) -> list[dict[str, Any]]:
    return [result for result in summary["results"] if result["masking"] == masking]


def _models(
    choice: Choice, results: list[dict[str, Any]], metric: str
) -> list[tuple[str, str, list[dict[str, float]]]]:
    return [
        (label, colour, [result["metrics"][f"{metric}@{k}"] for k in CUTOFFS])
        for label, colour, result in zip(choice.labels, choice.colours, results, strict=True)
    ]
