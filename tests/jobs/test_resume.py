"""Interrupted anywhere and resumed, a run ends with the bits of one that was not; and what is said of what is not whole."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recformer.checkpoint.weights import read_archive
from recformer.config import TrainConfig
from recformer.data.dataset import Dataset
from recformer.errors import RecformerError
from recformer.evaluation import ranker
from recformer.files.names import PROJECT
from recformer.loss.cross_entropy import CrossEntropy
from recformer.registry import LOSSES
from recformer.run.job_records import read_status
from recformer.run.paths import Root, can_resume
from recformer.training import loop
from recformer.training.loop import OutOfMemoryError
from recformer.training.resume_state import TrainState, newest_saved
from recformer.training.sequence_batches import SequenceBatches
from recformer.training.window_batches import WindowBatches
from tests.builders import dataset_in, sequences, write_ml1m
from tests.effort import examples
from tests.training_helpers import (
    SMALL_MODEL,
    SMALL_SET,
    assert_clear_failure,
    assert_same_training,
    curves,
    environment,
    run_cli,
    run_here,
    small_config,
    train_here,
)

EPOCHS = 3
# Dropout, a schedule that moves each epoch, shuffling, and an epoch of eight steps of which the last is smaller.
EXACT: dict[str, Any] = {
    "num_epochs": EPOCHS,
    "model": SMALL_MODEL | {"dropout": 0.3},
    "schedule": "cosine",
    "schedule_period": 2,
    "learning_rate": 0.01,
}
WITHIN = EXACT | {"validate_every": 0.4, "best_by": "loss"}
# Runs that are compared bit by bit name their engine: what is the fastest is measured, and may be another each time.
SMALL_RUN = ["--preset", "baseline", "--set", "batch_size=64", "engine=native", *SMALL_SET, "--device", "cpu"]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_in(tmp_path_factory.mktemp("data") / "small")


@pytest.fixture(scope="module", autouse=True)
def validation_in_several_batches() -> Generator[None]:
    with patch.object(ranker, "BATCH", 8):
        yield


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with run `whole`: all epochs in one go."""
    root = Root(tmp_path_factory.mktemp("whole"))
    assert train_here(root, "whole", dataset, small_config(**EXACT)) == "finished"
    return root


