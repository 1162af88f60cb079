"""The Train page's parts: a run that is new, resumed, begun from weights, or a refit; a summary; the launch."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.config import TrainConfig, parse, preset, preset_description, preset_names
from recformer.data.prepared import splits_for
from recformer.errors import RecformerError, count
from recformer.jobs.devices import queue_of
from recformer.jobs.launch import resume, submit
from recformer.jobs.queue import QueueEntry, lines
from recformer.run.model_ref import ModelRef, model_label
from recformer.run.overview import RunSummary, labels_of
from recformer.run.settings import read_settings
from recformer.training.changes import FIXED, INEXACT, effective
from recformer.training.recommended import recommended_preset
from recformer.training.schedule import learning_rate
from recformer.ui.shared import readers
from recformer.ui.shared.frame import show_fault
from recformer.ui.shared.run_actions import can_go_on
from recformer.ui.shared.run_views import checkpoints
from recformer.ui.shared.selection import pick_one
from recformer.ui.shared.words import number, plain
from recformer.ui.train.config_form import config_form
from recformer.ui.train.estimate import what_will_happen

FAULTY = ":red[:material/error: The form has faults, shown at their fields below; mend them to launch.]"
SUGGESTED_EPOCHS = 20  # the article's 1000 would take hours on a laptop; the form says how to get them
FEWEST_BLENDED = 2
MEASURING = "Measuring the speed on this machine; a new shape of model is compiled first …"


def new_run(runs: list[RunSummary]) -> None:
    """Preset, then every field, a summary, and the launch."""
    left, middle, right = st.columns(3)
    data, device = _pick_dataset(middle), _pick_device(right)
    recommended, why = _recommended(data)
    names = sorted(preset_names(), key=lambda name: name != recommended)
    name = left.selectbox(
        "Preset",
        names,
        key="preset",
        bind="query-params",
        help="Where the form's values come from; change any of them.",
    )
    shipped = parse(preset(name))
    epochs = min(shipped.num_epochs, SUGGESTED_EPOCHS)
    shortened = f"; the form begins with {epochs}" if epochs < shipped.num_epochs else ""
    trains = f" The preset trains {count(shipped.num_epochs, 'epoch')}{shortened}." if shipped.in_steps else ""
    advice = f"**Recommended for this dataset**: {why}." if name == recommended else f"Recommended here: {recommended}."
    st.caption(f"{preset_description(name)}{trains} {advice}")
    summary = st.container()
    start, labels = shipped.model_copy(update={"num_epochs": epochs}), labels_of(runs)
    models = {str(model): model_label(labels, model) for model in checkpoints(runs)}
    config = config_form(start, f"train.{name}", splits=_splits_of(data), models=models)
    with summary:
        _launch_box(config, data, device, None)


def _recommended(folder: Path) -> tuple[str, str]:
    """The preset to begin with, and why; a dataset that cannot be read is told of by the launch."""
    try:
        return recommended_preset(readers.dataset(folder))
    except RecformerError:
        return "fast", "nothing is known of its data"


def from_weights(runs: list[RunSummary]) -> None:
    """A new run that begins with a checkpoint's weights: optimizer, schedule and epochs start over."""
    from recformer.training.request import config_beginning_with

    models = {str(model): model for model in checkpoints(runs)}
    if not models:
        st.info("There is no checkpoint to begin with yet. Train a run first.", icon=":material/info:")
        return
    labels = labels_of(runs)
    left, middle, right = st.columns(3)
    name = pick_one(
        left,
        "Weights of",
        list(models),
        "weights",
        key="train.weights",
        show=lambda name: model_label(labels, models[name]),
    )
    data, device = _pick_dataset(middle), _pick_device(right)
    st.caption("Optimizer, schedule and epoch count start over (the article's way). To go on exactly, choose Resume.")
    start = parse(config_beginning_with(readers.root(), name), name)
    start = start.model_copy(update={"num_epochs": SUGGESTED_EPOCHS})
    summary = st.container()
    config = config_form(start, f"weights.{name}", locked=("model", "initialisation"), splits=_splits_of(data))
    with summary:
        _launch_box(config, data, device, name)


