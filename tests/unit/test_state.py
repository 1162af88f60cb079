"""The state of a run, as a table over its records and what the operating system says."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from recformer.errors import StoreError
from recformer.run import job_records
from recformer.run.job_records import JobRecord, Status
from recformer.run.process import birth, lives
from recformer.run.state import LITTLE_MEMORY_BYTES, derive_state

NOW = 1_000_000.0


def job(**changes: Any) -> JobRecord:
    fields: dict[str, Any] = {
        "command": ["python", "-m", "recformer"],
        "device": "cpu",
        "queued_at": NOW - 60,
        "started_at": NOW - 55,
        "pid": 123,
        "birth": "boot/100",
        "launch": "this",
    }
    return JobRecord(**(fields | changes))


def status(state: str, **changes: Any) -> Status:
    fields: dict[str, Any] = {
        "state": state,
        "epoch": 2,
        "num_epochs": 10,
        "step": 20,
        "steps": 100,
        "device": "cpu",
        "launch": "this",
        "time": NOW - 1,
        "progress_time": NOW - 1,
    }
    return Status(**(fields | changes))


NO_PID = {"pid": None, "started_at": None}
ASKED = {"stop_requested_at": NOW - 40}
OTHER = {"launch": "another"}

TABLE = [
    # job, status, alive, state, stalled
    (None, None, False, "imported", False),
    (None, status("finished"), False, "finished", False),
    (None, status("running"), False, "lost", False),
    # before the first heartbeat
    (job(**NO_PID, queued_at=NOW - 1), None, False, "queued", False),
    (job(**NO_PID, queued_at=NOW - 61), None, False, "lost", False),
    (job(**NO_PID, queued_at=NOW + 3600), None, False, "lost", False),
    (job(**NO_PID | {"started_at": NOW - 1}), None, False, "starting", False),
    (job(**NO_PID, ended="not started"), None, False, "failed", False),
    (job(started_at=None), None, True, "queued", False),
    (job(started_at=None, queued_at=NOW - 9e5), None, True, "queued", False),
    (job(started_at=NOW - 59), None, True, "starting", False),
    (job(started_at=NOW - 61), None, True, "starting", True),
    (job(), None, False, "lost", False),
    (job(started_at=None), None, False, "lost", False),
    # alive, with a heartbeat
    (job(), status("starting"), True, "starting", False),
    (job(), status("running"), True, "running", False),
    (job(), status("running", time=NOW - 10), True, "running", False),
    (job(), status("running", time=NOW - 11), True, "running", True),
    (job(), status("starting", time=NOW - 11), True, "starting", True),
    (job(), status("stopping"), True, "stopping", False),
    (job(), status("stopping", time=NOW - 11), True, "stopping", True),
    # asked to stop
    (job(**ASKED), None, True, "stopping", False),
    (job(**ASKED), status("running"), True, "stopping", False),
    (job(**ASKED), status("running", time=NOW - 30), True, "stopping", True),
    (job(**ASKED), status("stopping"), True, "stopping", False),
    (job(**ASKED), status("running"), False, "stopped", False),
    (job(**ASKED), None, False, "stopped", False),
    (job(**ASKED, ended="killed", ended_at=NOW - 10), status("stopping"), False, "stopped", False),
    (job(**ASKED, ended="by itself", ended_at=NOW - 10), status("running"), False, "stopped", False),
    # gone without a word
    (job(), status("starting"), False, "lost", False),
    (job(), status("running"), False, "lost", False),
    (job(), status("stopping"), False, "lost", False),
    (job(exit_code=-9, ended_at=NOW), status("running"), False, "lost", False),
    (job(exit_code=-11, ended_at=NOW), None, False, "lost", False),
    (job(exit_code=1, ended_at=NOW), None, False, "failed", False),
    (job(exit_code=0, ended_at=NOW), status("running"), False, "lost", False),
    (job(exit_code=-9, ended_at=NOW, out_of_memory=True), status("running"), False, "failed", False),
    # cancelled while it waited
    (job(**ASKED, started_at=None, ended="cancelled"), None, False, "stopped", False),
    (job(started_at=None, ended="cancelled"), status("running", **OTHER), False, "stopped", False),
    (job(started_at=None, ended="cancelled"), status("finished", **OTHER), False, "finished", False),
    # the clock was set forward by an hour, or back; who lives reports within a second and is believed again
    (job(started_at=NOW - 3700), status("running", time=NOW - 3601), True, "running", True),
    (job(started_at=NOW + 3500), status("running", time=NOW + 3599), True, "running", True),
    (job(started_at=NOW + 3500), status("running"), True, "running", False),
    (job(started_at=NOW + 3500), status("finished", time=NOW - 100), False, "finished", False),
    # a final status stands, whatever the process does
    *[
        (record, status(state, time=time), alive, state, False)
        for record in (None, job(), job(**ASKED), job(**ASKED, ended="killed"))
        for state in ("finished", "stopped", "failed")
        for time in (NOW - 1, NOW - 50)
        for alive in (True, False)
    ],
    # a status left from before a resume says nothing
    *[
        (job(), status(state, **OTHER), alive, "starting" if alive else "lost", False)
        for state in ("running", "finished", "stopped", "failed")
        for alive in (True, False)
    ],
    (job(started_at=None), status("finished", **OTHER), True, "queued", False),
]


@pytest.mark.parametrize(("record", "heartbeat", "alive", "name", "stalled"), TABLE)
def test_state_table(record: JobRecord | None, heartbeat: Status | None, alive: bool, name: str, stalled: bool) -> None:
    state = derive_state(record, heartbeat, alive, NOW)
    assert state.name == name
    assert state.stalled == stalled
    assert state.words.endswith(".")
    assert state.active == (name in ("queued", "starting", "running", "stopping"))


def test_words_say_that_it_was_killed_and_after_how_long() -> None:
    killed = job(stop_requested_at=NOW - 40, ended="killed", ended_at=NOW - 10)
    assert "Killed after 30 s" in derive_state(killed, status("running"), False, NOW).words
    assert "killed" in derive_state(killed, status("stopped"), False, NOW).words


def test_words_say_why_it_failed() -> None:
    failed = status("failed", message="The disk is full.")
    assert "The disk is full." in derive_state(job(), failed, True, NOW).words


def test_words_say_where_it_is() -> None:
    words = derive_state(job(), status("running", phase="validating"), True, NOW).words
    assert words == "Validating: epoch 2 of 10, step 20 of 100."


def test_words_say_that_it_was_killed_for_memory_and_what_to_do() -> None:
    killed = job(exit_code=-9, out_of_memory=True)
    words = derive_state(killed, status("running", memory_bytes=21_300_000_000), False, NOW).words
    assert words.startswith("Killed for memory")
    assert "21.3 GB" in words
    assert "resume" in words


@pytest.mark.parametrize(("free", "told"), [(LITTLE_MEMORY_BYTES - 1, True), (LITTLE_MEMORY_BYTES, False)])
def test_a_process_that_vanished_from_a_full_machine_was_probably_killed_for_memory(free: int, told: bool) -> None:
    state = derive_state(job(), status("running", free_memory_bytes=free), False, NOW)
    assert state.name == "lost"
    assert ("probably killed for memory" in state.words) == told


def test_words_name_the_signal() -> None:
    assert "SIGKILL" in derive_state(job(exit_code=-9), status("running"), False, NOW).words
    assert "SIGSEGV" in derive_state(job(exit_code=-11), status("running"), False, NOW).words
    assert "signal 99" in derive_state(job(exit_code=-99), status("running"), False, NOW).words


def test_a_process_is_known_by_its_pid_and_its_birth() -> None:
    born = birth(os.getpid())
    assert lives(os.getpid(), born)
    assert not lives(os.getpid(), f"{born}0")
    assert not lives(os.getpid(), None)
    assert not lives(None, born)


def test_a_birth_does_not_move_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    born = birth(os.getpid())
    created = psutil.Process().create_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 1e9)
    assert psutil.Process().create_time() != created
    assert lives(os.getpid(), born)


def test_a_zombie_and_nobody_do_not_live() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        born = birth(child.pid)
        assert lives(child.pid, born)
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not lives(child.pid, born)
    assert birth(child.pid) is None
    assert not lives(child.pid, born)


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = status("running", loss=math.inf, metrics={"metric/ndcg@10": 0.5}, best={"epoch": 1})
    job_records.write_status(tmp_path, written)
    job_records.write_job(tmp_path, job())
    assert job_records.read_status(tmp_path) == written
    assert job_records.read_job(tmp_path) == job()


def test_a_loss_that_is_not_a_number_is_kept(tmp_path: Path) -> None:
    job_records.write_status(tmp_path, status("failed", loss=math.nan))
    read = job_records.read_status(tmp_path)
    assert read is not None and read.loss is not None and math.isnan(read.loss)


def test_absent_records_read_as_none(tmp_path: Path) -> None:
    assert job_records.read_job(tmp_path) is None
    assert job_records.read_status(tmp_path) is None


def test_fields_of_a_newer_version_are_tolerated_and_kept(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps(job().model_dump() | {"priority": 3}))
    read = job_records.read_job(tmp_path)
    assert read is not None
    job_records.write_job(tmp_path, read)
    assert json.loads((tmp_path / "job.json").read_text())["priority"] == 3


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "dancing"}'])
def test_a_damaged_record_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    with pytest.raises(StoreError, match=r"status\.json"):
        job_records.read_status(tmp_path)


@pytest.mark.parametrize("before", ["running", "stopped", "failed"])
def test_a_cancelled_resume_says_that_what_was_trained_before_is_kept(before: str) -> None:
    state = derive_state(job(started_at=None, ended="cancelled"), status(before, **OTHER, epoch=75), False, NOW)
    assert "epoch 75 of" in state.words
    assert "kept" in state.words
    fresh = derive_state(job(started_at=None, ended="cancelled"), None, False, NOW)
    assert fresh.words == "Cancelled before its turn came; nothing was trained."