@pytest.fixture(scope="module")
def whole_within(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with run `whole`: all epochs in one go, validated within each of them."""
    root = Root(tmp_path_factory.mktemp("within"))
    assert train_here(root, "whole", dataset, small_config(**WITHIN)) == "finished"
    return root


class KilledError(BaseException):
    """Ends training in this process as a kill would: nothing more is saved or said."""


@contextmanager
def interrupted_at(event: int, how: str) -> Generator[None]:
    """Stop or kill within the `event`th batch from now, of training or validation; the 0th is before all of them."""
    count = 0

    def strike() -> None:
        if how == "kill":
            raise KilledError
        signal.raise_signal(signal.SIGTERM)

    def counted(real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count == event:
                strike()
            return real(*arguments)

        return call

    def start(*arguments: Any) -> None:
        real_init(*arguments)
        if event == 0:
            strike()

    real_init = WindowBatches.__init__
    with (
        patch.object(WindowBatches, "_gather", counted(WindowBatches._gather)),  # pyright: ignore[reportPrivateUsage]
        patch.object(SequenceBatches, "_gather", counted(SequenceBatches._gather)),  # pyright: ignore[reportPrivateUsage]
        patch.object(loop, "rank_batch", counted(loop.rank_batch)),
        patch.object(WindowBatches, "__init__", start),
    ):
        yield


def train_through(root: Root, dataset: Dataset, config: TrainConfig, breaks: list[tuple[int, str]]) -> None:
    """Train run `run` to its end through interruptions."""
    for event, how in breaks:
        with interrupted_at(event, how), suppress(KilledError):
            if train_here(root, "run", dataset, config, resume=can_resume(root, "run")) == "finished":
                return
            assert can_resume(root, "run"), "it stopped without saving"
    assert train_here(root, "run", dataset, config, resume=can_resume(root, "run")) == "finished"


def assert_is_whole(root: Root, whole: Root) -> None:
    for of in (Root.run, Root.model):
        of(root, "whole").symlink_to(of(whole, "whole"))
    assert_same_training(root, "run", "whole")
    assert all(steps == list(range(1, EPOCHS + 1)) for steps, _ in curves(root.run("run")).values())


def steps_an_epoch(whole: Root) -> int:
    status = read_status(whole.run("whole"))
    assert status is not None
    return status.steps // EPOCHS


@settings(max_examples=examples(8))
@given(
    st.lists(st.tuples(st.integers(0, 45), st.sampled_from(["stop", "kill"])), min_size=1, max_size=4),
    st.sampled_from([{"save_steps": 3}, {"save_steps": 1}, {"save_minutes": 0}]),
)
@example([(0, "stop"), (0, "stop"), (1, "kill")], {"save_steps": 5})
@example([(5, "stop"), (2, "stop"), (9, "stop"), (2, "stop")], {"save_minutes": 1})
@example([(5, "kill"), (20, "kill"), (9, "stop")], {"save_steps": 2})
def test_a_run_interrupted_anywhere_however_often_ends_with_the_bits_of_one_that_was_not(
    dataset: Dataset, whole: Root, breaks: list[tuple[int, str]], saves: dict[str, int]
) -> None:
    look_s = 0 if saves.get("save_minutes") == 0 else 1000  # the loss is read after each step, or only for a save
    with tempfile.TemporaryDirectory() as name, patch.object(loop, "LOOK_S", look_s):
        train_through(Root(Path(name)), dataset, small_config(**EXACT, **saves), breaks)
        assert_is_whole(Root(Path(name)), whole)


@settings(max_examples=examples(4))
@given(
    st.lists(st.tuples(st.integers(0, 55), st.sampled_from(["stop", "kill"])), min_size=1, max_size=4),
    st.sampled_from([{"save_steps": 3}, {"save_steps": 1}, {"save_minutes": 0}]),
)
@example([(5, "stop"), (1, "stop"), (2, "kill"), (3, "stop")], {"save_steps": 1})  # in the first validation, twice
@example([(5, "kill"), (12, "kill")], {"save_steps": 3})
@example([(5, "stop"), (6, "kill")], {"save_steps": 3})  # in the first validation, then right after it
def test_a_run_validated_within_its_epochs_and_interrupted_anywhere_ends_with_the_bits_of_one_that_was_not(
    dataset: Dataset, whole_within: Root, breaks: list[tuple[int, str]], saves: dict[str, int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        train_through(Root(Path(name)), dataset, small_config(**WITHIN, **saves), breaks)
        assert_is_whole(Root(Path(name)), whole_within)


@pytest.mark.parametrize("loss", LOSSES.names())
def test_a_run_of_any_loss_stopped_and_killed_ends_with_the_bits_of_one_that_was_not(
    loss: str, root: Root, dataset: Dataset
) -> None:
    options = {"name": loss} | ({"of": "history"} if "of" in LOSSES.get(loss).Options.model_fields else {})
    config = small_config(**EXACT, loss=options, save_steps=3)
    assert train_here(root, "whole", dataset, config) == "finished"
    train_through(root, dataset, config, [(5, "kill"), (8, "stop")])
    assert_same_training(root, "run", "whole")


def test_a_running_mean_of_the_weights_goes_on_bit_for_bit(root: Root, dataset: Dataset) -> None:
    config = small_config(**EXACT, averaging=0.9, save_steps=3)
    assert train_here(root, "whole", dataset, config) == "finished"
    train_through(root, dataset, config, [(5, "kill"), (8, "stop")])
    assert_same_training(root, "run", "whole")
    mean, weights = (read_archive(root.model("whole") / "last.pt")[part] for part in ("averaged", "model"))
    assert mean.keys() == weights.keys()
    assert any(not torch.equal(mean[name], weights[name]) for name in weights)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_a_run_of_whole_histories_stopped_and_killed_ends_with_the_bits_of_one_that_was_not(
    optimizer: str, root: Root, dataset: Dataset
) -> None:
    changes = {"model": {"name": "sasrec", "width": 16, "dropout": 0.3}, "loss": {"name": "masked_softmax"}}
    more = {"optimizer": optimizer, "clip_norm": 0.5, "schedule": "one_cycle", "batch_size": 20, "engine": "eager"}
    more["negatives"] = 8 if optimizer == "adamw" else 0  # drawn anew in each step
    config = small_config(**(EXACT | changes | more), save_steps=3)
    assert train_here(root, "whole", dataset, config) == "finished"
    train_through(root, dataset, config, [(2, "kill"), (4, "stop"), (5, "kill")])
    assert_same_training(root, "run", "whole")


def test_a_stop_in_validation_leaves_the_epoch_unfinished_and_validates_anew(
    root: Root, dataset: Dataset, whole: Root
) -> None:
    steps = steps_an_epoch(whole)
    with interrupted_at(steps + 2, "stop"):
        assert train_here(root, "run", dataset, small_config(**EXACT)) == "stopped"
    position = newest_saved(root.model("run")).content.position
    assert (position.epoch, position.step) == (0, steps)
    assert curves(root.run("run")) == {}
    assert train_here(root, "run", dataset, small_config(**EXACT), resume=True) == "finished"
    assert_is_whole(root, whole)
    throughput = curves(root.run("run"))["throughput/samples_per_s"][1]
    assert min(throughput) > 1, "an epoch's time outlives the interruption"


def test_a_stop_before_the_first_step_saves_and_trains_none(root: Root, dataset: Dataset) -> None:
    for resume in (False, True):
        with interrupted_at(0, "stop"):
            assert train_here(root, "run", dataset, small_config(**EXACT), resume=resume) == "stopped"
        position = newest_saved(root.model("run")).content.position
        assert (position.epoch, position.step, position.cases) == (0, 0, 0)


def test_saves_by_steps_count_the_steps_of_the_whole_training(root: Root, dataset: Dataset, whole: Root) -> None:
    saved: list[int] = []
    real = TrainState.save

    def save(state: TrainState, *arguments: Any) -> None:
        saved.append(state.position.epoch * steps + state.position.step)
        real(state, *arguments)

    steps = steps_an_epoch(whole)
    config = small_config(**EXACT, save_steps=5)
    with patch.object(TrainState, "save", save):
        train_through(root, dataset, config, [(7, "stop"), (steps, "kill")])
    assert saved[:2] == [5, 6]
    assert [step for step in dict.fromkeys(saved) if step % 5 == 0] == list(range(5, EPOCHS * steps, 5))
    assert saved[-1] == EPOCHS * steps


def test_a_stop_in_the_last_evaluation_skips_it_and_the_run_is_finished(
    root: Root, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = ranker.native_model

    def stopped(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(ranker, "native_model", stopped)  # it begins an evaluation of all users
    assert train_here(root, "run", dataset, small_config()) == "finished"
    assert "evaluation: stopped before its end" in capsys.readouterr().out
    assert not (root.run("run") / "eval").exists()
    status = read_status(root.run("run"))
    assert status is not None
    assert status.state == "finished"


def run_with(code: str, root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, after `code` has been run there."""
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nfrom recformer.cli.commands import main\nmain()", *map(str, arguments)],
        env=environment(root),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


# Signals sent by the process to itself come at the same step on a fast and on a slow machine.
STOP_AT_STEP_60 = """
import os, signal
from recformer.training.sequence_batches import SequenceBatches
from recformer.training.window_batches import WindowBatches
real = WindowBatches.epoch
def epoch(batches, epoch, first_step):
    for step, batch in enumerate(real(batches, epoch, first_step)):
        if step == 60:
            os.kill(os.getpid(), signal.SIGTERM)
        yield batch
WindowBatches.epoch = epoch
"""


STOP_IN_VALIDATION = """
import os, signal
from recformer.evaluation import ranker
from recformer.training import loop
real = loop.rank_batch
def rank_batch(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return real(*arguments)
ranker.BATCH, loop.rank_batch = 16, rank_batch
"""


KILL_AFTER_TWO_EPOCHS = """
import os, signal
from recformer.training.sequence_batches import SequenceBatches
from recformer.training.window_batches import WindowBatches
real = WindowBatches.epoch
def epoch(batches, epoch, first_step):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(batches, epoch, first_step)
WindowBatches.epoch = epoch
"""


def test_a_real_process_stopped_killed_and_stopped_in_validation_ends_with_the_bits_of_one_that_was_not(
    root: Root, tmp_path: Path
) -> None:
    data = write_ml1m(tmp_path / "long", sequences(num_users=60, num_items=80, shortest=50, longest=70))
    exact = ["schedule=cosine", "schedule_period=2", "model.dropout=0.3", "save_steps=50", f"num_epochs={EPOCHS}"]
    exact += ["engine=native"]
    arguments = ["train", "--preset", "baseline", "--data", data, "--device", "cpu"]
    arguments += ["--set", "batch_size=8", *SMALL_SET, *exact]
    again = ["train", "--resume", "run", "--device", "cpu"]
    result = run_cli(root.path, *arguments, "--run-id", "whole")
    assert result.returncode == 0, result.stderr
    steps = steps_an_epoch(root)
    result = run_with(STOP_AT_STEP_60, root.path, *arguments, "--run-id", "run")
    assert result.stdout.splitlines()[-1] == "run: stopped", result.stderr
    position = newest_saved(root.model("run")).content.position
    assert (position.epoch, position.step) == (0, 60)
    result = run_with(STOP_IN_VALIDATION, root.path, *again)
    assert result.stdout.splitlines()[-1] == "run: stopped", result.stderr
    position = newest_saved(root.model("run")).content.position
    assert (position.epoch, position.step) == (0, steps), "it was stopped in validation"
    assert run_with(KILL_AFTER_TWO_EPOCHS, root.path, *again).returncode == -signal.SIGKILL
    position = newest_saved(root.model("run")).content.position
    assert (position.epoch, position.step) == (1, steps - 2 * steps % 50), "the second epoch is logged, not saved"
    assert run_cli(root.path, *again).returncode == 0
    assert_same_training(root, "run", "whole")
    events = EventAccumulator(str(root.run("run"))).Reload()  # TensorBoard's own reader
    for tag in events.Tags()["scalars"]:
        assert [point.step for point in events.Scalars(tag)] == list(range(1, EPOCHS + 1)), tag


@pytest.fixture
def damaged(root: Root, dataset: Dataset) -> Root:
    """A root whose run `run` was stopped in its second epoch, then its last.pt cut."""
    with interrupted_at(14, "stop"):
        assert train_here(root, "run", dataset, small_config(**EXACT, save_steps=5)) == "stopped"
    last = root.model("run") / "last.pt"
    last.write_bytes(last.read_bytes()[:-1000])
    return root


def test_a_run_whose_last_save_is_damaged_goes_on_from_the_one_before_and_says_so(
    damaged: Root, dataset: Dataset, whole: Root
) -> None:
    words = "last.pt is cut off or damaged: the run goes on from previous.pt"
    result = run_here(damaged.path, "train", "--resume", "run", "--data", dataset.source, "--device", "cpu")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(words) == 1
    assert (damaged.run("run") / "train.log").read_text().count(words) == 1
    status = read_status(damaged.run("run"))
    assert status is not None
    assert status.message is not None
    assert status.message.startswith(words)
    assert status.state == "finished"
    assert_is_whole(damaged, whole)


def test_a_run_with_the_previous_save_alone_is_resumed(damaged: Root, dataset: Dataset, whole: Root) -> None:
    (damaged.model("run") / "last.pt").unlink()
    result = run_here(damaged.path, "train", "--resume", "run", "--data", dataset.source, "--device", "cpu")
    assert result.returncode == 0, result.stderr
    assert "last.pt is missing: the run goes on from previous.pt" in result.stdout
    assert_is_whole(damaged, whole)


def test_a_run_whose_two_saves_are_damaged_is_not_resumed_and_says_what_to_do(damaged: Root) -> None:
    (damaged.model("run") / "previous.pt").write_bytes(b"")
    result = run_here(damaged.path, "train", "--resume", "run", "--device", "cpu")
    names = [str(damaged.model("run") / name) for name in ("last.pt", "previous.pt")]
    assert_clear_failure(result, 1, "'run' cannot be resumed", *names, "train --init-from run/best")


def test_a_finished_run_whose_last_save_is_damaged_can_train_its_end_again(
    root: Root, dataset: Dataset, whole: Root
) -> None:
    train_here(root, "run", dataset, small_config(**EXACT, save_steps=5))
    (root.model("run") / "last.pt").write_bytes(b"")
    result = run_here(root.path, "train", "--resume", "run", "--data", dataset.source, "--device", "cpu")
    assert result.returncode == 0, result.stderr
    assert_is_whole(root, whole)
    result = run_here(root.path, "train", "--resume", "run", "--data", dataset.source, "--device", "cpu")
    assert_clear_failure(result, 2, "has trained 3 epochs already")


def test_a_run_resumed_with_another_number_of_threads_says_that_its_bits_may_differ(
    root: Root, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_here(root, "run", dataset, small_config())
    threads = torch.get_num_threads()
    monkeypatch.setattr("torch.get_num_threads", lambda: threads + 1)
    arguments = ["train", "--resume", "run", "--set", "num_epochs=2", "--data", dataset.source, "--device", "cpu"]
    result = run_here(root.path, *arguments)
    assert result.returncode == 0, result.stderr
    assert f"threads {threads} before, {threads + 1} now" in result.stdout
    status = read_status(root.run("run"))
    assert status is not None
    assert "not bit for bit" in str(status.message)


def test_what_a_killed_process_left_half_written_is_removed_when_the_run_goes_on(root: Root, dataset: Dataset) -> None:
    train_here(root, "run", dataset, small_config())
    (root.model("run") / ".last.pt.abc123.tmp").write_bytes(b"half")
    train_here(root, "run", dataset, small_config(num_epochs=2, learning_rate=1e-30), resume=True)
    assert {path.name for path in root.model("run").iterdir()} == {"best.safetensors", "last.pt", "previous.pt"}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 99 bytes"),
    ],
    ids=["gpu", "python", "cpu"],
)
def test_memory_that_runs_out_is_told_with_what_to_do(
    root: Root, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    train_here(root, "run", dataset, small_config())
    before = read_archive(root.model("run") / "last.pt")["position"]
    monkeypatch.setattr(CrossEntropy, "__call__", fail)
    words = r"out of memory in epoch 2 .*smaller batch_size than 64.*--init-from run --data DIR --set batch_size=32"
    with pytest.raises(OutOfMemoryError, match=words):
        train_here(root, "run", dataset, small_config(num_epochs=2), resume=True)
    assert read_archive(root.model("run") / "last.pt")["position"] == before


def test_another_fault_within_training_is_not_taken_for_want_of_memory(
    root: Root, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(CrossEntropy, "__call__", fail)
    with pytest.raises(RecformerError, match="unexpected RuntimeError: shapes do not match"):
        train_here(root, "run", dataset, small_config())


# What a batch of all cases needs is several times what is left.
LITTLE_MEMORY = """
import resource, psutil
from recformer.training.loop import Training
real = Training.run
def run(training):
    limit = psutil.Process().memory_info().vms + (200 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return real(training)
Training.run = run
"""


def test_a_real_process_that_runs_out_of_memory_says_so(root: Root, tmp_path: Path) -> None:
    data = write_ml1m(tmp_path / "long", sequences(num_users=60, num_items=80, shortest=50, longest=70))
    large = ["batch_size=3000", "model.hidden_sizes=[60000]", "engine=eager"]  # too wide for the native one
    arguments = ["train", *SMALL_RUN, *large, "num_epochs=1", "--data", data, "--run-id", "run"]
    result = run_with(LITTLE_MEMORY, root.path, *arguments)
    assert_clear_failure(result, 1, "out of memory in epoch 1", "smaller batch_size than 3000")
    status = read_status(root.run("run"))
    assert status is not None
    assert (status.state, str(status.message).startswith("out of memory")) == ("failed", True)


def test_a_run_that_never_saved_may_be_trained_anew_under_its_id(root: Root, dataset: Dataset, whole: Root) -> None:
    with interrupted_at(4, "kill"), pytest.raises(KilledError):
        train_here(root, "run", dataset, small_config(**EXACT))
    assert read_status(root.run("run")) is not None
    config = root.run("run") / "run.yaml"
    arguments = ["train", "--config", config, "--data", dataset.source, "--run-id", "run", "--device", "cpu"]
    result = run_here(root.path, *arguments)
    assert result.returncode == 0, result.stderr
    assert_is_whole(root, whole)
    assert_clear_failure(
        run_here(root.path, *arguments), 2, "'run' exists already", "train --resume run --set num_epochs=4;"
    )


def test_a_run_with_a_best_checkpoint_alone_is_not_trained_over(root: Root, dataset: Dataset) -> None:
    with interrupted_at(20, "kill"), pytest.raises(KilledError):
        train_here(root, "run", dataset, small_config(**EXACT))
    assert {path.name for path in root.model("run").iterdir()} == {"best.safetensors"}
    config = root.run("run") / "run.yaml"
    result = run_here(root.path, "train", "--config", config, "--data", dataset.source, "--run-id", "run")
    assert_clear_failure(result, 2, "'run' exists already", "train --data DIR --init-from run;")
