"""What a machine does to a run: a full disk, a read-only one, a clock that jumps, too little memory, deleted folders."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from recformer.errors import RecformerError
from recformer.files.writing import write_text
from recformer.jobs.control import stop
from recformer.jobs.launch import launch, submit
from recformer.jobs.queue import QueueEntry, lines
from recformer.run.job_records import read_job, read_status
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.training.resume_state import newest_saved
from tests.builders import dataset_in, sequences, write_ml1m
from tests.training_helpers import (
    SMALL_SET,
    assert_clear_failure,
    assert_same_training,
    curves,
    environment,
    run_cli,
    small_config,
    started_cli,
    train_here,
)
from tests.waiting import wait_until

EPOCHS = 3
TRAIN = [
    "train",
    "--preset",
    "baseline",
    "--device",
    "cpu",
    "--set",
    "batch_size=8",
    f"num_epochs={EPOCHS}",
    "engine=eager",  # the native one would be through before anybody could look
    *SMALL_SET,
]
MEMORY_CGROUP = Path("/sys/fs/cgroup/memory")
FULL = b"\0" * 4096


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    interactions = sequences(num_users=60, num_items=80, shortest=50, longest=70)
    return write_ml1m(tmp_path_factory.mktemp("data") / "long", interactions)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    root = Root(tmp_path / "root")
    root.runs.mkdir(parents=True)
    yield root
    for folder in root.runs.glob("*/"):
        with suppress(RecformerError):
            stop(root, folder.name, grace_s=0)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of `size` in memory, mounted on `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a file system needs root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Fill the file system of `folder` to its last block; the file that does so."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(FULL)
    return filler


def trains(root: Root, run_id: str, epoch: int = 1) -> bool:
    """Whether the run has got so far that it trains in this epoch."""
    status = read_status(root.run(run_id))
    return status is not None and status.state == "running" and status.epoch >= epoch and status.step > 0


@pytest.mark.parametrize("first", ["save_steps=20", "save_minutes=1000"], ids=["a save", "the log"])
def test_a_full_disk_fails_the_run_in_words_and_it_goes_on_exactly_when_there_is_space(
    tmp_path: Path, data: Path, first: str
) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        root = Root(disk)
        assert run_cli(root.path, *TRAIN, "--data", data, "--run-id", "whole").returncode == 0
        saves = ["--set", first] if first.startswith("save_steps") else ["--set", first, "save_steps=300"]
        with started_cli(root.path, *TRAIN, *saves, "--data", data, "--run-id", "run") as process:
            wait_until(lambda: trains(root, "run") and (root.model("run") / "last.pt").exists(), "a first save")
            filler = fill(disk)
            _, errors = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "No space left" in errors
        assert "Traceback" not in errors
        state = find_run(root, "run").state
        assert state.name == "failed"
        assert "No space left" in state.words
        newest_saved(root.model("run"))
        filler.unlink()
        resumed = run_cli(root.path, "train", "--resume", "run", "--data", data, "--device", "cpu")
        assert resumed.returncode == 0, resumed.stderr
        assert_same_training(root, "run", "whole")


def test_a_launch_on_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "small")
    with small_disk(tmp_path / "disk", "1m") as disk:
        root = Root(disk)
        root.runs.mkdir()
        filler = fill(disk)
        with pytest.raises(RecformerError, match="No space left"):
            submit(root, small_config(), dataset, "cpu")
        assert list(root.runs.glob("*/")) == []
        assert lines(root) == {}
        filler.unlink()
        run_id = submit(root, small_config(), dataset, "cpu")
        wait_until(lambda: find_run(root, run_id).state.name == "finished", "the run, now that there is space")
        wait_until(lambda: not _lives(root, run_id), "its processes' end")


def _lives(root: Root, run_id: str) -> bool:
    job = read_job(root.run(run_id))
    return job is not None and (job.alive or psutil.pid_exists(job.supervisor_pid or 0))


def test_a_read_only_disk_can_be_read_and_a_change_is_one_clear_line(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "16m") as disk:
        root = Root(disk)
        train_here(root, "run", dataset_in(root.data / "long"), small_config())
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for command in (["runs"], ["runs", "show", "run"], ["runs", "queue"], ["runs", "bin"], ["evaluate", "run"]):
            result = run_cli(disk, *command)
            assert (result.returncode, result.stderr) == (0, ""), command
        assert run_cli(disk, "recommend", "run", "--user", "101", "--json").returncode == 0
        changes = [
            ["runs", "rename", "run", "other"],
            ["runs", "stop", "run"],
            ["runs", "delete", "run", "--yes"],
            ["runs", "settings", "grace_s=5"],
            ["train", "--resume", "run", "--set", "num_epochs=2"],
            [*TRAIN, "--data", root.data / "long", "--run-id", "new"],
            [*TRAIN, "--data", root.data / "long"],
        ]
        for command in changes:
            assert_clear_failure(run_cli(disk, *command), 1, "Read-only file system")
        assert find_run(root, "run").state.name == "finished"


CLOCK = """
import time
from pathlib import Path
real, offset = time.time, Path(%r)
time.time = lambda: real() + (float(offset.read_text()) if offset.exists() else 0.0)
"""


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps_changes_nothing(root: Root, tmp_path: Path, data: Path, jump: int) -> None:
    offset = tmp_path / "offset"
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK % str(offset))
    clock = environment(root.path, PYTHONPATH=str(tmp_path / "clock"))
    words = [*TRAIN, "num_epochs=40", "--data", data, "--run-id", "run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "recformer", *map(str, words)],
        env=clock,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with process:
        wait_until(lambda: trains(root, "run"), "the run to train")
        before = read_status(root.run("run"))
        write_text(offset, str(jump))  # atomically: half a number, read just then, would end the trainer
        wait_until(lambda: jumped(root, before.time if before else 0, jump), "a heartbeat by the new clock")
        state = find_run(root, "run").state
        assert (state.name, state.active) == ("running", True)
        assert lines(root) == {"cpu": QueueEntry(["run"], [])}
        assert stop(root, "run", grace_s=60).startswith("saved and stopped in epoch ")
        assert process.wait(timeout=60) == 0
    assert find_run(root, "run").state.name == "stopped"
    epochs = curves(root.run("run")).get("loss/train", ([], []))[0]
    assert epochs == list(range(1, len(epochs) + 1))


def jumped(root: Root, before: float, jump: float) -> bool:
    status = read_status(root.run("run"))
    return status is not None and abs(status.time - before - jump) < 1000


def test_a_clock_set_back_between_two_launches_does_not_turn_the_queue_round(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waiting(run_id: str) -> None:
        launch(root, run_id, [], "cpu", executable=[sys.executable, "-c", "import time; time.sleep(600)"])

    waiting("first")
    wait_until(lambda: lines(root) == {"cpu": QueueEntry(["first"], [])}, "the first to begin")
    waiting("second")
    monkeypatch.setattr("time.time", lambda: 1e9)
    waiting("third")
    monkeypatch.undo()
    assert lines(root)["cpu"].waiting == ["second", "third"]


IN_CGROUP = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "recformer", *sys.argv[2:]])
"""


