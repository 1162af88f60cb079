"""Home's answer to "what is better than what" on the validation part, and what the test said, from what is stored."""

from collections import Counter
from contextlib import suppress
from typing import Any

import streamlit as st

from recformer.checkpoint.info import SOLVED
from recformer.data.split.base import Part
from recformer.errors import RecformerError, count
from recformer.evaluation.cases import Known
from recformer.evaluation.compare import Configs, comparison_of, configs_of, seeds_in_words
from recformer.evaluation.conclusion import ONE_USER, answer, listed, of_models_only
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.significance import Question, Result
from recformer.evaluation.store import StoreKey, store_key_of, stored_protocols, stored_ranks
from recformer.evaluation.table import Evaluation
from recformer.files.stamps import stamp
from recformer.run.model_ref import ModelRef, all_baselines, model_label
from recformer.run.overview import RunSummary, labels_of
from recformer.ui.shared import readers
from recformer.ui.shared.charts import interval_chart
from recformer.ui.shared.live_chart import show_live
from recformer.ui.shared.palette import run_styles
from recformer.ui.shared.run_views import (
    MOST_MODELS,
    comparable_kind,
    known_trainings,
    mean_validated,
    recipes,
    recorded_dataset_name,
    recorded_split,
    validated,
)
from recformer.ui.shared.words import explain, plain

CUTOFFS = [3, 5, 10]
MOST = 5  # runs: a headline, not a table of everything
NAMES = [f"ndcg@{k}" for k in CUTOFFS]
QUESTION = Question()
PARTS: tuple[Part, Part] = ("validation", "test")


def show(runs: list[RunSummary]) -> None:
    """The best recipe by validation of those that can be compared, and which others the data cannot tell from it; its
    figure on the test where somebody looked at it.

    They are of the dataset and split that most runs share; only as many are looked into as are shown. Nobody
    knows what an imported model was trained on: it may not be called the best.
    """
    own = [run for run in runs if "best" in run.checkpoints and not run.imported and validated(run) > 0]
    if not own:
        return
    kind = Counter(map(comparable_kind, own)).most_common(1)[0][0]
    alike = recipes([run for run in own if comparable_kind(run) == kind])
    candidates, knowing = _without_who_knows_the_cases(sorted(alike, key=mean_validated, reverse=True))
    labels = labels_of(runs) | {model.run: model_label({}, model) for model in all_baselines()}
    with st.container(border=True):
        if candidates:
            _show_best(candidates, labels, runs)
        if knowing:
            names = listed([labels[run.run_id] for run in knowing])
            st.caption(f"Left out, since they have seen held-out cases or nobody knows: {plain(names)}.")
        chosen = [*(f"{run.run_id}/best" for recipe in candidates for run in recipe), *map(str, all_baselines())]
        link = {"runs": chosen[:MOST_MODELS]}
        st.page_link("pages/compare.py", label="Compare them", icon=":material/bar_chart:", query_params=link)


def _show_best(candidates: list[list[RunSummary]], labels: dict[str, str], runs: list[RunSummary]) -> None:
    """The first of the candidates, on both parts, and on the validation part beside the others and the baselines."""
    recipe, split = candidates[0], recorded_split(candidates[0][0])
    protocol, results = _measured(candidates, split, "validation")
    figures = [_figure("validation", results) or f"validation {QUESTION.title} {mean_validated(recipe):.4f}"]
    test, tested = _measured(candidates[:1], split, "test")
    if test is not None and tested:
        looks = readers.models_tested(test.fingerprint, (test.key, recipe[0].run_id))
        figures.append(f"{_figure('test', tested)}, {count(looks, 'checkpoint')} looked at so far")
    figures.append(_seeds(recipe))
    title = plain(f"Best on {recorded_dataset_name(recipe[0])} by validation: {labels[recipe[0].run_id]}")
    st.markdown(f"**{title}**, {' · '.join(figures)}", help=explain("chosen"))
    if protocol is not None and results:
        _show_validation(protocol, results, labels, runs)
        there = {result["run"] for result in results}
        missing = [labels[model.run] for model in all_baselines() if model.run not in there]
        if missing:
            st.caption(f"Not evaluated yet, Compare does it: {plain(listed(missing))}.")


def _seeds(recipe: list[RunSummary]) -> str:
    """How far the figures are those of the recipe."""
    if _is_solved(configs_of(recipe), recipe[0].run_id):
        return "solved: the same from any seed"
    return f"mean of {len(recipe)} seeds" if len(recipe) > 1 else "one seed: another may differ"


def _figure(part: Part, results: list[Result]) -> str:
    """The primary metric of the first of the results with its interval; "" without any."""
    if not results:
        return ""
    metric = results[0]["metrics"][QUESTION.primary]
    bounds = ONE_USER if metric["low"] is None else f"{metric['low']:.4f} to {metric['high']:.4f}"
    return f"{part} {QUESTION.title} {metric['mean']:.4f} :gray[:small[{bounds}]]"


def _without_who_knows_the_cases(
    ranked: list[list[RunSummary]],
) -> tuple[list[list[RunSummary]], list[RunSummary]]:
    """The first recipes without the runs that have seen held-out cases of their split but to be chosen, and the runs
    before them that have."""
    clean: list[list[RunSummary]] = []
    knowing: list[RunSummary] = []
    for recipe in ranked:
        own = [run for run in recipe if _knows_nothing(run)]
        knowing += [run for run in recipe if run not in own]
        clean += [own] if own else []
        if len(clean) == MOST:
            break
    return clean, knowing


