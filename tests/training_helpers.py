"""Small models, runs made in this process, and the real command line in processes of their own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import nn

from recformer.checkpoint.info import CheckpointInfo
from recformer.checkpoint.load import load
from recformer.checkpoint.weights import read_archive, read_state, write_best
from recformer.cli import commands
from recformer.config import Options, TrainConfig, parse
from recformer.data.dataset import Dataset
from recformer.files.names import PROJECT
from recformer.jobs.launch import claim
from recformer.logs.by_step import by_epoch, by_step
from recformer.logs.reader import RunLog
from recformer.logs.series import Curve
from recformer.model.sizes import Sizes
from recformer.registry import MODELS
from recformer.run.job_records import read_status
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root
from recformer.run.record import Resumption, asked, read_record, write_record
from recformer.training.request import Request
from recformer.training.run import train
from tests.waiting import DEADLINE_S, wait_until

# Sizes that the native engine knows, so that what is trained in tests is trained as what users train.
SMALL_MODEL: dict[str, Any] = {
    "name": "movie_transformer",
    "width": 16,
    "user_width": 16,
    "num_layers": 1,
    "num_heads": 2,
    "hidden_sizes": [16],
}
SMALL_SET = [f"model.{key}={value}" for key, value in SMALL_MODEL.items() if key != "name"]
TAGS = {
    "loss/train",
    "loss/validation",
    "lr",
    "metric/ndcg@10",
    "metric/hr@10",
    "metric/mrr@10",
    "duplication/window@10",
    "throughput/samples_per_s",
}
STEP_TAGS = {"loss/train_step", "lr_step", "throughput/samples_per_s_step"}


def small_config(**changes: Any) -> TrainConfig:
    """A configuration whose training takes a moment, on one engine, whichever is the fastest here."""
    small = {"name": "small", "model": SMALL_MODEL, "num_epochs": 1, "batch_size": 64, "engine": "native"}
    return parse(small | changes)


def sizes_for(dataset: Dataset, window: int = 5) -> Sizes:
    return Sizes(dataset.num_items + 2, dataset.num_users, window)


def small_model(sizes: Sizes, options: Options | None = None, seed: int = 0) -> nn.Module:
    """An untrained model in evaluation mode, the same for the same seed."""
    torch.manual_seed(seed)
    options = options or small_config().model
    return MODELS.get(options.name)(options, sizes).eval()


def save_untrained(
    root: Root, run_id: str, dataset: Dataset, *, seed: int = 0, split: str | None = "leave_last_out", window: int = 5
) -> ModelRef:
    """An untrained model as the best checkpoint of a run, with a record that says what it was trained on."""
    model = small_model(sizes_for(dataset, window), seed=seed)
    config = small_config(split=split or "leave_last_out")
    info = CheckpointInfo(
        run_id=run_id,
        model=config.model.model_dump(mode="json"),
        sizes=vars(sizes_for(dataset, window)),
        dataset={"name": dataset.name, "fingerprint": dataset.fingerprint} if split else None,
        split=config.split.model_dump(mode="json") if split else None,
        ancestors=[] if split else None,
        imported=split is None,
    )
    write_best(root.model(run_id), model, info)
    return find_model(root, run_id)


def spoil(root: Root, run_id: str) -> None:
    """Give a run weights that are not numbers, which nobody sees before they are used."""
    checkpoint = find_model(root, run_id)
    model, info = load(checkpoint.path)
    with torch.no_grad():
        for weights in model.parameters():
            weights.fill_(torch.nan)
    write_best(root.model(run_id), model, info)


def train_here(
    root: Root,
    run_id: str,
    dataset: Dataset,
    config: TrainConfig,
    *,
    resume: bool = False,
    init_from: str | None = None,
) -> str:
    """Train in this process, which pytest's timeout guards."""
    before = read_record(root.run(run_id)) if resume else None
    settings = config.model_dump(mode="json")
    record = asked(root, settings, dataset, "cpu", init_from)
    if before is not None:
        added = Resumption(changes=settings, device="cpu", commit="")
        record = before.model_copy(update={"resumed": [*before.resumed, added]})
    else:
        write_record(root, run_id, record)
    with claim(root, run_id, ["train"], "cpu") as job:
        return train(root, Request(run_id, record, config, dataset, torch.device("cpu")), job.launch)


