"""The Train page's parts: a new run, a resumed one, or one begun from another's weights; a summary; the launch."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.config import TrainConfig, parse, preset, preset_names
from recformer.data.dataset import Dataset
from recformer.jobs.overview import RunSummary
from recformer.jobs.submit import resume, submit
from recformer.ui import readers
from recformer.ui.forms import config_form
from recformer.ui.run_views import checkpoint_label, checkpoint_names, label_of
from recformer.ui.selection import pick_one
from recformer.ui.words import duration, plain

SUGGESTED_EPOCHS = 20  # the article's 1000 would take hours on a laptop; the form says how to get them
PRESET_WORDS = {
    "baseline": "The article's baseline: cross-entropy, constant learning rate.",
    "penalty": "The article's duplication penalty. It has no gradient, so it trains as cross-entropy does "
    "(docs/EVALUATION.md).",
    "compiled_scheduler": "The article's third recipe: batches of 4096, cosine schedule, compiled model.",
}


def new_run(runs: list[RunSummary]) -> None:
    """Preset, then every field, a summary, and the launch."""
    left, middle, right = st.columns(3)
    name = left.selectbox(
        "Preset",
        preset_names(),
        key="preset",
        bind="query-params",
        help="Where the form's values come from; change any of them.",
    )
    data = _pick_dataset(middle)
    device = _pick_device(right)
    article = parse(preset(name))
    st.caption(
        f"{PRESET_WORDS[name]} The article trains {article.num_epochs:,} epochs; the form begins with "
        f"{SUGGESTED_EPOCHS}."
    )
    start = article.model_copy(update={"num_epochs": SUGGESTED_EPOCHS})
    summary = st.container()
    config = config_form(start, f"train.{name}")
    with summary:
        _launch_box(config, data, device, None, _busy(runs))


def from_weights(runs: list[RunSummary]) -> None:
    """A new run that begins with a checkpoint's weights: optimizer, schedule and epochs start over."""
    names = checkpoint_names(runs)
    if not names:
        st.info("There is no checkpoint to begin with yet. Train a run first.", icon=":material/info:")
        return
    left, middle, right = st.columns(3)
    name = pick_one(
        left, "Weights of", names, "weights", key="train.weights", show=lambda name: checkpoint_label(runs, name)
    )
    data = _pick_dataset(middle)
    device = _pick_device(right)
    st.caption("Optimizer, schedule and epoch count start over (the article's way). To go on exactly, choose Resume.")
    start = _config_like(name)
    summary = st.container()
    config = config_form(start, f"weights.{name}", locked=("model",))
    with summary:
        _launch_box(config, data, device, name, _busy(runs))


def going_on(runs: list[RunSummary]) -> None:
    """A run that goes on exactly from its last save."""
    able = [run for run in runs if "last" in run.checkpoints and not run.state.active]
    if not able:
        st.info(
            "No run can be resumed now: a stopped, failed or finished run with a saved last.pt can.",
            icon=":material/info:",
        )
        return
    left, middle, right = st.columns(3)
    run_id = pick_one(
        left,
        "Run to resume",
        [run.run_id for run in able],
        "resume",
        key="train.resume",
        show=lambda run_id: label_of(runs, run_id),
    )
    run = next(run for run in able if run.run_id == run_id)
    done = run.status.epoch if run.status is not None else 0
    planned = int(run.config.get("num_epochs", 1))
    target = planned if run.state.name != "finished" else planned + SUGGESTED_EPOCHS
    epochs = middle.number_input(
        "Train to epoch",
        min_value=1,
        value=target,
        key=f"resume.{run_id}.epochs",
        help="Epochs in all, those already trained counted in.",
    )
    device = _pick_device(right)
    whence = f"in epoch {done + 1}" if run.state.name == "finished" else "from its last save"
    st.markdown(
        f"**{run.state.words}** It goes on {whence} with the same weights, optimizer, random numbers and "
        f"order of batches, as if it had never stopped, up to epoch {epochs}. Its other settings stay."
    )
    if int(epochs) < done or (run.state.name == "finished" and int(epochs) <= planned):
        st.warning(f"It has been trained to epoch {done} already: choose more to train on.", icon=":material/warning:")
        return
    if st.button("Resume", type="primary", icon=":material/play_arrow:", key="resume.go"):
        resume(readers.root(), run_id, device, [f"num_epochs={int(epochs)}"])
        st.switch_page("pages/monitor.py", query_params={"run": run_id})


MODES: dict[str, Callable[[list[RunSummary]], None]] = {
    "New run": new_run,
    "Resume": going_on,
    "Start from weights": from_weights,
}


def _pick_dataset(place: DeltaGenerator) -> Path:
    folders = readers.dataset_folders()
    chosen = pick_one(place, "Dataset", [folder.name for folder in folders], "data", key="train.data")
    return next(folder for folder in folders if folder.name == chosen)


def _pick_device(place: DeltaGenerator) -> str:
    with st.spinner("Loading PyTorch …"):
        devices = readers.devices()
    return str(place.selectbox("Device", devices, key="device", help="auto takes the first GPU, else the processor."))


def _config_like(name: str) -> TrainConfig:
    from recformer.training.request import config_beginning_with

    mapping = config_beginning_with(readers.root(), name)
    return parse(mapping, name).model_copy(update={"num_epochs": SUGGESTED_EPOCHS})


def _busy(runs: list[RunSummary]) -> str:
    """A word of warning where something trains already: the two would share the machine."""
    active = [run.name for run in runs if run.state.active]
    return (
        f" :orange[{', '.join(map(plain, active))} is training now; the two will slow each other down.]"
        if active
        else ""
    )


def _launch_box(config: TrainConfig | None, folder: Path, device: str, init_from: str | None, warning: str) -> None:
    """One line of what will happen and how long it takes here, and the button."""
    with st.container(border=True):
        if config is None:
            st.markdown(":red[:material/error: The form has faults, shown at their fields below; mend them to launch.]")
            st.button("Launch", type="primary", disabled=True, key="launch.faulty")
            return
        words, button = st.columns([5, 1], vertical_alignment="center")
        with words, st.spinner("Measuring the speed on this machine …"):
            will_happen = _what_will_happen(config, readers.dataset(folder), device)
        words.markdown(will_happen + warning)
        if button.button("Launch", type="primary", icon=":material/play_arrow:", key="launch", width="stretch"):
            run_id = submit(readers.root(), config, folder, device, init_from)
            st.switch_page("pages/monitor.py", query_params={"run": run_id})


def _what_will_happen(config: TrainConfig, data: Dataset, device: str) -> str:
    # The name, the seed and how often it saves change nothing that is measured.
    measured = config.model_copy(update={"name": "measured", "seed": 0, "save_minutes": 1.0, "num_epochs": 1})
    estimate = readers.estimate(measured.model_dump_json(), data.fingerprint, data, device)
    seconds = estimate.seconds * config.num_epochs
    compiled = (
        " The first step compiles, which can take minutes; the estimate is without compilation."
        if config.compile
        else ""
    )
    return (
        f"**{config.num_epochs:,} epochs on {data.name}, about {duration(seconds)}** at "
        f"{estimate.windows_per_s:,.0f} windows/s, measured here just now. "
        f"{estimate.parameters:,} parameters · {estimate.windows:,} training windows · "
        f"{estimate.steps_per_epoch:,} steps an epoch.{compiled}"
    )