def refit(runs: list[RunSummary]) -> None:
    """A run trained anew on everything before the test, for as many epochs as validation chose."""
    from recformer.training.request import config_of_refit

    able = [
        run.run_id
        for run in runs
        if not run.state.active
        and run.best
        and run.best.get("metrics")
        and run.config.get("train_on", "train") == "train"
        and "parts" not in run.config["model"]  # a blend has no training of its own
    ]
    if not able:
        st.info("No run has a validation that chose its epochs yet. Train one first.", icon=":material/info:")
        return
    labels = labels_of(runs)
    left, middle, right = st.columns(3)
    run_id = pick_one(left, "Run", able, "refit", key="train.refit", show=lambda run_id: labels.get(run_id, run_id))
    data, device = _pick_dataset(middle), _pick_device(right)
    st.caption(
        "The last step before the test: trained anew with the same settings, on the validation part too, for as many "
        "epochs as validation found best. It can then be judged on the test alone."
    )
    summary = st.container()
    config = config_form(
        parse(config_of_refit(readers.root(), run_id)),
        f"refit.{run_id}",
        locked=("model", "loss", "split", "train_on"),
        splits=_splits_of(data),
    )
    with summary:
        _launch_box(config, data, device, None)


def going_on(runs: list[RunSummary]) -> None:
    """A run that goes on exactly from its last save, or one that never saved and starts again."""
    able = [run for run in runs if can_go_on(run) and not run.state.active]
    if not able:
        st.info(
            "No run can be resumed now: a stopped, failed, lost or finished run with a saved last.pt can.",
            icon=":material/info:",
        )
        return
    labels = labels_of(runs)
    left, right = st.columns(2)
    run_id = pick_one(
        left,
        "Run to resume",
        [run.run_id for run in able],
        "resume",
        key="train.resume",
        show=lambda run_id: labels.get(run_id, run_id),
    )
    run = next(run for run in able if run.run_id == run_id)
    device = _pick_device(right)
    if run.resumable:
        _resume_form(run, device)
        return
    st.markdown(
        f"**{plain(run.state.words)}** It never saved anything, so there is nothing to go on from: it starts again "
        f"from its first step, with the settings it was given.{_queue_words(device)}"
    )
    if st.button("Start again", type="primary", icon=":material/play_arrow:", key="again.go"):
        resume(readers.root(), run.run_id, device)
        st.switch_page("pages/monitor.py", query_params={"run": run.run_id})


def _resume_form(run: RunSummary, device: str) -> None:
    before = parse(run.config, f"run {run.run_id}")
    finished = run.state.name == "finished"
    start = before.model_copy(update={"num_epochs": before.num_epochs + SUGGESTED_EPOCHS}) if finished else before
    summary = st.container(border=True)
    after = config_form(start, f"resume.{run.run_id}", locked=(*FIXED, "name"))
    with summary:
        if after is None:
            st.markdown(FAULTY)
            st.button("Resume", type="primary", disabled=True, key="resume.faulty")
            return
        done = run.status.epoch if run.status is not None else 0
        words, button = st.columns([5, 1], vertical_alignment="center")
        too_few = after.num_epochs < done or (finished and after.num_epochs <= before.num_epochs)
        with words, st.spinner(MEASURING):
            rest = "" if too_few else _what_is_left(run, after, device)
        words.markdown(_what_resume_does(run, before, after) + rest + _queue_words(device))
        if too_few:
            st.warning(
                f"It has been trained to epoch {done} already: choose more epochs to train on.",
                icon=":material/warning:",
            )
        if button.button(
            "Resume", type="primary", icon=":material/play_arrow:", key="resume.go", disabled=too_few, width="stretch"
        ):
            changes = [f"{name}={json.dumps(new)}" for name, (_, new) in effective(before, after).items()]
            resume(readers.root(), run.run_id, device, changes)
            st.switch_page("pages/monitor.py", query_params={"run": run.run_id})


