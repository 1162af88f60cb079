"""Home's answer to "what is better than what": test results that are on disk already, without loading a model."""

from collections import Counter

import streamlit as st

from recformer.jobs.overview import RunSummary
from recformer.ui.charts import interval_chart
from recformer.ui.palette import run_colours, styles_together
from recformer.ui.run_views import labels_of, recorded_dataset, validated
from recformer.ui.test_results import TestResult, summary_of, test_results
from recformer.ui.words import explain, plain

CUTOFFS = [3, 5, 10]
MOST = 6  # a headline, not a table of everything


def show(runs: list[RunSummary]) -> None:
    """NDCG of the best evaluated runs that share a protocol, with intervals; imported ones are left out."""
    shown = _largest_group(runs)
    if not shown:
        return
    summary = summary_of(shown, CUTOFFS)
    if not summary:  # all deleted meanwhile
        return
    own, labels = run_colours(runs), labels_of(runs)
    styles = styles_together([own[result["run"]] for result in summary["results"]])
    models = [
        (labels[result["run"]], style.colour, [result["metrics"][f"ndcg@{k}"] for k in CUTOFFS])
        for result, style in zip(summary["results"], styles, strict=True)
    ]
    protocol = summary["protocol"]
    best = max(summary["results"], key=lambda result: result["metrics"]["ndcg@10"]["mean"])
    figure = best["metrics"]["ndcg@10"]
    with st.container(border=True):
        title = plain(f"Best on {protocol['dataset']}: {labels[best['run']]}")
        st.markdown(
            f"**{title}**, NDCG@10 {figure['mean']:.4f} :gray[:small[{figure['low']:.4f} to {figure['high']:.4f}]]",
            help=explain("ndcg"),
        )
        st.plotly_chart(interval_chart("NDCG@k", CUTOFFS, models), key="home.headline")
        st.caption(
            f"{protocol['split']['name']} · {protocol['part']} · {protocol['cases']:,} cases · history masked · "
            "bars are 95% bootstrap intervals over users; where they overlap, Compare looks at the paired difference",
            help=explain("interval"),
        )
        chosen = [f"{result.run_id}/best" for result in shown]
        st.page_link(
            "pages/compare.py", label="Compare them", icon=":material/bar_chart:", query_params={"runs": chosen}
        )


def _largest_group(runs: list[RunSummary]) -> list[TestResult]:
    """Results of the runs that are best by validation, under the protocol that most of them share, the oldest first.

    They are of the dataset that most runs were trained on. Only as many runs are looked into as are shown.
    """
    created = {run.run_id: run.created for run in runs}
    # Nobody knows what an imported model was trained on: it may not be called the best.
    own = [run for run in runs if "best" in run.checkpoints and not run.imported]
    dataset = max(Counter(map(recorded_dataset, own)).items(), key=lambda entry: entry[1], default=(None, 0))[0]
    alike = [run for run in own if recorded_dataset(run) == dataset]
    groups: dict[str, list[TestResult]] = {}
    for run in sorted(alike, key=validated, reverse=True):
        for result in test_results(run.run_id):
            groups.setdefault(result.protocol.key, []).append(result)
        if any(len(group) == MOST for group in groups.values()):
            break
    return sorted(max(groups.values(), key=len, default=[]), key=lambda result: created[result.run_id])


def first_steps(runs: list[RunSummary]) -> None:
    """What to do next, as long as there are few runs of one's own."""
    if len(runs) > 5:
        return
    st.markdown("#### First steps")
    with st.container(horizontal=True):
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
        st.page_link("pages/compare.py", label="Compare the demo runs", icon=":material/bar_chart:")
        st.page_link("pages/recommend.py", label="See a user's movies", icon=":material/movie:")
        st.page_link("pages/data.py", label="Look at the data", icon=":material/database:")