@pytest.fixture
def little_memory(tmp_path: Path) -> Iterator[Path]:
    """A control group whose processes may have 100 MB in all: less than PyTorch needs."""
    group = MEMORY_CGROUP / f"recformer-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(100 << 20))
    except OSError as error:
        pytest.skip(f"a control group for memory (version 1) cannot be made here: {error}")
    with suppress(OSError):
        (group / "memory.memsw.limit_in_bytes").write_text(str(100 << 20))
    yield group
    wait_until(lambda: _removed(group), "the control group's end")


def _removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


def test_a_run_killed_for_memory_says_so(root: Root, data: Path, little_memory: Path) -> None:
    words = [*TRAIN, "--data", data, "--run-id", "run"]
    arguments = [str(little_memory), *map(str, words)]
    launch(root, "run", arguments, "cpu", executable=[sys.executable, "-c", IN_CGROUP])
    wait_until(lambda: (job := read_job(root.run("run"))) and job.exit_code, "the end, as its supervisor saw it")
    job = read_job(root.run("run"))
    assert job is not None
    assert (job.exit_code, job.out_of_memory) == (-signal.SIGKILL, True)
    state = find_run(root, "run").state
    assert state.name == "failed"
    assert state.words.startswith("Killed for memory")


def test_a_run_whose_folders_are_deleted_ends_and_makes_neither_again(root: Root, data: Path) -> None:
    with started_cli(root.path, *TRAIN, "num_epochs=500", "--data", data, "--run-id", "run") as process:
        wait_until(lambda: trains(root, "run", epoch=2) and root.model("run").exists(), "the run to train and save")
        process.send_signal(signal.SIGSTOP)  # or it would write while its folder is being removed
        shutil.rmtree(root.run("run"))
        shutil.rmtree(root.model("run"))
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("error: ") and "Traceback" not in errors
    assert not root.run("run").exists()
    assert not root.model("run").exists()


def test_ctrl_c_saves_and_stops(root: Root, data: Path) -> None:
    words = [*TRAIN, "num_epochs=500", "save_steps=20", "--data", data, "--run-id", "run"]
    with started_cli(root.path, *words) as process:
        wait_until(lambda: trains(root, "run"), "the run to train")
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert said.endswith("run: stopped\n")
    assert find_run(root, "run").state.name == "stopped"
    newest_saved(root.model("run"))


def test_of_two_resumes_at_once_one_wins_and_the_other_is_told(root: Root, data: Path) -> None:
    assert run_cli(root.path, *TRAIN, "--data", data, "--run-id", "whole").returncode == 0
    assert run_cli(root.path, *TRAIN, "num_epochs=1", "--data", data, "--run-id", "run").returncode == 0
    again = ["train", "--resume", "run", "--set", f"num_epochs={EPOCHS}", "--data", data, "--device", "cpu"]
    with started_cli(root.path, *again) as one, started_cli(root.path, *again) as other:
        ended = [(*process.communicate(timeout=120), process.returncode) for process in (one, other)]
    won, lost = sorted(ended, key=lambda end: end[2])
    assert won[2] == 0, won
    assert lost[2] in (1, 2)
    assert lost[1].startswith("error: ") and "Traceback" not in lost[1]
    assert_same_training(root, "run", "whole")
