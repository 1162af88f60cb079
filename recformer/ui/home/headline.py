"""Home's answer to "what is better than what": chosen on validation, reported on the test, from what is stored."""

from collections import Counter
from contextlib import suppress
from typing import Any

import streamlit as st

from recformer.checkpoint.load import read_info
from recformer.errors import RecformerError
from recformer.evaluation.cases import Known
from recformer.evaluation.compare import comparison_of
from recformer.evaluation.conclusion import answer, listed
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.provenance import trainings_of
from recformer.evaluation.significance import Question, Result
from recformer.evaluation.store import StoreKey, store_key_of, stored_protocols, stored_ranks
from recformer.evaluation.table import Evaluation
from recformer.files.stamps import stamp
from recformer.run.model_ref import ModelRef, all_baselines
from recformer.run.overview import RunSummary
from recformer.ui.shared import readers
from recformer.ui.shared.charts import interval_chart
from recformer.ui.shared.palette import run_styles
from recformer.ui.shared.run_views import (
    comparable_kind,
    labels_of,
    model_label,
    recorded_dataset_name,
    recorded_split,
    validated,
)
from recformer.ui.shared.words import explain, plain

CUTOFFS = [3, 5, 10]
MOST = 5  # runs: a headline, not a table of everything
NAMES = [f"ndcg@{k}" for k in CUTOFFS]
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
    ranked = sorted(alike, key=lambda run: (-validated(run), run.created))
    candidates, knowing = _without_who_knows_the_test(ranked)
    labels = labels_of(runs) | {model.run: model_label({}, model) for model in all_baselines()}
    with st.container(border=True):
        protocol, results = _on_test(candidates) if candidates else (None, [])
        if protocol is not None and results:
            _show_test(protocol, results, labels, runs)
            there = {result["run"] for result in results}
            missing = [labels[model.run] for model in all_baselines() if model.run not in there]
            if missing:
                st.caption(f"Not evaluated yet, Compare does it: {plain(listed(missing))}.")
        elif candidates:
            title = f"Best on {recorded_dataset_name(candidates[0])} by validation: {labels[candidates[0].run_id]}"
            value = validated(candidates[0])
            st.markdown(f"**{plain(title)}**, validation NDCG@10 {value:.4f}; not evaluated on the test yet")
        if knowing:
            names = listed([labels[run.run_id] for run in knowing])
            st.caption(f"Left out, since they have seen test cases or nobody knows: {plain(names)}.")
        chosen = [*(f"{run.run_id}/best" for run in candidates), *map(str, all_baselines())]
        st.page_link(
            "pages/compare.py", label="Compare them", icon=":material/bar_chart:", query_params={"runs": chosen}
        )


def _without_who_knows_the_test(ranked: list[RunSummary]) -> tuple[list[RunSummary], list[RunSummary]]:
    """The first runs that have seen no case of the test of their split, and the runs before them that have."""
    clean: list[RunSummary] = []
    knowing: list[RunSummary] = []
    for run in ranked:
        model = ModelRef.of_run(readers.root(), run.run_id)
        tests = _tests_of(model, recorded_split(run))
        is_clean = all(known.nothing for _, known in tests) if tests else _saw_one_split(model)
        (clean if is_clean else knowing).append(run)
        if len(clean) == MOST:
            break
    return clean, knowing


def _saw_one_split(model: ModelRef) -> bool:
    """Whether a model that is not evaluated, and all that its weights began with, were trained under one split."""
    with suppress(RecformerError):
        trainings = trainings_of(readers.root(), model, read_info(model.path))
        return trainings is not None and all(training == trainings[0] for training in trainings)
    return False


def _tests_of(model: ModelRef, split: Any) -> list[tuple[Protocol, Known]]:
    """Under which protocols a model is evaluated on the test part of a split, and what it had seen of it."""
    key = _store_keys([model]).get(model)
    protocols = [] if key is None else stored_protocols(key)
    return [(one, known) for one, known in protocols if one.part == "test" and one.split == split]


