"""Home's answer to "what is better than what": chosen on validation, told on the test, from what is stored already."""

from collections import Counter

import streamlit as st

from recformer.evaluation.baselines import all_baselines, is_baseline
from recformer.evaluation.conclusion import answer, listed
from recformer.evaluation.significance import Question, Result
from recformer.run.overview import RunSummary
from recformer.ui.home.stored_evaluations import TestResult, baseline_results, compared, test_results
from recformer.ui.shared.charts import interval_chart
from recformer.ui.shared.comparison import model_label
from recformer.ui.shared.palette import baseline_colours, run_colours, styles_together
from recformer.ui.shared.run_views import comparable_kind, labels_of, recorded_dataset_name, recorded_split, validated
from recformer.ui.shared.words import explain, plain

CUTOFFS = [3, 5, 10]
MOST = 5  # runs: a headline, not a table of everything
QUESTION = Question()


def show(runs: list[RunSummary]) -> None:
    """The best run by validation of those that can be compared, and what the test can tell from it.

    They are of the dataset, split and window that most runs share; only as many are looked into as are shown. Nobody
    knows what an imported model was trained on: it may not be called the best.
    """
    own = [run for run in runs if "best" in run.checkpoints and not run.imported and validated(run) > 0]
    if not own:
        return
    kind = Counter(map(comparable_kind, own)).most_common(1)[0][0]
    alike = [run for run in own if comparable_kind(run) == kind]
    candidates = sorted(alike, key=lambda run: (-validated(run), run.created))[:MOST]
    labels = labels_of(runs) | {name: model_label({}, name) for name in all_baselines()}
    with st.container(border=True):
        results = _stored(candidates)
        figures = compared(results, [f"ndcg@{k}" for k in CUTOFFS], QUESTION) if results else []
        if figures:
            _show_test(figures, results[0], labels, run_colours(runs) | baseline_colours())
        else:
            title = f"Best on {recorded_dataset_name(candidates[0])} by validation: {labels[candidates[0].run_id]}"
            value = validated(candidates[0])
            st.markdown(f"**{plain(title)}**, validation NDCG@10 {value:.4f}; not evaluated on the test yet")
        missing = [name for name in all_baselines() if name not in {result["run"] for result in figures}]
        if figures and missing:
            st.caption(f"Not evaluated yet, Compare does it: {plain(listed([labels[name] for name in missing]))}.")
        chosen = [*(f"{run.run_id}/best" for run in candidates), *all_baselines()]
        st.page_link(
            "pages/compare.py", label="Compare them", icon=":material/bar_chart:", query_params={"runs": chosen}
        )


def _stored(candidates: list[RunSummary]) -> list[TestResult]:
    """Test results under the split that the candidates were validated on, the best by validation first, then baselines;
    none where that best one has none."""
    split = recorded_split(candidates[0])
    found = {run.run_id: [one for one in test_results(run.run_id) if one.protocol.split == split] for run in candidates}
    best = found[candidates[0].run_id]
    if not best:
        return []
    shared = Counter(one.protocol.key for results in found.values() for one in results)
    protocol = max((one.protocol for one in best), key=lambda protocol: shared[protocol.key])
    runs = [one for results in found.values() for one in results if one.protocol == protocol]
    return [*runs, *baseline_results(protocol)]


def _show_test(figures: list[Result], first: TestResult, labels: dict[str, str], colours: dict[str, str]) -> None:
    protocol, best = first.protocol, figures[0]["metrics"][QUESTION.primary]
    title = plain(f"Best on {protocol.dataset} by validation: {labels[first.run_id]}")
    st.markdown(
        f"**{title}**, test {QUESTION.title} {best['mean']:.4f} :gray[:small[{best['low']:.4f} to {best['high']:.4f}]]",
        help=explain("chosen"),
    )
    names = [labels[result["run"]] for result in figures]
    said = _beside(figures, names)
    if said:
        st.markdown(plain(said), help=explain("detectable"))
    if below := answer(names, figures, QUESTION).below:
        st.markdown(f":orange[:material/trending_down:] {plain(below)}")
    styles = iter(styles_together([colours[result["run"]] for result in figures if not is_baseline(result["run"])]))
    models = [
        (name, colours[run] if is_baseline(run := result["run"]) else next(styles).colour, _intervals(result))
        for name, result in zip(names, figures, strict=True)
    ]
    st.plotly_chart(interval_chart("NDCG@k", CUTOFFS, models, QUESTION.k), key="home.headline")
    corrected = f" · corrected for {len(figures) - 1} comparisons" if len(figures) > 2 else ""
    st.caption(
        f"{protocol.split['name']} · {protocol.part} · {protocol.cases:,} cases · history masked · bars are 95% "
        f"intervals over users{corrected}",
        help=explain("interval"),
    )


def _beside(figures: list[Result], names: list[str]) -> str:
    """Which of the others the test cannot tell from the first, and which are clearly above it."""
    found = [
        (name, result["metrics"][QUESTION.primary]["difference"])
        for name, result in zip(names[1:], figures[1:], strict=True)
    ]
    alike = [name for name, difference in found if difference["verdict"] == "undecided"]
    above = [name for name, difference in found if difference["verdict"] == "better"]
    sizes = [difference["detectable"] or 0 for name, difference in found if name in alike]
    shows = f" (differences from {max(sizes):.3f} on would show)" if any(sizes) else ""
    parts = [f"Not distinguishable from it on the test{shows}: {listed(alike)}."] if alike else []
    parts += [f"Clearly above it: {listed(above)}."] if above else []
    return " ".join(parts)


def _intervals(result: Result) -> list[dict[str, float]]:
    return [result["metrics"][f"ndcg@{k}"] for k in CUTOFFS]


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
