"""Pieces that several pages show of a run: its label, its progress, and how to pick some."""

import json
import math
from contextlib import suppress
from typing import Any, cast

import streamlit as st

from recformer.checkpoint.info import Provenance
from recformer.checkpoint.load import read_info
from recformer.errors import RecformerError, count
from recformer.evaluation.compare import configs_of, seed_groups
from recformer.evaluation.provenance import trainings_of
from recformer.run.model_ref import ModelRef, all_baselines, model_label
from recformer.run.overview import DamagedRun, RunSummary, labels_of
from recformer.run.paths import LISTS
from recformer.ui.shared import readers
from recformer.ui.shared.run_actions import stop_button
from recformer.ui.shared.selection import pick_many
from recformer.ui.shared.words import STATE_MARKS, duration, number, plain

MOST_MODELS = 30
"""Side by side: five recipes of five seeds, and all baselines."""


def choose_models(
    runs: list[RunSummary], none_yet: str, *, key: str, suggested: list[ModelRef], baselines: bool, **more: Any
) -> list[ModelRef]:
    """Models among the checkpoints and lists of the runs and the `baselines`, kept in the URL; "RUN" there is its best.

    Where no run has a checkpoint, `none_yet` and the way to one are shown instead.
    """
    trained = [*checkpoints(runs), *lists(runs)]
    if not trained:
        st.info(none_yet, icon=":material/info:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
        return []
    models = {str(model): model for model in [*trained, *(all_baselines() if baselines else ())]}
    labels = labels_of(runs)
    chosen = pick_many(
        "Models",
        list(models),
        "runs",
        key=key,
        suggested=list(map(str, suggested)),
        show=lambda name: model_label(labels, models[name]),
        read=lambda text: text if "/" in text or ":" in text else f"{text}/best",
        **more,
    )
    if not chosen:
        st.info("Pick one or more models above.", icon=":material/arrow_upward:")
    return [models[name] for name in chosen]


def checkpoints(runs: list[RunSummary]) -> list[ModelRef]:
    """The best and the last checkpoint of every run that has them, best ones first, archived runs last."""
    return [*_saved(runs, "best"), *_saved(runs, "last")]


def lists(runs: list[RunSummary]) -> list[ModelRef]:
    """The lists that were made elsewhere, those of archived runs last."""
    return _saved(runs, LISTS)


def _saved(runs: list[RunSummary], name: str) -> list[ModelRef]:
    ordered = sorted(runs, key=lambda run: run.labels.archived)
    return [ModelRef.of_run(readers.root(), run.run_id, name) for run in ordered if name in run.checkpoints]


def suggestion(runs: list[RunSummary]) -> list[list[ModelRef]]:
    """The best checkpoints of four recipes that can be compared, the oldest first, with all seeds of each: of the
    dataset that most have; the newest, and the best by validation among them."""
    groups: dict[str | None, list[RunSummary]] = {}
    for run in runs:
        if "best" in run.checkpoints and not run.labels.archived:
            groups.setdefault(_fingerprint(run), []).append(run)
    alike = recipes(max(groups.values(), key=len, default=[]))
    best = sorted(alike, key=mean_validated, reverse=True)[:1]
    others = [recipe for recipe in alike if recipe not in best]
    chosen = sorted([*best, *others[:3]], key=lambda recipe: recipe[0].created)
    return [[ModelRef.of_run(readers.root(), run.run_id) for run in recipe] for recipe in chosen]


def recipes(runs: list[RunSummary]) -> list[list[RunSummary]]:
    """Runs that differ in their seed alone together, the oldest of them first; see `compare.seed_groups`."""
    there = {run.run_id: run for run in runs}
    models = [ModelRef.of_run(readers.root(), run_id) for run_id in there]
    groups = seed_groups(models, configs_of(runs))
    return [sorted((there[model.run] for model in group), key=lambda run: run.created) for group in groups]


def mean_validated(recipe: list[RunSummary]) -> float:
    """NDCG@10 on the validation part, mean over the seeds of a recipe."""
    return sum(map(validated, recipe)) / len(recipe)


def _fingerprint(run: RunSummary) -> str | None:
    """Of a run's dataset, where its record says it."""
    return _recorded(run, "dataset", "fingerprint", str)


def known_trainings(run: RunSummary) -> list[Provenance] | None:
    """What a run's best checkpoint, and all that its weights began with, saw; None where nobody knows."""
    model = ModelRef.of_run(readers.root(), run.run_id)
    with suppress(RecformerError):
        return trainings_of(readers.root(), model, read_info(model.path))
    return None


def split_in_words(run: RunSummary) -> str | None:
    """The split that a run's figures are under, and why they may flatter it; None where it has no checkpoint."""
    if "best" not in run.checkpoints:
        return None
    trainings = known_trainings(run)
    if trainings is None or any(one["fingerprint"] != trainings[0]["fingerprint"] for one in trainings):
        return "unknown: probably leaks"
    name = trainings[0]["split"].get("name", "unknown")
    if "train_on" in trainings[0]:
        return f"{name}, refit: knows validation"
    return name if all(one == trainings[0] for one in trainings) else f"{name}, began under another: may leak"


def recorded_dataset_name(run: RunSummary) -> str:
    """What the dataset that the best checkpoint was trained on is called."""
    return _recorded(run, "dataset", "name", str) or "data that nobody named"


def recorded_split(run: RunSummary) -> dict[str, Any] | None:
    """The split that the best checkpoint was trained and validated under; None where its record does not say it."""
    found = (run.best or {}).get("split")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def comparable_kind(run: RunSummary) -> str:
    """Equal for runs whose validation figures can be compared: of one dataset and split, however much a model reads."""
    return json.dumps([_fingerprint(run), recorded_split(run)], sort_keys=True)


def validated(run: RunSummary) -> float:
    """NDCG@10 of the best checkpoint on the validation part; 0 where its record does not say it."""
    value = _recorded(run, "metrics", "metric/ndcg@10", float)
    return 0.0 if value is None or math.isnan(value) else value


def _recorded(run: RunSummary, section: str, name: str, kind: type) -> Any:
    """An entry of the best checkpoint's record; None where there is none of that kind."""
    found = (run.best or {}).get(section)
    value = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    return value if isinstance(value, kind) else None


def progress_card(run: RunSummary) -> None:
    """An active run: state, bar, time left, last figures, and the way to its page."""
    status = run.status
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            mark = STATE_MARKS[run.state.name]
            st.markdown(f"**{plain(run.name)}** {mark} :gray[:small[{run.run_id}]]", width="stretch")
            watch = {"run": run.run_id}
            st.page_link("pages/monitor.py", label="Watch", icon=":material/monitoring:", query_params=watch)
            stop_button(run)
        # While it waits or starts, its figures are those of the launch before.
        if status is not None and status.steps and run.state.name not in ("queued", "starting"):
            last = status.metrics.get("metric/ndcg@10")
            ndcg = "" if last is None else f"validation NDCG@10 {number(last)} · "
            st.progress(
                min(status.step / status.steps, 1.0),
                text=f"epoch {status.epoch} of {status.num_epochs} · {duration(status.eta_s)} left · "
                f"loss {number(status.loss)} · {ndcg}"
                f"{number(status.samples_per_s)} windows/s on {status.device}",
            )
        else:
            st.caption(run.state.words)
        if run.state.stalled:
            st.warning(run.state.words, icon=":material/warning:")


def show_damaged(damaged: list[DamagedRun]) -> None:
    """Name the runs whose records cannot be read, and why; the others are shown all the same."""
    if not damaged:
        return
    with st.expander(f":orange[:material/warning: {count(len(damaged), 'run')} cannot be shown]"):
        for run in damaged:
            st.markdown(f"**{plain(run.run_id)}** {plain(run.reason)}")
