"""The words about a training before it is launched: its size, how long it takes here, and what computes it."""

import json
from typing import TYPE_CHECKING

import streamlit as st

from recformer.config import TrainConfig, parse
from recformer.data.dataset import Dataset
from recformer.errors import count
from recformer.ui.shared.words import duration, plain

if TYPE_CHECKING:
    from recformer.training.engine import EnginePlan
    from recformer.training.measure import Estimate, Speed


def what_will_happen(config: TrainConfig, epochs: int, data: Dataset, device: str) -> str:
    """What `epochs` more epochs are, how long they take here, and what computes them."""
    if not config.in_steps:
        return f"**{config.model.name} on {data.name}**, solved at once, without steps; Monitor says how long it took."
    # The name, the seed and how often it saves change nothing that is measured.
    measured = config.model_copy(
        update={"name": "measured", "seed": 0, "save_minutes": 1.0, "save_steps": 0, "num_epochs": 1}
    )
    estimate = _estimate(measured.model_dump_json(), data.fingerprint, device, data)
    task = f"{count(epochs, 'epoch')} on {data.name}"
    size = (
        f"{estimate.parameters:,} parameters · {count(estimate.cases, f'training {estimate.unit[:-1]}')} · "
        f"{count(estimate.steps_per_epoch, 'step')} an epoch."
    )
    speed = estimate.speed
    if speed is None:
        return (
            f"**{task}**. {size}  \nToo large a model to be measured while you wait, so there is no estimate: "
            "Monitor says how fast it is after its first steps."
        )
    seconds = speed.begin_s + speed.epoch_s * epochs
    rate = f"{speed.cases_per_s:,.0f} {estimate.unit}/s"
    return (
        f"**{task}, about {duration(seconds)}** at {rate}, measured here. {size}  \n"
        f"{_engine_words(estimate.plan, speed, estimate.unit)}"
    )


@st.cache_data(max_entries=64, show_spinner=False, ttl="10m")
def _estimate(config: str, fingerprint: str, device: str, _data: Dataset) -> "Estimate":
    from recformer.data.prepared import prepare
    from recformer.model.device import resolve
    from recformer.training.measure import measure

    parsed = parse(json.loads(config))
    return measure(parsed, prepare(_data, parsed.split, parsed.train_on), resolve(device))


def _engine_words(planned: "EnginePlan", speed: "Speed", unit: str) -> str:
    """Which engine computes the steps and why, and how fast each that can be had is here."""
    if planned.engines == ("compiled",):
        return (
            f"Engine: **compiled**, as asked for: {plain(planned.compiling)}. The estimate counts the time before the "
            "first step, and steps as fast as without."
        )
    engines = speed.engines
    if engines.problem:
        return f":orange[:material/info: {plain(engines.problem)}]"
    if len(engines.cases_per_s) > 1:
        return f"Engine: **{engines.fastest}** ({plain(planned.why)}: {engines} {unit}/s)."
    return f"Engine: **{engines.fastest}** ({plain(planned.why)}). Not compiled: {plain(planned.compiling)}."
