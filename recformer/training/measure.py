"""How long a configuration will take on this machine: a short measurement of the very steps it would train."""

import time
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from recformer.config import TrainConfig
from recformer.data.prepared import Prepared
from recformer.registry import MODELS
from recformer.training.batches import batches_of, trains_sequences
from recformer.training.engine import EnginePlan, plan
from recformer.training.engine_choice import SECONDS, Speeds, measure_engines
from recformer.training.initialisation import new_model, sizes_of
from recformer.training.loop import validate
from recformer.training.schedule import validation_steps

# Whoever looks at a form waits for the measurement, in the app's own memory. At these limits it took 17 s and 1.8 GB.
MOST_PARAMETERS = 50_000_000
MOST_OPERATIONS = {"cpu": 40_000_000, "cuda": 4_000_000_000}  # of one case, forward
STEP_OPERATIONS = {"cpu": 50_000_000_000, "cuda": 5_000_000_000_000}  # of a step that is measured: half a second
MOST_ROWS = 4096
STARTING_S = 5.0  # a process, PyTorch and the data before training, and the test figures after it
COMPILING_S = 20.0  # the middle of what was measured (engine.COMPILING)


@dataclass(frozen=True)
class Speed:
    """What was measured."""

    engines: Speeds
    """The fastest of them would train; of torch.compile, which takes too long for a look, the eager engine says it."""
    begin_s: float
    """Estimate of the seconds from the launch until the first step, with what comes after the last one."""
    epoch_s: float
    """Estimate of an epoch's seconds, its validations included."""

    @property
    def cases_per_s(self) -> float:
        return self.engines.cases_per_s[self.engines.fastest]


@dataclass(frozen=True)
class Estimate:
    """What a run will be."""

    parameters: int
    """Trainable values."""
    cases: int
    """Windows or positions that are trained in one epoch."""
    unit: str
    """Which of the two."""
    steps_per_epoch: int
    plan: EnginePlan
    """The engines that it may begin on, and why."""
    speed: Speed | None
    """None for a model that is too large to be measured while somebody waits."""


def measure(config: TrainConfig, prepared: Prepared, device: torch.device) -> Estimate:
    """Train a throw-away model for about a second on each engine, validate once, and extrapolate.

    Nothing is written; the random state of this process is left as it was. Raises DataError when the split is empty.
    """
    parameters, operations = _size_of(config, prepared)
    kind = "cpu" if device.type == "cpu" else "cuda"
    fits = parameters <= MOST_PARAMETERS and operations <= MOST_OPERATIONS[kind]
    rows = min(config.batch_size, MOST_ROWS, STEP_OPERATIONS[kind] // (3 * operations))  # backward is twice forward
    batches = batches_of(prepared, config, torch.device("cpu"))
    return Estimate(
        parameters=parameters,
        cases=batches.cases,
        unit=batches.unit,
        steps_per_epoch=batches.steps,
        plan=plan(config, device),
        speed=_speed(
            config,
            rows,
            prepared,
            device,
            config.validates + len(validation_steps(config.validate_every, batches.steps)),
        )
        if fits
        else None,
    )


def _size_of(config: TrainConfig, prepared: Prepared) -> tuple[int, int]:
    """Trainable values, and operations of one case's forward pass, without the memory or the time of either."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = MODELS.get(config.model.name)(config.model, sizes_of(config, prepared.histories)).eval()
        model(torch.zeros(1, config.window, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    cases = config.window if trains_sequences(config) else 1  # of one row of tokens
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() // cases


def _speed(config: TrainConfig, rows: int, prepared: Prepared, device: torch.device, validations: int) -> Speed:
    config = config.model_copy(update={"batch_size": rows})
    engines = plan(config, device).engines
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        begun = time.perf_counter()
        model = new_model(config, prepared).to(device).train()
        batches = batches_of(prepared, config, device)
        initialised_s = time.perf_counter() - begun
        # Compiling takes half a minute: too long for a look at the form.
        compiles = engines == ("compiled",)
        speeds = measure_engines(("eager",) if compiles else engines, config, model, batches, device)
        rate = speeds.cases_per_s[speeds.fastest]
        validation_s = _validation_s(model, prepared, config, device, rate)
    choosing_s = SECONDS if len(engines) > 1 else 0.0
    return Speed(
        engines=speeds,
        begin_s=STARTING_S + initialised_s + speeds.build_s + choosing_s + (COMPILING_S if compiles else 0.0),
        epoch_s=batches.cases / rate + validations * validation_s,
    )


def _validation_s(
    model: torch.nn.Module, prepared: Prepared, config: TrainConfig, device: torch.device, rate: float
) -> float:
    """Seconds of a validation, from as many of its cases as training takes a second for."""
    cases = prepared.split.validation
    some = cases[: max(int(rate * SECONDS), 1)]
    begun = time.perf_counter()
    validate(model, replace(prepared, split=replace(prepared.split, validation=some)), config, device)
    return (time.perf_counter() - begun) * len(cases) / len(some)
