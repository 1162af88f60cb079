"""How long a configuration will take on this machine: a short measurement of the very steps it would train."""

import statistics
import time
from dataclasses import dataclass

import torch

from recformer.config import TrainConfig
from recformer.data.prepared import Prepared
from recformer.registry import LOSSES, MODELS
from recformer.training.loop import EpochBatches, validate
from recformer.training.run import sizes_of

SECONDS = 1.0
FEWEST_STEPS = 3


@dataclass(frozen=True)
class Estimate:
    """What a run will be."""

    parameters: int
    """Trainable values."""
    windows: int
    """Training cases of one epoch."""
    steps_per_epoch: int
    windows_per_s: float
    """Measured, without compilation."""
    seconds: float
    """Estimate for all epochs, validation included."""


def measure(config: TrainConfig, prepared: Prepared, device: torch.device) -> Estimate:
    """Train a throw-away model for about a second, validate once, and extrapolate.

    Nothing is written; the random state of this process is left as it was. Raises DataError when the split is empty.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = MODELS.get(config.model.name)(config.model, sizes_of(prepared.windows, prepared.dataset.num_users))
        model.to(device).train()
        batches = EpochBatches(prepared, config, device)
        rate = _windows_per_s(model, batches, config)
        started = time.perf_counter()
        validate(model, prepared, config, device)
        validation = time.perf_counter() - started
    windows = len(prepared.split.train)
    return Estimate(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        windows=windows,
        steps_per_epoch=batches.steps,
        windows_per_s=rate,
        seconds=config.num_epochs * (windows / rate + validation),
    )


def _windows_per_s(model: torch.nn.Module, batches: EpochBatches, config: TrainConfig) -> float:
    """From the median step: the first ones warm up caches, and another process may disturb some."""
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    loss_function = LOSSES.get(config.loss.name)(config.loss)
    seconds_per_window: list[float] = []
    begun = last = time.perf_counter()
    for seen, targets in batches.epoch(0, 0):
        loss = loss_function(model(seen.window, seen.users), targets, seen)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()  # wait for the device
        now = time.perf_counter()
        seconds_per_window.append((now - last) / len(targets))
        last = now
        if len(seconds_per_window) >= FEWEST_STEPS and now - begun > SECONDS:
            break
    return 1 / statistics.median(seconds_per_window)