def _knows_nothing(run: RunSummary) -> bool:
    """Whether a run, and all that its weights began with, were trained under one split; or it is stored that they saw
    no case of it."""
    trainings = known_trainings(run)
    if trainings is not None and all(training == trainings[0] for training in trainings):
        return True
    return _is_clean(ModelRef.of_run(readers.root(), run.run_id), recorded_split(run))


def _is_clean(model: ModelRef, split: Any) -> bool:
    """Whether it is stored that a model was trained on no case of either held-out part, nor chosen on the test."""
    validation, test = ([known for _, known in _stored(model, split, part)] for part in PARTS)
    return bool(validation and test) and (
        all(known.trained_on == 0 for known in validation) and all(known.nothing for known in test)
    )


def _stored(model: ModelRef, split: Any, part: Part) -> list[tuple[Protocol, Known]]:
    """Under which protocols a model is evaluated on a part of a split, and what it had seen of it."""
    key = _store_keys([model]).get(model)
    protocols = [] if key is None else stored_protocols(key)
    return [(one, known) for one, known in protocols if one.part == part and one.split == split]


def _measured(candidates: list[list[RunSummary]], split: Any, part: Part) -> tuple[Protocol | None, list[Result]]:
    """Results on a part of the split that the candidates were validated on, each compared to the first: those of the
    candidates of which all seeds are evaluated there first, then baselines; none where the first is not among them."""
    groups = [[ModelRef.of_run(readers.root(), run.run_id) for run in recipe] for recipe in candidates]
    keys = _store_keys([model for recipe in groups for model in recipe])
    found = {model: [protocol for protocol, _ in _stored(model, split, part)] for model in keys}
    shared = Counter(protocol.key for protocols in found.values() for protocol in protocols)
    of_best = [one for one in found.get(groups[0][0], []) if _all_have(one, groups[0], found)]
    if not of_best:
        return None, []
    protocol = max(of_best, key=lambda protocol: shared[protocol.key])
    there = {model: keys[model] for recipe in groups if _all_have(protocol, recipe, found) for model in recipe}
    there |= _store_keys(all_baselines())
    configs = configs_of([run for recipe in candidates for run in recipe])
    stamps = tuple((str(model), key.digest, stamp(key.path(protocol))) for model, key in there.items())
    return protocol, _compared((protocol.key, stamps), there, protocol, configs)


def _all_have(protocol: Protocol, recipe: list[ModelRef], found: dict[ModelRef, list[Protocol]]) -> bool:
    return all(protocol in found.get(model, []) for model in recipe)


def _store_keys(models: list[ModelRef]) -> dict[ModelRef, StoreKey]:
    """Where the ranks of each model are kept; without those whose checkpoint is gone."""
    keys: dict[ModelRef, StoreKey] = {}
    for model in models:
        with suppress(RecformerError):
            if (key := store_key_of(readers.root(), model)) is not None:
                keys[model] = key
    return keys


@st.cache_data(max_entries=16, show_spinner=False)
def _compared(state: Any, _keys: dict[ModelRef, StoreKey], _protocol: Protocol, _configs: Configs) -> list[Result]:
    """NDCG with the history masked, of what is stored under the protocol; nothing where the first model's is gone."""
    found = {
        model: Evaluation(model, _protocol, (stored[0],), None, Known(0, 0), solved=_is_solved(_configs, model.run_id))
        for model, key in _keys.items()
        if (stored := stored_ranks(key, _protocol)) is not None
    }
    first = next(iter(_keys))
    return comparison_of(found, first, QUESTION, _configs).results("history", NAMES) if first in found else []


def _is_solved(configs: Configs, run_id: str | None) -> bool:
    return configs.get(run_id or "", {}).get("engine") == SOLVED


def _show_validation(protocol: Protocol, results: list[Result], labels: dict[str, str], runs: list[RunSummary]) -> None:
    shown = [result["run"] for result in results]
    names = [labels[result["run"]] + seeds_in_words(result["seeds"]) for result in results]
    if beside := _beside(results, names):
        st.markdown(plain(beside), help=explain("detectable"))
    if below := answer(names, results, QUESTION, protocol.part).below:
        st.markdown(f":orange[:material/trending_down:] {plain(below)}")
    models = [
        (name, style, [result["metrics"][one] for one in NAMES])
        for name, style, result in zip(names, run_styles(runs, shown), results, strict=True)
    ]
    show_live(st.container(), interval_chart("NDCG@k", CUTOFFS, models, QUESTION.k), "home.headline")
    corrected = f" · corrected for {len(results) - 1} comparisons" if len(results) > 2 else ""
    st.caption(
        f"{protocol.split['name']} · {protocol.part} · {protocol.cases:,} cases · history masked · bars are 95% "
        f"intervals over users{corrected}",
        help=explain("interval"),
    )


def _beside(results: list[Result], names: list[str]) -> str:
    """Which of the others the data cannot tell from the first, and which are clearly above it."""
    differences = {
        name: result["metrics"][QUESTION.primary]["difference"]
        for name, result in zip(names[1:], results[1:], strict=True)
    }
    alike = [name for name, difference in differences.items() if difference["verdict"] == "undecided"]
    above = [name for name, difference in differences.items() if difference["verdict"] == "better"]
    largest = max((differences[name]["detectable"] or 0 for name in alike), default=0)
    shows = f" (differences from {largest:.3f} on would show)" if largest else ""
    parts = [f"Not distinguishable from it{shows}: {listed(alike)}."] if alike else []
    parts += (
        [f"Clearly above it: {listed(above)}{of_models_only([differences[name] for name in above])}."] if above else []
    )
    return " ".join(parts)
