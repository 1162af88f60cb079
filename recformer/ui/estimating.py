"""The words about a training before it is launched: its size, how long it takes here, and what computes it."""

from typing import TYPE_CHECKING

from recformer.config import TrainConfig
from recformer.data.dataset import Dataset
from recformer.ui import readers
from recformer.ui.words import duration, plain

if TYPE_CHECKING:
    from recformer.training.engine import Plan
    from recformer.training.measure import Speed

LOADING_S = 1.0  # an engine that was built before is there sooner; building one takes several seconds


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


def _engine_words(planned: "Plan", speed: "Speed") -> str:
    """Which engine computes the steps and why, what its first step costs, and what each step gains."""
    if planned.engine == "compiled":
        return (
            f"Engine: **compiled**, as asked for: {plain(planned.compiling)}. The estimate counts the time before the "
            "first step, and steps as fast as without."
        )
    if speed.problem:
        return f":orange[:material/info: {plain(speed.problem)}]"
    if planned.engine == "eager":
        return f"Engine: **eager** ({plain(planned.why)}). Not compiled: {plain(planned.compiling)}."
    gain = speed.windows_per_s / speed.eager_windows_per_s
    was_built = speed.build_s > LOADING_S
    built = f"built here in {speed.build_s:.1f} s, kept for next time" if was_built else "built before"
    return f"Engine: **native** ({plain(planned.why)}; {built}), {gain:.1f} × as fast as PyTorch's own steps here."
