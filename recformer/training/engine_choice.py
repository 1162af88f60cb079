"""Which engine trains a configuration: the one asked for, or the fastest, measured on the very steps it would take."""

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from recformer.config import TrainConfig
from recformer.model.native.build import BuildError
from recformer.model.native.training_step import needs_building, why_not
from recformer.training.batches import Batches
from recformer.training.engine import Built, build, plan
from recformer.training.optimizer import optimizer_of
from recformer.training.resume_state import TrainState

SECONDS = 1.0  # at most, of each engine
TURN_S = 0.1  # they take turns, so that what disturbs the machine disturbs all
CLEAR = 2.0  # times as fast as all others: no need to go on


@dataclass(frozen=True)
class EngineChoice:
    """A step that works, and what there is to tell about it."""

    built: Built
    why: str
    """Empty for a run that goes on with the engine it had."""
    problems: list[str]


@dataclass(frozen=True)
class Speeds:
    """What was measured."""

    cases_per_s: dict[str, float]
    """Of each engine that can be had, from its median step."""
    build_s: float
    """Seconds that building them took."""
    problem: str | None
    """Why one that was asked about cannot be had."""

    @property
    def fastest(self) -> str:
        return max(self.cases_per_s, key=lambda engine: self.cases_per_s[engine])

    def __str__(self) -> str:
        order = sorted(self.cases_per_s.items(), key=lambda item: -item[1])
        return ", ".join(f"{engine} {rate:,.0f}" for engine, rate in order)


def choose(config: TrainConfig, state: TrainState, batches: Batches, say: Callable[[str], None]) -> EngineChoice:
    """The engine that the run had, the one asked for, or the fastest; `say` is told of what takes long."""
    planned = plan(config, state.device)
    resumed = state.engine if config.engine == "auto" else None
    engines: tuple[str, ...] = (resumed,) if resumed else planned.engines
    _announce(engines, config, planned.compiling, say)
    why, problems, engine = "" if resumed else planned.why, list[str](), engines[0]
    if len(engines) > 1:
        speeds = measure_engines(engines, config, state.model, batches, state.device)
        engine, why = speeds.fastest, f"{why}: {speeds} {batches.unit}/s"
        problems += [speeds.problem] if speeds.problem else []
    built = build(engine, config, state.model, state.optimizer, batches.first)
    if built.problem:
        problems.append(built.problem)
        why = ""
    return EngineChoice(built, why, problems)


def _announce(engines: Sequence[str], config: TrainConfig, compiling: str, say: Callable[[str], None]) -> None:
    if "compiled" in engines:
        say(f"compiling: {compiling}")
    with suppress(BuildError):  # said when it is to be built
        if "native" in engines and why_not(config) is None and needs_building(config):
            say("compiling the native engine, once for this shape of model on this machine: some 5 s")


def measure_engines(
    engines: Sequence[str], config: TrainConfig, model: nn.Module, batches: Batches, device: torch.device
) -> Speeds:
    """Train throw-away copies of `model` for up to a second on each engine.

    The model and the random state of this process are left as they were.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        begun = time.perf_counter()
        built = [_built(engine, config, model, batches) for engine in engines]
        build_s = time.perf_counter() - begun
        runs = {each.engine: _Run(each, batches) for each in built}  # one that cannot be had is eager, too
        while any(run.seconds < SECONDS for run in runs.values()) and not _is_clear(list(runs.values())):
            for run in runs.values():
                run.take_turn()
    problem = next((each.problem for each in built if each.problem), None)
    return Speeds({engine: run.cases_per_s for engine, run in runs.items()}, build_s, problem)


def _built(engine: str, config: TrainConfig, model: nn.Module, batches: Batches) -> Built:
    trained = copy.deepcopy(model).train()
    return build(engine, config, trained, optimizer_of(config, trained), batches.first)


class _Run:
    """One engine's steps so far; the first, which fills caches, is not counted."""

    def __init__(self, built: Built, batches: Batches) -> None:
        self._step = built.step
        self._batches = _endless(batches)
        self._seconds_per_case: list[float] = []
        self.seconds = 0.0
        self._take_step()

    @property
    def cases_per_s(self) -> float:
        return 1 / statistics.median(self._seconds_per_case)

    def take_turn(self) -> None:
        end = self.seconds + TURN_S
        while self.seconds < end:
            seconds, cases = self._take_step()
            self.seconds += seconds
            self._seconds_per_case.append(seconds / cases)

    def _take_step(self) -> tuple[float, int]:
        batch = next(self._batches)
        begun = time.perf_counter()
        self._step(batch).item()  # wait for the device
        return time.perf_counter() - begun, len(batch)


def _is_clear(runs: list[_Run]) -> bool:
    if len(runs) < 2 or not all(run.seconds for run in runs):
        return False
    second, first = sorted(run.cases_per_s for run in runs)[-2:]
    return first > CLEAR * second


def _endless(batches: Batches) -> Iterator[Any]:
    epoch = 0
    while True:
        yield from batches.epoch(epoch, 0)
        epoch += 1
