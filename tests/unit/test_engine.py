"""Which engine computes a configuration's steps, what it says, and that each of them trains the same."""

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recformer.config import TrainConfig
from recformer.data.prepared import Prepared, prepare
from recformer.model.native import build as native_build
from recformer.registry import MODELS
from recformer.training import engine_choice
from recformer.training import measure as measuring
from recformer.training.engine import Built, Engine, build, plan
from recformer.training.engine_choice import EngineChoice, choose
from recformer.training.initialisation import new_model, sizes_of
from recformer.training.measure import COMPILING_S, STARTING_S, Speed, measure
from recformer.training.resume_state import TrainState
from recformer.training.window_batches import WindowBatches
from tests.builders import dataset_of
from tests.training_helpers import SMALL_MODEL, small_config

CPU = torch.device("cpu")
ENGINES: list[Engine] = ["native", "compiled", "eager"]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    dataset = dataset_of([[(start + step) % 50 for step in range(20)] for start in range(40)], num_items=50)
    return prepare(dataset, small_config().split)


def config_of(**changes: Any) -> TrainConfig:
    return small_config(**({"model": SMALL_MODEL | {"dropout": 0.0}} | changes))


def built(name: str, config: TrainConfig, prepared: Prepared) -> tuple[Built, torch.nn.Module, WindowBatches]:
    torch.manual_seed(0)
    model = MODELS.get(config.model.name)(config.model, sizes_of(config, prepared.histories)).train()
    batches = WindowBatches(prepared, config, CPU)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    return build(name, config, model, optimizer, batches.first), model, batches


def test_what_is_asked_for_is_planned() -> None:
    for name in ENGINES:
        planned = plan(config_of(engine=name), CPU)
        assert (planned.engines, planned.why) == ((name,), "asked for")


def test_auto_is_whatever_can_be_had_soon_and_says_why_not_the_native_step() -> None:
    assert plan(config_of(engine="auto"), CPU).engines == ("native", "eager")
    narrow = plan(config_of(engine="auto", model=SMALL_MODEL | {"width": 8}), CPU)
    assert (narrow.engines, narrow.why) == (("eager",), "width = 8 is no multiple of 16")
    on_gpu = plan(config_of(engine="auto"), torch.device("cuda"))
    assert (on_gpu.engines, on_gpu.why) == (("eager",), "the native step is for CPUs")


def test_a_plan_says_what_compiling_costs_and_gains_and_claims_nothing_for_gpus() -> None:
    assert "before the first step" in plan(config_of(), CPU).compiling
    assert "not been measured" in plan(config_of(), torch.device("cuda")).compiling


def test_every_engine_trains_the_same(prepared: Prepared) -> None:
    curves: dict[str, list[float]] = {}
    for name in ENGINES:
        made, _, batches = built(name, config_of(engine=name), prepared)
        assert (made.engine, made.problem) == (name, None)
        curves[name] = [float(made.step(batch)) for epoch in range(3) for batch in batches.epoch(epoch, 0)]
    for curve in curves.values():
        np.testing.assert_allclose(curve, curves["eager"], atol=1e-4, rtol=0)
        assert curve[-1] < curve[0] - 0.1


def test_building_leaves_weights_gradients_and_random_numbers_alone(prepared: Prepared) -> None:
    for name in ENGINES:
        _, untouched, _ = built("eager", config_of(), prepared)
        torch.manual_seed(0)
        _, model, _ = built(name, config_of(), prepared)
        drawn = torch.rand(3)
        torch.manual_seed(0)
        built("eager", config_of(), prepared)
        assert torch.equal(drawn, torch.rand(3)), name
        assert all(map(torch.equal, model.parameters(), untouched.parameters())), name
        assert all(parameter.grad is None for parameter in model.parameters()), name


def test_what_cannot_be_had_is_eager_and_says_so(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_build, "COMPILERS", ("no-such-compiler",))
    monkeypatch.delenv("CXX", raising=False)
    made, _, _ = built("native", config_of(), prepared)
    assert made.engine == "eager"
    assert made.problem == (
        "On the eager engine, not the native one (no C++ compiler found (looked for no-such-compiler)): each step "
        "takes longer, and dropout is drawn otherwise, so that results differ as those of another seed do."
    )
    made, _, _ = built("native", config_of(model=SMALL_MODEL | {"width": 8}), prepared)
    assert "width = 8 is no multiple of 16" in str(made.problem)


