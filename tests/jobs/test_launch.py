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
from recformer.jobs.control import request_stop, stop
from recformer.jobs.launch import claim, launch
from recformer.jobs.overview import find_run
from recformer.jobs.records import JobRecord, Status, read_job, write_job, write_status
from recformer.jobs.state import is_alive
from recformer.store import PROJECT, Root

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
from recformer.store import Root
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
    for folder in root.runs.iterdir() if root.runs.is_dir() else []:
        job = read_job(folder)
        if job is not None and job.pid != os.getpid() and is_alive(job.pid, job.pid_created):
            psutil.Process(job.pid).kill()


def launch_script(root: Root, script: str, *arguments: str) -> JobRecord:
    return launch(root, "run", list(arguments), "cpu", executable=[sys.executable, "-c", script])


def test_output_lands_in_the_log_and_is_appended(root: Root) -> None:
    log = root.run("run") / "train.log"
    for count in (1, 2):
        job = launch_script(root, SAY_AND_END, "--epochs", "3")
        wait_for(lambda job=job: not is_alive(job.pid, job.pid_created), "the end of the process")
        assert log.read_text().count("hello ['--epochs', '3']") == count
        assert log.read_text().count("oops") == count
    assert read_job(root.run("run")) == job
    assert job.command[-2:] == ["--epochs", "3"]


def test_default_command_is_the_command_line_in_the_projects_folder(root: Root, tmp_path: Path) -> None:
    script = "import json, os, sys; print(json.dumps([os.getcwd(), os.environ['RECFORMER_ROOT']]))"
    job = launch_script(root, script)
    wait_for(lambda: not is_alive(job.pid, job.pid_created), "the end of the process")
    said = json.loads((root.run("run") / "train.log").read_text())
    assert said == [str(PROJECT), str(tmp_path.resolve())]


def test_a_child_has_its_own_session_and_no_input(root: Root, tmp_path: Path) -> None:
    job = launch_script(root, OBEYS, str(tmp_path / "ready"))
    assert job.pid is not None
    wait_for((tmp_path / "ready").exists, "the child")
    assert os.getsid(job.pid) == job.pid != os.getsid(0)
    assert os.readlink(f"/proc/{job.pid}/fd/0") == os.devnull  # noqa: PTH115


def test_a_child_that_ended_does_not_look_alive_and_is_reaped(root: Root) -> None:
    job = launch_script(root, "pass")
    assert job.pid is not None
    wait_for(lambda: not is_alive(job.pid, job.pid_created), "death as is_alive sees it")
    wait_for(lambda: not psutil.pid_exists(job.pid), "the zombie's end")
    assert find_run(root, "run").state.name == "lost"


def test_a_reused_pid_reads_as_dead_and_is_never_signalled(root: Root, tmp_path: Path) -> None:
    script = [sys.executable, "-c", OBEYS, str(tmp_path / "ready")]
    with subprocess.Popen(script, start_new_session=True) as stranger:
        wait_for((tmp_path / "ready").exists, "the stranger")
        created = psutil.Process(stranger.pid).create_time()
        root.run("run").mkdir(parents=True)
        job = JobRecord(command=["x"], device="cpu", queued_at=0, pid=stranger.pid, pid_created=created - 1000)
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
    assert all("already being started" in words or "living process" in words for words in lost)
    assert read_job(root.run("run")) == won[0]


def test_a_living_run_is_not_launched_again(root: Root, tmp_path: Path) -> None:
    job = launch_script(root, OBEYS, str(tmp_path / "ready"))
    with pytest.raises(JobError, match=rf"pid {job.pid}"):
        launch_script(root, OBEYS, str(tmp_path / "ready"))
    assert read_job(root.run("run")) == job


def test_a_program_that_is_not_there_is_a_clear_failure(root: Root) -> None:
    with pytest.raises(JobError, match="could not be started"):
        launch(root, "run", [], "cpu", executable=["/no/such/program"])
    assert find_run(root, "run").state.name == "failed"


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
    job = launch_script(root, OBEYS, str(tmp_path / "ready"))
    wait_for((tmp_path / "ready").exists, "the child")
    assert stop(root, "run", grace_s=DEADLINE_S) == "stopped by itself"
    assert not is_alive(job.pid, job.pid_created)
    run = find_run(root, "run")
    assert run.state.name == "stopped"
    assert run.job is not None and run.job.ended == "by itself"
    with pytest.raises(JobError, match="not running"):
        stop(root, "run")


@pytest.mark.parametrize("session", ["same-session", "own-session"])
def test_stop_kills_a_child_that_ignores_it_and_its_grandchild(root: Root, tmp_path: Path, session: str) -> None:
    ready = tmp_path / "ready"
    job = launch_script(root, IGNORES_WITH_GRANDCHILD, str(ready), session)
    wait_for(ready.exists, "the grandchild")
    assert stop(root, "run", grace_s=0.3) == "killed after 0.3 s"
    assert job.pid is not None
    assert gone(job.pid)
    assert gone(int(ready.read_text()))
    state = find_run(root, "run").state
    assert state.name == "stopped"
    assert "Killed" in state.words


def test_stop_takes_along_what_an_obedient_child_left_behind(root: Root, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    launch_script(root, LEAVES_A_WORKER, str(ready))
    wait_for(ready.exists, "the worker")
    assert stop(root, "run", grace_s=DEADLINE_S) == "stopped by itself"
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
    claimed = read_job(root.run("run"))
    assert claimed is not None and claimed.started_at is not None
    assert claimed.model_copy(update={"started_at": None}) == job
    with pytest.raises(JobError, match="living process"):
        claim(root, "run", [], "cpu")


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
        assert held.record.pid == os.getpid()
        assert held.record.command[1:] == ["-m", "recformer", "train"]
        assert find_run(root, "run").state.name == "starting"


def test_a_claim_that_waits_is_queued_until_it_started(root: Root) -> None:
    with claim(root, "run", [], "cpu", waiting=True) as held:
        assert find_run(root, "run").state.name == "queued"
        held.mark_started()
        assert find_run(root, "run").state.name == "starting"
    assert read_job(root.run("run")) == held.record


def test_jobs_never_import_torch() -> None:
    script = (
        "import sys\n"
        "from recformer.jobs import control, launch, locks, overview, records, state, tail\n"
        "assert not {'torch', 'tensorflow', 'streamlit'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)


def test_a_finished_run_whose_process_lives_on_is_not_signalled(tmp_path: Path) -> None:
    root = Root(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as host:
        now = time.time()
        created = psutil.Process(host.pid).create_time()
        root.run("done").mkdir(parents=True)
        job = JobRecord(command=["x"], device="cpu", queued_at=now, started_at=now, pid=host.pid, pid_created=created)
        write_job(root.run("done"), job)
        status = {"state": "finished", "epoch": 1, "num_epochs": 1, "step": 1, "steps": 1, "device": "cpu"}
        write_status(root.run("done"), Status(**status, time=now + 1, progress_time=now))
        with pytest.raises(JobError, match="not running"):
            request_stop(root, "done")
        assert host.poll() is None
        host.kill()
