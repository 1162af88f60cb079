"""The queue with real processes: order, places, cancelling, killing, and who goes on when nobody looks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from recformer.errors import JobError, StoreError, UsageError
from recformer.files.names import PROJECT
from recformer.jobs.control import stop
from recformer.jobs.launch import launch
from recformer.jobs.queue import QueueEntry, lines, move
from recformer.run.job_records import JobRecord, read_job
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.run.settings import Settings, change_settings, read_settings
from recformer.run.state import RunState
from tests.builders import sequences, write_ml1m
from tests.fork_server import fresh_processes
from tests.training_helpers import SMALL_SET, environment, run_cli, started_cli
from tests.waiting import wait_until

# Says that it has begun, and ends when it is allowed to.
TRAINS = """
import pathlib, sys, time
run, folder = sys.argv[1], pathlib.Path(sys.argv[2])
with (folder / "began").open("a") as file:
    file.write(run + "\\n")
while not (folder / f"{run}.may-end").exists():
    time.sleep(0.01)
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    root = Root(tmp_path)
    yield root
    for folder in root.runs.glob("*/"):
        job = read_job(folder)
        for pid in [] if job is None else [job.pid, job.supervisor_pid]:
            if pid not in (None, os.getpid()) and psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)


def queued(root: Root, run_id: str, device: str = "cpu") -> JobRecord:
    return launch(root, run_id, [run_id, str(root.path)], device, executable=[sys.executable, "-c", TRAINS])


def began(root: Root) -> list[str]:
    path = root.path / "began"
    return path.read_text().split() if path.exists() else []


def let_end(root: Root, run_id: str) -> None:
    (root.path / f"{run_id}.may-end").touch()
    wait_until(lambda: not find_run(root, run_id).state.active, f"the end of {run_id}")


def job_of(root: Root, run_id: str) -> JobRecord:
    job = read_job(root.run(run_id))
    assert job is not None
    return job


def state_of(root: Root, run_id: str) -> RunState:
    return find_run(root, run_id).state


def test_ten_jobs_of_which_two_are_cancelled_and_one_is_killed_run_in_their_order(root: Root) -> None:
    names = [f"job{number}" for number in range(10)]
    for name in names:
        queued(root, name)
    wait_until(lambda: began(root) == ["job0"], "the first to begin")
    assert lines(root) == {"cpu": QueueEntry(["job0"], names[1:])}
    assert stop(root, "job2") == stop(root, "job5") == "cancelled while it waited"
    let_end(root, "job0")
    wait_until(lambda: began(root)[-1] == "job1", "the second to begin")
    killed = job_of(root, "job1").pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    order = ["job0", "job1", "job3", "job4", "job6", "job7", "job8", "job9"]
    for name in order[2:]:
        wait_until(lambda name=name: began(root)[-1] == name, f"{name} to begin")
        assert lines(root)["cpu"].running == [name]
        let_end(root, name)
    assert began(root) == order
    assert lines(root) == {}
    for name in ("job2", "job5"):
        assert state_of(root, name).name == "stopped"
        assert state_of(root, name).words == "Cancelled before its turn came; nothing was trained."
        assert job_of(root, name).started_at is None
    assert "SIGKILL" in wait_until(
        lambda: "SIGKILL" in state_of(root, "job1").words and state_of(root, "job1").words, "why"
    )
    for name in order[2:]:
        wait_until(lambda name=name: job_of(root, name).exit_code == 0, f"the supervisor of {name} to say how it ended")


def test_who_waits_is_small_and_has_no_torch(root: Root) -> None:
    queued(root, "first")
    wait_until(lambda: began(root) == ["first"], "the first to begin")
    with fresh_processes():
        waiting = psutil.Process(queued(root, "second").pid)
    wait_until(
        lambda: "place 1; ahead: first" in (root.run("second") / "train.log").read_text(), "its place in the log"
    )
    assert waiting.memory_info().rss < 40e6
    assert "torch" not in Path(f"/proc/{waiting.pid}/maps").read_text()
    assert waiting.children() == []


def test_a_killed_holder_with_its_keeper_frees_its_place(root: Root) -> None:
    first = queued(root, "first")
    wait_until(lambda: began(root) == ["first"], "the first to begin")
    queued(root, "second")
    assert first.pid is not None
    os.killpg(first.pid, signal.SIGKILL)  # supervisor and training process
    wait_until(lambda: began(root) == ["first", "second"], "the second to begin")
    assert state_of(root, "first").name == "lost"


def test_a_killed_keeper_takes_nothing_with_it(root: Root) -> None:
    supervisor = queued(root, "first").pid
    assert supervisor is not None
    wait_until(lambda: began(root) == ["first"], "the first to begin")
    second = queued(root, "second").pid
    queued(root, "third")
    assert second is not None
    os.kill(supervisor, signal.SIGKILL)
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: state_of(root, "second").name == "lost", "the second's loss")
    assert "while it waited" in state_of(root, "second").words
    assert state_of(root, "first").name == "starting"  # it trains on
    assert lines(root) == {"cpu": QueueEntry(["first"], ["third"])}
    let_end(root, "first")
    wait_until(lambda: began(root) == ["first", "third"], "the third to begin")