def _on_test(candidates: list[RunSummary]) -> tuple[Protocol | None, list[Result]]:
    """Results on the test under the split that the candidates were validated on, each compared to the first: those of
    the best by validation first, then baselines; none where that best one is not evaluated."""
    split = recorded_split(candidates[0])
    models = [ModelRef.of_run(readers.root(), run.run_id) for run in candidates]
    keys = _store_keys(models)
    found = {model: [protocol for protocol, _ in _tests_of(model, split)] for model in keys}
    best = found.get(models[0])
    if not best:
        return None, []
    shared = Counter(protocol.key for protocols in found.values() for protocol in protocols)
    protocol = max(best, key=lambda protocol: shared[protocol.key])
    there = {model: key for model, key in keys.items() if protocol in found[model]} | _store_keys(all_baselines())
    stamps = tuple((str(model), key.digest, stamp(key.path(protocol))) for model, key in there.items())
    return protocol, _compared((protocol.key, stamps), there, protocol)


def _store_keys(models: list[ModelRef]) -> dict[ModelRef, StoreKey]:
    """Where the ranks of each model are kept; without those whose checkpoint is gone."""
    keys: dict[ModelRef, StoreKey] = {}
    for model in models:
        with suppress(RecformerError):
            if (key := store_key_of(readers.root(), model)) is not None:
                keys[model] = key
    return keys


@st.cache_data(max_entries=16, show_spinner=False)
def _compared(state: Any, _keys: dict[ModelRef, StoreKey], _protocol: Protocol) -> list[Result]:
    """NDCG with the history masked, of what is stored under the protocol; nothing where the first model's is gone."""
    found = {
        model: Evaluation(model, _protocol, (stored[0],), None, Known(0, 0))
        for model, key in _keys.items()
        if (stored := stored_ranks(key, _protocol)) is not None
    }
    first = next(iter(_keys))
    return comparison_of(found, first, QUESTION).results("history", NAMES) if first in found else []


def _show_test(protocol: Protocol, results: list[Result], labels: dict[str, str], runs: list[RunSummary]) -> None:
    shown = [result["run"] for result in results]
    names = [labels[run] for run in shown]
    best = results[0]["metrics"][QUESTION.primary]
    st.markdown(
        f"**{plain(f'Best on {protocol.dataset} by validation: {names[0]}')}**, test {QUESTION.title} "
        f"{best['mean']:.4f} :gray[:small[{best['low']:.4f} to {best['high']:.4f}]]",
        help=explain("chosen"),
    )
    if beside := _beside(results, names):
        st.markdown(plain(beside), help=explain("detectable"))
    if below := answer(names, results, QUESTION).below:
        st.markdown(f":orange[:material/trending_down:] {plain(below)}")
    models = [
        (name, style.colour, [result["metrics"][one] for one in NAMES])
        for name, style, result in zip(names, run_styles(runs, shown), results, strict=True)
    ]
    st.plotly_chart(interval_chart("NDCG@k", CUTOFFS, models, QUESTION.k), key="home.headline")
    corrected = f" · corrected for {len(results) - 1} comparisons" if len(results) > 2 else ""
    st.caption(
        f"{protocol.split['name']} · {protocol.part} · {protocol.cases:,} cases · history masked · bars are 95% "
        f"intervals over users{corrected}",
        help=explain("interval"),
    )


def _beside(results: list[Result], names: list[str]) -> str:
    """Which of the others the test cannot tell from the first, and which are clearly above it."""
    differences = {
        name: result["metrics"][QUESTION.primary]["difference"]
        for name, result in zip(names[1:], results[1:], strict=True)
    }
    alike = [name for name, difference in differences.items() if difference["verdict"] == "undecided"]
    above = [name for name, difference in differences.items() if difference["verdict"] == "better"]
    largest = max((differences[name]["detectable"] or 0 for name in alike), default=0)
    shows = f" (differences from {largest:.3f} on would show)" if largest else ""
    parts = [f"Not distinguishable from it on the test{shows}: {listed(alike)}."] if alike else []
    parts += [f"Clearly above it: {listed(above)}."] if above else []
    return " ".join(parts)
