"""The same ways on a GPU: train, stop, resume, evaluate, and the machine's load."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch

from recformer.jobs.devices import loads, queue_of
from recformer.run.overview import find_run
from recformer.run.paths import Root
from tests.builders import sequences, write_ml1m
from tests.training_helpers import SMALL_SET, curves, environment, run_cli, signal_at_step, started_cli

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU on this machine")

EPOCHS = 3
RUN = ["train", "--preset", "baseline", "--set", "batch_size=8", f"num_epochs={EPOCHS}", *SMALL_SET]


@pytest.fixture(autouse=True)
def gpu_for_child_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.training_helpers.environment", lambda root, **more: _with_gpu(root, **more))


def _with_gpu(root: Path, **more: str) -> dict[str, str]:
    variables = environment(root, **more)
    del variables["CUDA_VISIBLE_DEVICES"]
    return variables


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_ml1m(tmp_path / "long", sequences(num_users=60, num_items=80, shortest=50, longest=70))


def test_a_run_stopped_on_the_gpu_goes_on_from_its_step_and_is_evaluated_alike_on_both(root: Root, data: Path) -> None:
    arguments = [*RUN, "--data", data, "--run-id", "one", "--device", "auto"]
    with started_cli(root.path, *arguments) as process:
        signal_at_step(process, root.run("one"), 20, signal.SIGTERM)
    stopped = find_run(root, "one")
    assert stopped.state.name == "stopped"
    assert stopped.status and stopped.status.device == "cuda:0"
    result = run_cli(root.path, "train", "--resume", "one", "--data", data, "--device", "cuda:0")
    assert result.returncode == 0, result.stderr
    assert find_run(root, "one").state.name == "finished"
    assert curves(root.run("one"))["loss/train"][0] == list(range(1, EPOCHS + 1))

    on_gpu, on_cpu = (_evaluated(root, data, device) for device in ("cuda:0", "cpu"))
    for name, figures in on_cpu.items():
        assert on_gpu[name]["mean"] == pytest.approx(figures["mean"], abs=0.02), name  # a tie may break otherwise


def test_the_gpu_has_a_queue_and_a_load() -> None:
    assert queue_of("auto") == "cuda:0"
    gpu = next(load for load in loads() if load.device == "cuda:0")
    assert gpu.name == torch.cuda.get_device_name(0)
    assert 0 < gpu.memory_used < gpu.memory_total


def _evaluated(root: Root, data: Path, device: str) -> dict[str, dict[str, float]]:
    shutil.rmtree(root.run("one") / "eval", ignore_errors=True)  # else the second would read what the first computed
    result = run_cli(root.path, "evaluate", "one", "--data", data, "--device", device, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["results"][0]["metrics"]
