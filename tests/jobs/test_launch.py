"""Launching, claiming and stopping, with real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from recformer.errors import JobError, StoreError
from recformer.files.names import PROJECT
from recformer.jobs.control import request_stop, stop
from recformer.jobs.launch import claim, enter_queue, launch
from recformer.run.job_records import JobRecord, Status, read_job, write_job, write_status
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.run.process import birth
from recformer.run.settings import change_settings

DEADLINE_S = 30.0

SAY_AND_END = "import os, sys; print('hello', sys.argv[1:], flush=True); print('oops', file=sys.stderr)"
OBEYS = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""
IGNORES_WITH_GRANDCHILD = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", '''
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
'''], stdout=subprocess.PIPE, text=True, start_new_session=sys.argv[2] == "own-session")
child.stdout.readline()
pathlib.Path(sys.argv[1] + ".part").write_text(str(child.pid))
pathlib.Path(sys.argv[1] + ".part").replace(sys.argv[1])
time.sleep(600)
"""
LEAVES_A_WORKER = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1] + ".part").write_text(str(child.pid))
pathlib.Path(sys.argv[1] + ".part").replace(sys.argv[1])
time.sleep(600)
"""
CLAIMS = """
import pathlib, sys, time
from recformer.jobs.launch import claim
from recformer.run.paths import Root
with claim(Root.default(), "run", ["train"], "cpu"):
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(600)
"""


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until `condition` holds; fail the test when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    root = Root(tmp_path)
    yield root
    for folder in root.runs.glob("*/"):
        job = read_job(folder)
        for pid in [] if job is None else [job.pid, job.supervisor_pid]:
            if pid not in (None, os.getpid()) and psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)


def job_of(root: Root) -> JobRecord:
    job = read_job(root.run("run"))
    assert job is not None
    return job


def kept_to_the_end(root: Root) -> bool:
    """Whether the training process has ended and its supervisor has said how."""
    return job_of(root).exit_code is not None


def alive(root: Root) -> bool:
    return job_of(root).alive


def launch_script(root: Root, script: str, *arguments: str) -> JobRecord:
    return launch(root, "run", list(arguments), "cpu", executable=[sys.executable, "-c", script])


def test_output_lands_in_the_log_and_is_appended(root: Root) -> None:
    log = root.run("run") / "train.log"
    for count in (1, 2):
        job = launch_script(root, SAY_AND_END, "--epochs", "3")
        wait_for(lambda: kept_to_the_end(root), "the end of the process")
        assert log.read_text().count("hello ['--epochs', '3']") == count
        assert log.read_text().count("oops") == count
    assert (job_of(root).launch, job_of(root).exit_code) == (job.launch, 0)
    assert job.command[-2:] == ["--epochs", "3"]


def test_default_command_is_the_command_line_in_the_projects_folder(root: Root, tmp_path: Path) -> None:
    script = "import json, os, sys; print(json.dumps([os.getcwd(), os.environ['RECFORMER_ROOT']]))"
    launch_script(root, script)
    wait_for(lambda: kept_to_the_end(root), "the end of the process")
    said = json.loads((root.run("run") / "train.log").read_text())
    assert said == [str(PROJECT), str(tmp_path.resolve())]


def test_a_child_has_its_own_session_and_no_input(root: Root, tmp_path: Path) -> None:
    supervisor = launch_script(root, OBEYS, str(tmp_path / "ready")).pid
    wait_for((tmp_path / "ready").exists, "the child")
    child = job_of(root).pid
    assert child is not None and child != supervisor
    assert os.getsid(child) == supervisor != os.getsid(0)
    assert os.readlink(f"/proc/{child}/fd/0") == os.devnull  # noqa: PTH115


def test_a_child_that_ended_does_not_look_alive_and_its_keeper_is_reaped(root: Root) -> None:
    supervisor = launch_script(root, "pass").pid
    assert supervisor is not None
    wait_for(lambda: kept_to_the_end(root), "the end of the process")
    wait_for(lambda: not psutil.pid_exists(supervisor), "the zombie's end")
    assert not alive(root)
    assert find_run(root, "run").state.name == "lost"


def test_a_child_that_fails_or_is_killed_is_told_so(root: Root, tmp_path: Path) -> None:
    launch_script(root, "import sys; sys.exit(3)")
    wait_for(lambda: kept_to_the_end(root), "the end of the process")
    assert find_run(root, "run").state.words == "Failed with exit code 3; its log may tell why."
    launch_script(root, OBEYS, str(tmp_path / "ready"))
    wait_for((tmp_path / "ready").exists, "the child")
    os.kill(job_of(root).pid or 0, signal.SIGKILL)
    wait_for(lambda: kept_to_the_end(root), "what its supervisor saw")
    state = find_run(root, "run").state
    assert state.name == "lost"
    assert "SIGKILL" in state.words


def test_a_reused_pid_reads_as_dead_and_is_never_signalled(root: Root, tmp_path: Path) -> None:
    script = [sys.executable, "-c", OBEYS, str(tmp_path / "ready")]
    with subprocess.Popen(script, start_new_session=True) as stranger:
        wait_for((tmp_path / "ready").exists, "the stranger")
        boot, _, ticks = str(birth(stranger.pid)).partition("/")
        root.run("run").mkdir(parents=True)
        earlier = f"{boot}/{int(ticks) - 1}"
        job = JobRecord(
            command=["x"], device="cpu", queued_at=0, pid=stranger.pid, birth=earlier, supervisor_pid=stranger.pid
        )
        write_job(root.run("run"), job)
        assert find_run(root, "run").state.name == "lost"
        for stopping in (stop, request_stop):
            with pytest.raises(JobError, match="not running"):
                stopping(root, "run")
        assert stranger.poll() is None
        stranger.kill()


def test_of_two_launches_at_once_exactly_one_wins(root: Root, tmp_path: Path) -> None:
    barrier = threading.Barrier(4)
    won: list[JobRecord] = []
    lost: list[str] = []

    def compete() -> None:
        barrier.wait()
        try:
            won.append(launch_script(root, OBEYS, str(tmp_path / "ready")))
        except JobError as error:
            lost.append(str(error))

    threads = [threading.Thread(target=compete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 3)
    assert all("being started" in words or "living process" in words for words in lost)
    assert job_of(root).launch == won[0].launch


def test_a_living_run_is_not_launched_again(root: Root, tmp_path: Path) -> None:
    job = launch_script(root, OBEYS, str(tmp_path / "ready"))
    wait_for((tmp_path / "ready").exists, "the child")
    with pytest.raises(JobError, match=rf"pid {job_of(root).pid}"):
        launch_script(root, OBEYS, str(tmp_path / "ready"))
    assert job_of(root).launch == job.launch


def test_a_program_that_is_not_there_is_a_clear_failure(root: Root) -> None:
    launch(root, "run", [], "cpu", executable=["/no/such/program"])
    wait_for(lambda: find_run(root, "run").state.name == "failed", "the failure")
    assert "could not be started: /no/such/program" in (root.run("run") / "train.log").read_text()


def test_a_launch_that_cannot_be_recorded_leaves_no_process(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[int] = []

    def refuse(folder: Path, job: JobRecord) -> None:
        if job.pid is not None:
            named.append(job.pid)
            raise StoreError("the disk is full")
        write_job(folder, job)

    monkeypatch.setattr("recformer.jobs.launch.write_job", refuse)
    with pytest.raises(StoreError, match="disk is full"):
        launch_script(root, "import time; time.sleep(600)")
    assert gone(named[0])


def test_stop_of_a_child_that_obeys(root: Root, tmp_path: Path) -> None:
    launch_script(root, OBEYS, str(tmp_path / "ready"))
    wait_for((tmp_path / "ready").exists, "the child")
    assert stop(root, "run", grace_s=DEADLINE_S) == "stopped before it began to train"
    assert not alive(root)
    run = find_run(root, "run")
    assert run.state.name == "stopped"
    assert run.job is not None and run.job.ended == "by itself"
    with pytest.raises(JobError, match="not running"):
        stop(root, "run")


@pytest.mark.parametrize("session", ["same-session", "own-session"])
def test_stop_kills_a_child_that_ignores_it_and_its_grandchild(root: Root, tmp_path: Path, session: str) -> None:
    ready = tmp_path / "ready"
    supervisor = launch_script(root, IGNORES_WITH_GRANDCHILD, str(ready), session).pid
    wait_for(ready.exists, "the grandchild")
    child = job_of(root).pid
    assert stop(root, "run", grace_s=0.3) == "killed after 0.3 s"
    assert supervisor is not None and child is not None
    assert gone(supervisor) and gone(child)
    assert gone(int(ready.read_text()))
    state = find_run(root, "run").state
    assert state.name == "stopped"
    assert "Killed" in state.words


def test_stop_takes_along_what_an_obedient_child_left_behind(root: Root, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    launch_script(root, LEAVES_A_WORKER, str(ready))
    wait_for(ready.exists, "the worker")
    assert stop(root, "run", grace_s=DEADLINE_S) == "stopped before it began to train"
    assert gone(int(ready.read_text()))


def test_a_requested_stop_shows_as_stopping_while_the_child_lives(root: Root, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    launch_script(root, IGNORES_WITH_GRANDCHILD, str(ready), "same-session")
    wait_for(ready.exists, "the grandchild")
    request_stop(root, "run")
    assert find_run(root, "run").state.name == "stopping"
    assert stop(root, "run", grace_s=0.0).startswith("killed")


def test_a_run_that_never_was_cannot_be_stopped_and_leaves_no_folder(root: Root) -> None:
    with pytest.raises(JobError, match="not running"):
        request_stop(root, "run")
    assert not root.runs.exists()


def test_a_run_can_be_launched_again_after_a_stop(root: Root, tmp_path: Path) -> None:
    first = launch_script(root, OBEYS, str(tmp_path / "ready"))
    wait_for((tmp_path / "ready").exists, "the child")
    stop(root, "run", grace_s=DEADLINE_S)
    second = launch_script(root, OBEYS, str(tmp_path / "ready"))
    assert second.created_at == first.created_at
    assert second.queued_at > first.queued_at
    assert (second.stop_requested_at, second.ended) == (None, None)
    assert find_run(root, "run").state.name in ("queued", "starting")


def test_a_launched_child_claims_its_run_and_keeps_the_record(root: Root, tmp_path: Path) -> None:
    job = launch_script(root, CLAIMS, str(tmp_path / "ready"))
    assert job.started_at is None
    wait_for((tmp_path / "ready").exists, "the claim")
    claimed = job_of(root)
    assert claimed.started_at is not None
    assert (claimed.launch, claimed.supervisor_pid) == (job.launch, job.pid)
    assert claimed.pid != job.pid
    with pytest.raises(JobError, match="living process"), claim(root, "run", [], "cpu"):
        pass


def test_of_two_claiming_processes_exactly_one_wins_and_death_frees_the_run(root: Root, tmp_path: Path) -> None:
    environment = {**os.environ, "RECFORMER_ROOT": str(tmp_path)}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMS, str(tmp_path / f"ready{index}")],
            cwd=PROJECT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in (0, 1)
    ]
    wait_for(lambda: any(child.poll() is not None for child in children), "the loser's end")
    (loser,) = [child for child in children if child.poll() is not None]
    (winner,) = [child for child in children if child is not loser]
    assert "JobError" in loser.communicate()[1]
    wait_for((tmp_path / f"ready{children.index(winner)}").exists, "the winner's claim")
    winner.send_signal(signal.SIGKILL)
    winner.communicate()
    with claim(root, "run", ["train"], "cpu") as held:
        assert held.pid == os.getpid()
        assert held.command[1:] == ["-m", "recformer", "train"]
        assert find_run(root, "run").state.name == "starting"


def test_a_process_that_entered_the_queue_is_queued_until_it_claims(root: Root) -> None:
    enter_queue(root, "run", ["train"], "cpu")
    assert find_run(root, "run").state.name == "queued"
    entered = job_of(root)
    enter_queue(root, "run", ["train"], "cpu")
    assert job_of(root) == entered
    with claim(root, "run", ["train"], "cpu") as held:
        assert held.launch == entered.launch
        assert find_run(root, "run").state.name == "starting"


def test_of_two_launches_in_two_processes_at_once_one_wins_and_the_other_is_told(root: Root, tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from recformer.jobs.launch import launch
from recformer.run.paths import Root
print("ready", flush=True)
sys.stdin.readline()
launch(Root.default(), "run", [{str(tmp_path / "ready")!r}], "cpu", executable=[sys.executable, "-c", {OBEYS!r}])
"""
    environment = {**os.environ, "RECFORMER_ROOT": str(tmp_path)}
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for rival in rivals:
        assert rival.stdout is not None and rival.stdin is not None
        rival.stdout.readline()
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    ended = [(rival.communicate(timeout=DEADLINE_S)[1], rival.returncode) for rival in rivals]
    assert sorted(code for _, code in ended) == [0, 1]
    (told,) = [words for words, code in ended if code == 1]
    assert "being started" in told or "living process" in told
    wait_for((tmp_path / "ready").exists, "the child of the one that won")