def _what_resume_does(run: RunSummary, before: TrainConfig, after: TrainConfig) -> str:
    """Whence it goes on, which edits take effect, and which settings cannot be edited."""
    changed = effective(before, after)
    whence = "after its last epoch" if run.state.name == "finished" else "from its last save"
    longer = after.schedule == "one_cycle" and after.num_epochs != before.num_epochs
    inexact = longer or any(name in INEXACT for name in changed)
    exact = "" if inexact else ", bit for bit as if it had never stopped"
    lines = [f"**{plain(run.state.words)}** It goes on {whence}{exact}, up to epoch {after.num_epochs:,}."]
    if longer:
        lines.append(
            f":material/info: one_cycle ends with the last epoch: the learning rate goes on where a cycle of "
            f"{after.num_epochs:,} epochs would be, at {number(learning_rate(after, 0, _epochs_done(run)))}."
        )
    if changed:
        edits = " · ".join(
            f"{_title(name)} {plain(str(old))} → {plain(str(new))}" for name, (old, new) in changed.items()
        )
        lines.append(f":material/check: **Takes effect:** {edits}")
    fixed = ", ".join(_title(name).lower() for name in FIXED)
    lines.append(
        f":material/lock: **Cannot be changed here:** {fixed}. That would be another run: start from its weights."
    )
    return "  \n".join(lines)


def _what_is_left(run: RunSummary, after: TrainConfig, device: str) -> str:
    """How long the rest takes and what computes it; where its dataset is not here, that and the way out is shown."""
    try:
        data = readers.dataset_of([ModelRef.of_run(readers.root(), run.run_id, "last")], or_only=False)
    except RecformerError as error:
        show_fault(error)
        return ""
    left = math.ceil(round(after.num_epochs - _epochs_done(run), 6))  # shares of epochs are not exact
    # What it begins with is read, not computed.
    config = after.model_copy(update={"initialisation": "random"})
    return f"  \n{what_will_happen(config, left, data, device)}"


def _epochs_done(run: RunSummary) -> float:
    """Epochs that the run has trained, the part of one that it was stopped in counted too."""
    status = run.status
    return status.step / status.steps * status.num_epochs if status is not None and status.steps else 0.0


def _title(name: str) -> str:
    return str(TrainConfig.model_fields[name].title)


MODES: dict[str, Callable[[list[RunSummary]], None]] = {
    "New run": new_run,
    "Resume": going_on,
    "Start from weights": from_weights,
    "Refit": refit,
}


def _splits_of(folder: Path) -> list[str] | None:
    """The splits that a dataset can have; None where it cannot be read, which the launch says."""
    try:
        return splits_for(readers.dataset(folder))
    except RecformerError:
        return None


def _pick_dataset(place: DeltaGenerator) -> Path:
    folders = readers.dataset_folders()
    chosen = pick_one(place, "Dataset", [folder.name for folder in folders], "data", key="train.data")
    return next(folder for folder in folders if folder.name == chosen)


def _pick_device(place: DeltaGenerator) -> str:
    with st.spinner("Loading PyTorch …"):
        devices = _devices()
    return str(place.selectbox("Device", devices, key="device", help="auto takes the first GPU, else the processor."))


@st.cache_resource(show_spinner=False)
def _devices() -> list[str]:
    import torch

    return ["auto", "cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def _queue_words(device: str) -> str:
    """How many runs are before it where the device is taken; nothing where it begins at once."""
    line = lines(readers.root()).get(queue_of(device), QueueEntry())
    ahead = len(line.running) + len(line.waiting)
    if len(line.running) < read_settings(readers.root()).jobs_per_device and not line.waiting:
        return ""
    runs = f"{count(ahead, 'run')} {'is' if ahead == 1 else 'are'}"
    return f"  \n:orange[:material/schedule: {runs} ahead of it on this device; it waits for its turn.]"


def _launch_box(config: TrainConfig | None, folder: Path, device: str, init_from: str | None) -> None:
    """One line of what will happen and how long it takes here, and the button."""
    with st.container(border=True):
        if config is None:
            st.markdown(FAULTY)
            st.button("Launch", type="primary", disabled=True, key="launch.faulty")
            return
        if config.model.name == "blend" and len(getattr(config.model, "parts", ())) < FEWEST_BLENDED:
            words, button = st.columns([5, 1], vertical_alignment="center")
            words.markdown("Choose two to five models under **Models**.")
            button.button("Launch", type="primary", disabled=True, key="launch.incomplete", width="stretch")
            return
        words, button = st.columns([5, 1], vertical_alignment="center")
        with words, st.spinner(MEASURING):
            will_happen = what_will_happen(config, config.num_epochs, readers.dataset(folder), device)
        words.markdown(will_happen + _queue_words(device))
        if button.button("Launch", type="primary", icon=":material/play_arrow:", key="launch", width="stretch"):
            run_id = submit(readers.root(), config, readers.dataset(folder), device, init_from)
            st.switch_page("pages/monitor.py", query_params={"run": run_id})
