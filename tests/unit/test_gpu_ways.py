"""What is meant for GPUs, as far as a CPU can run it: no step waits for the device, and the benchmark's ways train."""

from itertools import islice
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import gpu
from recformer.config import parse_section
from recformer.data.prepared import Prepared, prepare
from recformer.registry import LOSSES
from recformer.training.engine import build
from recformer.training.initialisation import new_model
from recformer.training.window_batches import WindowBatches
from tests.builders import dataset_of
from tests.training_helpers import small_config

CPU = torch.device("cpu")
ATEN = torch.ops.aten
WAITING = {ATEN._local_scalar_dense.default, ATEN.nonzero.default, ATEN.masked_select.default, ATEN.equal.default}


class WaitedError(AssertionError):
    """An operation whose result the host must have before it goes on."""


class NothingWaits(TorchDispatchMode):
    """While on, an operation that would make the host wait for a GPU raises WaitedError."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        by_marks = func is ATEN.index.Tensor and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if func in WAITING or by_marks:
            raise WaitedError(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    dataset = dataset_of([[(start + step) % 50 for step in range(20)] for start in range(40)], num_items=50)
    return prepare(dataset, small_config().split)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile traces the model whole, as for a GPU, and leaves it at that: C++ code for it is test_engine's."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, **_: real(model, fullgraph=True, backend="aot_eager"))


@pytest.mark.parametrize("wait", [lambda x: x.item(), lambda x: x.nonzero(), lambda x: x[x > 0], lambda x: bool(x)])
def test_what_waits_is_seen(wait: Any) -> None:
    with NothingWaits(), pytest.raises(WaitedError):
        wait(torch.ones(1))


@pytest.mark.parametrize("loss", LOSSES.names())
def test_an_epochs_steps_never_wait_for_the_device(prepared: Prepared, loss: str) -> None:
    config = small_config(loss=parse_section("loss", loss).model_dump())
    model, batches = new_model(config, prepared).train(), WindowBatches(prepared, config, CPU)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    step = build("eager", config, model, optimizer, batches.first).step
    running, steps = torch.zeros((), dtype=torch.float64), 0
    with NothingWaits():
        for batch in batches.epoch(0, 0):
            running += step(batch) * len(batch)
            steps += 1
    assert steps == batches.steps > 1
    assert torch.isfinite(running)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("options", [{}, {"precision": "high"}, {"bfloat16": True}, {"compiled": True}])
def test_every_way_of_the_gpu_benchmark_learns(prepared: Prepared, options: dict[str, Any]) -> None:
    way = gpu.ours(small_config(learning_rate=0.01), prepared, CPU, **options)
    losses = [float(loss) for loss, _ in islice(way.steps, 100)]
    assert sum(losses[-10:]) < sum(losses[:10]) - 10 * 0.5


@pytest.mark.usefixtures("traced")
def test_the_gpu_benchmark_runs_to_its_end(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "SECONDS", 0.01)
    monkeypatch.setattr(gpu, "REPEATS", 1)
    monkeypatch.setattr(gpu, "FLOATS", 2**10)
    figures = gpu.measured(small_config(), prepared, CPU)
    ways = ("eager", "TF32", "bfloat16", "CUDA graphs")
    assert [sum(f"device, {way}" in figure.what for figure in figures) for way in ways] == [3, 3, 3, 3]
    assert all(figure.median > 0 for figure in figures)
