"""How long a configuration will take on this machine: a short measurement of the very steps it would train."""

import statistics
import time
from dataclasses import dataclass

import torch

from recformer.config import TrainConfig
from recformer.data.prepared import Prepared
from recformer.training.batches import EpochBatches
from recformer.training.engine import Built, Engine, Plan, build, plan
from recformer.training.initialisation import new_model
from recformer.training.loop import validate

SECONDS, SECONDS_EAGER = 1.0, 0.4
FEWEST_STEPS = 3


@dataclass(frozen=True)
class Estimate:
    """What a run will be."""

    parameters: int
    """Trainable values."""
    windows: int
    """Training cases of one epoch."""
    steps_per_epoch: int
    plan: Plan
    """The engine that it will begin on, and why."""
    engine: Engine
    """The engine measured: another than planned where that cannot be had, or takes too long to build for a look."""
    problem: str | None
    build_s: float
    """Seconds that building the engine took."""
    windows_per_s: float
    eager_windows_per_s: float
    """The same on the eager engine."""
    begin_s: float
    """Estimate of the seconds until the first step: the model and its engine."""
    epoch_s: float
    """Estimate of an epoch's seconds, validation included."""


def measure(config: TrainConfig, prepared: Prepared, device: torch.device) -> Estimate:
    """Train a throw-away model for about a second, validate once, and extrapolate.

    Nothing is written; the random state of this process is left as it was. Raises DataError when the split is empty.
    """
    planned = plan(config, device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        began = time.perf_counter()
        model = new_model(config, prepared).to(device).train()
        batches = EpochBatches(prepared, config, device)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
        initialised = time.perf_counter()
        # Compiling takes half a minute: too long for a look at the form.
        wanted = "eager" if planned.engine == "compiled" else planned.engine
        built = build(wanted, config, model, optimizer, batches.first)
        ready = time.perf_counter()
        rate = _windows_per_s(built, batches, SECONDS)
        eager_rate = rate
        if built.engine != "eager":
            eager = build("eager", config, model, optimizer, batches.first)
            eager_rate = _windows_per_s(eager, batches, SECONDS_EAGER)
        trained = time.perf_counter()
        validate(model, prepared, config, device)
        validation_s = time.perf_counter() - trained
    windows = len(prepared.split.train)
    return Estimate(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        windows=windows,
        steps_per_epoch=batches.steps,
        plan=planned,
        engine=built.engine,
        problem=built.problem,
        build_s=ready - initialised,
        windows_per_s=rate,
        eager_windows_per_s=eager_rate,
        begin_s=ready - began,
        epoch_s=windows / rate + validation_s,
    )


def _windows_per_s(built: Built, batches: EpochBatches, seconds: float) -> float:
    """From the median step: the first ones warm up caches, and another process may disturb some."""
    seconds_per_window: list[float] = []
    begun = last = time.perf_counter()
    for seen, targets in batches.epoch(0, 0):
        built.step(seen, targets).item()  # wait for the device
        now = time.perf_counter()
        seconds_per_window.append((now - last) / len(targets))
        last = now
        if len(seconds_per_window) >= FEWEST_STEPS and now - begun > seconds:
            break
    return 1 / statistics.median(seconds_per_window)