def test_the_queue_goes_on_when_whoever_filled_it_is_killed(root: Root) -> None:
    script = f"""
import sys, time
from recformer.jobs.launch import launch
from recformer.run.paths import Root
for name in ("first", "second"):
    launch(Root.default(), name, [name, {str(root.path)!r}], "cpu", executable=[sys.executable, "-c", {TRAINS!r}])
print("launched", flush=True)
time.sleep(600)
"""
    launcher = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env=environment(root.path),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == b"launched\n"
        os.killpg(launcher.pid, signal.SIGKILL)
    wait_until(lambda: began(root) == ["first"], "the first to begin")
    let_end(root, "first")
    wait_until(lambda: began(root) == ["first", "second"], "the second to begin")


def test_each_device_has_a_line_of_its_own(root: Root) -> None:
    for name, device in (("one", "cpu"), ("two", "cuda:0"), ("three", "cpu")):
        queued(root, name, device)
    wait_until(lambda: sorted(began(root)) == ["one", "two"], "one to begin on each device")
    assert lines(root) == {"cpu": QueueEntry(["one"], ["three"]), "cuda:0": QueueEntry(["two"], [])}


def test_the_setting_says_how_many_train_at_once(root: Root) -> None:
    change_settings(root, jobs_per_device=2)
    for name in ("one", "two", "three"):
        queued(root, name)
    wait_until(lambda: len(began(root)) == 2, "two to begin")
    assert lines(root)["cpu"] == QueueEntry(["one", "two"], ["three"])
    change_settings(root, jobs_per_device=3)
    wait_until(lambda: began(root)[-1] == "three", "the third to begin")


def test_a_run_can_be_moved_within_its_line(root: Root) -> None:
    for name in "abcde":
        queued(root, name)
    wait_until(lambda: began(root) == ["a"], "the first to begin")
    assert move(root, "d", "up") == ["b", "d", "c", "e"]
    assert move(root, "b", "last") == ["d", "c", "e", "b"]
    assert move(root, "e", "first") == ["e", "d", "c", "b"]
    assert move(root, "e", "up") == ["e", "d", "c", "b"]
    assert move(root, "d", "down") == ["e", "c", "d", "b"]
    assert lines(root)["cpu"].waiting == ["e", "c", "d", "b"]
    for name in ("a", "missing"):
        with pytest.raises(JobError, match="does not wait"):
            move(root, name, "up")
    let_end(root, "a")
    wait_until(lambda: began(root)[-1] == "e", "the one that was moved to the front")


def test_settings_that_are_not_allowed_are_refused_and_damaged_ones_do_not_stop_the_queue(root: Root) -> None:
    assert read_settings(root) == Settings(jobs_per_device=1, grace_s=30)
    for wrong in ({"jobs_per_device": 0}, {"grace_s": -1}, {"grace_s": float("inf")}, {"colour": "red"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            change_settings(root, **wrong)
    root.runs.mkdir(exist_ok=True)
    (root.runs / ".settings.json").write_text('{"jobs_per_device": "many"}')
    with pytest.raises(StoreError, match="jobs_per_device"):
        read_settings(root)
    queued(root, "one")
    wait_until(lambda: began(root) == ["one"], "the run to begin all the same")


def test_the_command_line_waits_for_its_turn_and_ctrl_c_leaves_the_queue(root: Root, tmp_path: Path) -> None:
    data = write_ml1m(tmp_path / "small", sequences())
    queued(root, "first")
    wait_until(lambda: began(root) == ["first"], "the first to begin")
    arguments = [
        "train",
        "--preset",
        "baseline",
        "--set",
        *SMALL_SET,
        "num_epochs=1",
        "--data",
        data,
        "--device",
        "cpu",
    ]
    with started_cli(root.path, *arguments, "--run-id", "left") as left, started_cli(root.path, *arguments) as stays:
        wait_until(lambda: set(lines(root)["cpu"].waiting) == {"left", "baseline"}, "two to wait")
        waiting = wait_until(lambda: _waits(left.pid) and psutil.Process(left.pid), "a process without torch")
        assert waiting.memory_info().rss < 40e6
        left.send_signal(signal.SIGINT)
        said, errors = left.communicate(timeout=60)
        assert (said, left.returncode) == ("", 130)
        assert "left: waits for its turn, place " in errors
        assert "cancelled while it waited" in errors
        assert state_of(root, "left").words.startswith("Cancelled before its turn")
        let_end(root, "first")
        said, errors = stays.communicate(timeout=120)
        assert stays.returncode == 0, errors
        assert said.endswith("baseline: finished\n")
    assert state_of(root, "baseline").name == "finished"
    again = run_cli(root.path, *arguments, "--run-id", "left")
    assert again.returncode == 0, again.stderr
    assert state_of(root, "left").name == "finished"


def _waits(pid: int) -> bool:
    return "recformer.jobs.queue" in psutil.Process(pid).cmdline()
