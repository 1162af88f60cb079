"""A training that ends without a last save: a disk that turns read-only, Ctrl-C twice. It goes on from the save before."""

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recformer.files.names import PROJECT
from recformer.run.overview import find_run
from recformer.run.paths import Root, can_resume
from tests.builders import sequences, write_ml1m
from tests.training_helpers import (
    SMALL_SET,
    assert_same_training,
    curves,
    environment,
    run_cli,
    started_cli,
)
from tests.waiting import DEADLINE_S, wait_until

EPOCHS = 3
CHANGES = ["batch_size=8", f"num_epochs={EPOCHS}", "save_steps=20", "learning_rate=0.01", *SMALL_SET]
EXACT = [
    "model.dropout=0.3",
    "schedule=cosine",
    "schedule_period=2",
    "engine=eager",
]  # native would be through too soon
TRAIN = ["train", "--preset", "baseline", "--device", "cpu", "--set", *CHANGES, *EXACT]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    interactions = sequences(num_users=60, num_items=80, shortest=50, longest=70)
    return write_ml1m(tmp_path_factory.mktemp("data") / "long", interactions)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with run `whole`: all epochs in one go."""
    root = Root(tmp_path_factory.mktemp("whole"))
    result = run_cli(root.path, *TRAIN, "--data", data, "--run-id", "whole")
    assert result.returncode == 0, result.stderr
    return root


def assert_goes_on_exactly(root: Root, whole: Root) -> None:
    result = run_cli(root.path, "train", "--resume", "run", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    for of in (Root.run, Root.model):
        of(root, "whole").symlink_to(of(whole, "whole"))
    assert_same_training(root, "run", "whole")
    assert all(steps == list(range(1, EPOCHS + 1)) for steps, _ in curves(root.run("run")).values())


@contextmanager
def read_only(folder: Path) -> Generator[None]:
    """While inside, whoever opens a file in `folder` anew may only read; what is open for writing stays so."""
    bound = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, text=True)
    if bound.returncode != 0:
        pytest.skip(f"mounting a folder needs root: {bound.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("what", ["checkpoints", "everything"])
def test_a_disk_that_turns_read_only_ends_the_run_with_a_clear_error_and_it_goes_on_when_it_can_be_written(
    root: Root, data: Path, whole: Root, what: str
) -> None:
    with started_cli(root.path, *TRAIN, "--data", data, "--run-id", "run") as process:
        wait_until(lambda: can_resume(root, "run"), "a first save")
        with read_only(root.models if what == "checkpoints" else root.path):
            errors = process.communicate(timeout=DEADLINE_S)[1]
            state = find_run(root, "run").state
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("error: could not write ")
    assert "Read-only file system" in errors
    assert "Traceback" not in errors
    if what == "checkpoints":
        assert state.name == "failed"
        assert "Read-only file system" in state.words
    else:  # it could not say so
        assert state.words == "Lost: the process ended without saying why; its log may tell."
    assert_goes_on_exactly(root, whole)


SLOW_SAVE = """
import sys, time
from pathlib import Path
from recformer.training.resume_state import TrainState
real, slow = TrainState.save, Path(sys.argv.pop(1))
def save(*arguments, **options):
    if slow.exists():
        slow.with_name("saves").touch()
        time.sleep(600)
    return real(*arguments, **options)
TrainState.save = save
from recformer.cli.commands import main
main()
"""


def test_ctrl_c_twice_ends_at_once_and_says_that_it_did_not_save(
    root: Root, data: Path, whole: Root, tmp_path: Path
) -> None:
    words = [tmp_path / "slow", *TRAIN, "--data", data, "--run-id", "run"]
    command = [sys.executable, "-c", SLOW_SAVE, *map(str, words)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=environment(root.path), cwd=PROJECT, **options) as process:
        wait_until(lambda: can_resume(root, "run"), "a first save")
        (tmp_path / "slow").touch()
        process.send_signal(signal.SIGINT)
        wait_until((tmp_path / "saves").exists, "the save that takes long")
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=DEADLINE_S)[1]
    assert (process.returncode, errors) == (130, "")
    state = find_run(root, "run").state
    assert state.name == "stopped"
    assert "Interrupted twice, so it did not save; resume goes on from the save before." in state.words
    assert_goes_on_exactly(root, whole)