def environment(root: Path, **more: str) -> dict[str, str]:
    """What a process of the command line is given: its root, one thread, no GPU."""
    return {**os.environ, "RECFORMER_ROOT": str(root), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | more


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "recformer", *map(str, arguments)]


def run_cli(root: Path, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, to its end."""
    options = {"env": environment(root), "cwd": PROJECT} | options
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=200,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def run_here(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line within this process: seconds quicker, for what does not ask about the process itself.

    An exception that would be a traceback fails the test.
    """
    words = ["--root", str(root), *map(str, arguments)]
    said, errors = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["recformer", *words]),
        patch.object(commands, "_root", Root(root)),  # put back afterwards
        redirect_stdout(said),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        commands.main()
    return subprocess.CompletedProcess(words, int(ended.value.code or 0), said.getvalue(), errors.getvalue())


@contextmanager
def started_cli(root: Path, *arguments: object) -> Generator[subprocess.Popen[str]]:
    """The command line in a process of its own, going on beside the test; ended with it."""
    process = subprocess.Popen(
        command(*arguments),
        env=environment(root),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def signal_at_step(process: subprocess.Popen[str], folder: Path, step: int, number: int) -> str:
    """Send a signal once the run's status names `step` or a later one; what it said when it has ended."""

    def reached() -> bool:
        assert process.poll() is None, f"it ended before step {step}"
        status = read_status(folder)
        return status is not None and status.state == "running" and status.step >= step

    wait_until(reached, f"step {step} of {folder.name}", longest_pause_s=0.01)
    process.send_signal(number)
    said, errors = process.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in errors, errors
    return said


def json_of(result: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON document on standard output of a command that did its work."""
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def assert_clear_failure(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Exit code, one message on standard error with `words` in it, no stack trace, nothing on standard output."""
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert len([line for line in result.stderr.splitlines() if line.startswith("error:")]) == 1, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


def curves(folder: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Epochs and values of each tag in a run's log."""
    return {tag: _points(curve) for tag, curve in by_epoch(_scalars(folder)).items()}


def step_curves(folder: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of what a run logged by step, under the tag that says the same by epoch."""
    return {tag: _points(curve) for tag, curve in by_step(_scalars(folder)).items()}


def _scalars(folder: Path) -> dict[str, Curve]:
    log = RunLog(folder)
    log.refresh()
    return log.scalars()


def _points(curve: Curve) -> tuple[list[int], list[float]]:
    return curve.step.tolist(), curve.value.tolist()


def assert_same_state(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Equal keys and bit-equal tensors."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert torch.equal(value, other[key]), key


def _moments(optimizer: Any) -> list[Any]:
    """What an optimizer, or each of several, keeps of each weight."""
    parts = [optimizer] if "state" in optimizer else optimizer.values()
    return [moments for part in parts for moments in part["state"].values()]


def assert_same_training(root: Root, one: str, other: str) -> None:
    """Two runs ended with the same bits: best and last weights, optimizer, random state, position, and log."""
    assert_same_state(
        read_state(root.model(one) / "best.safetensors"), read_state(root.model(other) / "best.safetensors")
    )
    first, second = (read_archive(root.model(run) / "last.pt") for run in (one, other))
    assert_same_state(first["model"], second["model"])
    assert_same_state(first["random"], second["random"])
    assert first["position"] == second["position"]
    for moments, others in zip(*(_moments(last["optimizer"]) for last in (first, second)), strict=True):
        assert_same_state(moments, others)
    timed = "throughput/samples_per_s"
    for read in (curves, step_curves):
        logs = [{tag: curve for tag, curve in read(root.run(run)).items() if tag != timed} for run in (one, other)]
        assert logs[0] == logs[1]
        steps = [read(root.run(run)).get(timed, ([], []))[0] for run in (one, other)]
        assert steps[0] == steps[1]
