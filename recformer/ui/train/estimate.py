"""The words about a training before it is launched: its size, how long it takes here, and what computes it."""

from typing import TYPE_CHECKING

from recformer.config import TrainConfig
from recformer.data.dataset import Dataset
from recformer.ui.shared import readers
from recformer.ui.shared.words import duration, plain

if TYPE_CHECKING:
    from recformer.training.engine import EnginePlan
    from recformer.training.measure import Speed


def what_will_happen(config: TrainConfig, epochs: int, data: Dataset, device: str) -> str:
    """What `epochs` more epochs are, how long they take here, and what computes them."""
    # The name, the seed and how often it saves change nothing that is measured.
    measured = config.model_copy(
        update={"name": "measured", "seed": 0, "save_minutes": 1.0, "save_steps": 0, "num_epochs": 1}
    )
    estimate = readers.estimate(measured.model_dump_json(), data.fingerprint, data, device)
    task = f"{_count(epochs, 'epoch')} on {data.name}"
    size = (
        f"{estimate.parameters:,} parameters · {_count(estimate.windows, 'training window')} · "
        f"{_count(estimate.steps_per_epoch, 'step')} an epoch."
    )
    speed = estimate.speed
    if speed is None:
        return (
            f"**{task}**. {size}  \nToo large a model to be measured while you wait, so there is no estimate: "
            "Monitor says how fast it is after its first steps."
        )
    seconds = speed.begin_s + speed.epoch_s * epochs
    return (
        f"**{task}, about {duration(seconds)}** at {speed.windows_per_s:,.0f} windows/s, measured here. {size}  \n"
        f"{_engine_words(estimate.plan, speed)}"
    )


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def _engine_words(planned: "EnginePlan", speed: "Speed") -> str:
    """Which engine computes the steps and why, and how fast each that can be had is here."""
    if planned.engines == ("compiled",):
        return (
            f"Engine: **compiled**, as asked for: {plain(planned.compiling)}. The estimate counts the time before the "
            "first step, and steps as fast as without."
        )
    engines = speed.engines
    if engines.problem:
        return f":orange[:material/info: {plain(engines.problem)}]"
    if len(engines.windows_per_s) > 1:
        return f"Engine: **{engines.fastest}** ({plain(planned.why)}: {engines})."
    return f"Engine: **{engines.fastest}** ({plain(planned.why)}). Not compiled: {plain(planned.compiling)}."