def test_an_estimate_says_what_it_measured(prepared: Prepared) -> None:
    both = speed_of(config_of(engine="auto"), prepared)
    assert set(both.engines.cases_per_s) == {"native", "eager"} and both.engines.problem is None
    assert both.cases_per_s == max(both.engines.cases_per_s.values()) > 0
    assert both.begin_s >= STARTING_S + both.engines.build_s and both.epoch_s > 0
    eager = speed_of(config_of(engine="eager"), prepared)
    assert list(eager.engines.cases_per_s) == ["eager"]
    asked = speed_of(config_of(engine="compiled"), prepared)
    assert list(asked.engines.cases_per_s) == ["eager"], "half a minute is too long for a look"
    assert asked.begin_s >= STARTING_S + COMPILING_S


def speed_of(config: TrainConfig, prepared: Prepared) -> Speed:
    speed = measure(config, prepared, CPU).speed
    assert speed is not None
    return speed


@pytest.mark.parametrize("shape", [{"width": 4096}, {"num_layers": 48, "width": 512}])
def test_a_model_too_large_to_wait_for_is_counted_but_not_made(
    prepared: Prepared, shape: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "new_model", lambda *_: pytest.fail("it would take the memory"))
    estimate = measure(config_of(model=SMALL_MODEL | shape), prepared, CPU)
    assert estimate.speed is None
    assert estimate.parameters > 10_000_000 and estimate.steps_per_epoch > 0


def test_what_is_counted_without_the_model_is_what_the_model_has(prepared: Prepared) -> None:
    model = new_model(config_of(), prepared)
    assert measure(config_of(), prepared, CPU).parameters == sum(weight.numel() for weight in model.parameters())


def test_a_batch_of_everything_is_measured_by_a_part_of_it(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MOST_ROWS", 8)
    largest = 0

    def watched(*arguments: Any) -> Built:
        made = build(*arguments)

        def step(batch: Any) -> torch.Tensor:
            nonlocal largest
            largest = max(largest, len(batch))
            return made.step(batch)

        return replace(made, step=step)

    monkeypatch.setattr(engine_choice, "build", watched)
    estimate = measure(config_of(batch_size=1_000_000), prepared, CPU)
    assert (largest, estimate.steps_per_epoch) == (8, 1)
    assert estimate.speed is not None


def chosen(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, slow: str, engine: str = "auto"
) -> tuple[EngineChoice, list[str]]:
    """What a run begins with where a step of the engine `slow` takes 50 ms, of others 10, and what was said of it."""
    now = 0.0

    def timed(name: str, *arguments: Any) -> Built:
        made = build(name, *arguments)

        def step(batch: Any) -> torch.Tensor:
            nonlocal now
            now += 0.05 if made.engine == slow else 0.01
            return made.step(batch)

        return replace(made, step=step)

    monkeypatch.setattr(engine_choice, "build", timed)
    monkeypatch.setattr(engine_choice.time, "perf_counter", lambda: now)
    config, said = config_of(engine=engine), list[str]()
    torch.manual_seed(0)
    model = new_model(config, prepared)
    state = TrainState(model, torch.optim.Adam(model.parameters(), lr=0.01, fused=True), CPU)
    before = copy.deepcopy(model.state_dict())
    choice = choose(config, state, WindowBatches(prepared, config, CPU), said.append)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "it trained the run"
    return choice, said


@pytest.mark.parametrize(("slow", "fastest"), [("native", "eager"), ("eager", "native")])
def test_auto_takes_the_engine_that_is_faster_here_and_says_both_figures(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, slow: str, fastest: str
) -> None:
    choice, _ = chosen(prepared, monkeypatch, slow)
    assert (choice.built.engine, choice.problems) == (fastest, [])
    assert re.fullmatch(rf"the fastest as measured here: {fastest} [\d,]+, {slow} [\d,]+ windows/s", choice.why)


def test_auto_without_a_compiler_is_eager_and_says_why_once(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_build, "COMPILERS", ())
    monkeypatch.delenv("CXX", raising=False)
    choice, said = chosen(prepared, monkeypatch, "none")
    assert choice.built.engine == "eager"
    assert len(choice.problems) == 1 and "no C++ compiler found" in choice.problems[0]
    assert said == []


def test_a_build_is_announced_before_it_begins(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _, said = chosen(prepared, monkeypatch, "none", "native")
    assert len(said) == 1 and said[0].startswith("compiling the native engine, once for this shape of model")
    _, said = chosen(prepared, monkeypatch, "none", "native")
    assert said == [], "it is there already"


def test_measuring_leaves_random_numbers_alone(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen(prepared, monkeypatch, "none", "native")
    drawn = torch.rand(3)
    chosen(prepared, monkeypatch, "none", "auto")
    assert torch.equal(drawn, torch.rand(3))