@pytest.mark.parametrize("obeys", [True, False], ids=["obeys", "hangs"])
def test_a_stop_is_seen_through_after_whoever_asked_for_it_has_gone(root: Root, tmp_path: Path, obeys: bool) -> None:
    change_settings(root, grace_s=DEADLINE_S if obeys else 0.3)
    ready = tmp_path / "ready"
    launch_script(root, *([OBEYS, str(ready)] if obeys else [IGNORES_WITH_GRANDCHILD, str(ready), "same-session"]))
    wait_for(ready.exists, "the child")
    asks = "from recformer.jobs.control import stop_detached; from recformer.run.paths import Root; "
    script = f"{asks}stop_detached(Root.default(), 'run')"
    subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env={**os.environ, "RECFORMER_ROOT": str(tmp_path)}, check=True
    )
    wait_for(lambda: job_of(root).ended, "the end, written by the process that sees it through")
    assert job_of(root).ended == ("by itself" if obeys else "killed")
    assert not alive(root)
    said = "stop: stopped before it began to train" if obeys else "stop: killed after 0.3 s"
    wait_for(lambda: said in (root.run("run") / "train.log").read_text(), "its word in the log")


def test_a_claim_removes_what_killed_trainers_left_and_nothing_else(root: Root) -> None:
    root.run("run").mkdir(parents=True)
    left = {name: root.run("run") / f".{name}.abc.tmp" for name in ("status.json", "run.yaml", "labels.json")}
    for path in left.values():
        path.touch()
    with claim(root, "run", ["train"], "cpu"):
        assert [name for name, path in left.items() if path.exists()] == ["labels.json"]  # somebody may be writing it


def test_a_finished_run_whose_process_lives_on_is_not_signalled(tmp_path: Path) -> None:
    root = Root(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as host:
        now = time.time()
        root.run("done").mkdir(parents=True)
        born = birth(host.pid)
        job = JobRecord(command=["x"], device="cpu", queued_at=now, started_at=now, pid=host.pid, birth=born)
        write_job(root.run("done"), job)
        status = {"state": "finished", "epoch": 1, "num_epochs": 1, "step": 1, "steps": 1, "device": "cpu"}
        write_status(root.run("done"), Status(**status, time=now + 1, progress_time=now))
        with pytest.raises(JobError, match="not running"):
            request_stop(root, "done")
        assert host.poll() is None
        host.kill()
