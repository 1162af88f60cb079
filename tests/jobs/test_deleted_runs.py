"""A launched run whose folders somebody removes while it trains or waits: it ends, and nothing of it comes back."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recformer.config import override, parse, preset
from recformer.jobs.launch import launch, submit
from recformer.jobs.queue import QueueEntry, lines
from recformer.run.job_records import JobRecord, read_job
from recformer.run.paths import Root, can_resume
from recformer.run.process import lives
from tests.builders import dataset_in, sequences
from tests.training_helpers import SMALL_SET
from tests.waiting import wait_until


@pytest.fixture
def launched() -> Iterator[list[JobRecord]]:
    """Launches whose processes are ended with the test."""
    jobs: list[JobRecord] = []
    yield jobs
    for job in jobs:
        if lives(job.supervisor_pid, job.supervisor_birth):
            os.killpg(job.supervisor_pid or 0, signal.SIGKILL)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return Root(tmp_path / "root")


def job_of(root: Root, run_id: str) -> JobRecord:
    job = read_job(root.run(run_id))
    assert job is not None
    return job


def ended(job: JobRecord) -> bool:
    return not job.alive and not lives(job.supervisor_pid, job.supervisor_birth)


def test_a_launched_run_that_is_deleted_while_it_trains_ends_and_neither_folder_comes_back(
    root: Root, tmp_path: Path, launched: list[JobRecord]
) -> None:
    data = dataset_in(tmp_path / "long", sequences(num_users=60, num_items=80, shortest=50, longest=70))
    changes = ["name=run", *SMALL_SET, "batch_size=8", "num_epochs=500", "save_steps=20", "engine=eager"]
    submit(root, parse(override(preset("baseline"), changes)), data, "cpu")
    launched.append(job_of(root, "run"))
    wait_until(lambda: can_resume(root, "run"), "a first save")
    job = job_of(root, "run")
    assert job.pid is not None
    os.kill(job.pid, signal.SIGSTOP)  # or it would write while its folder is being removed
    shutil.rmtree(root.run("run"))
    shutil.rmtree(root.model("run"))
    os.kill(job.pid, signal.SIGCONT)
    wait_until(lambda: ended(job), "the end of the trainer and its supervisor")
    assert list(root.runs.glob("*/")) == list(root.models.glob("*/")) == []


def test_a_run_that_is_deleted_while_it_waits_leaves_the_queue_and_does_not_come_back(
    root: Root, launched: list[JobRecord]
) -> None:
    for name in ("first", "second"):
        launched.append(
            launch(root, name, [], "cpu", executable=[sys.executable, "-c", "import time; time.sleep(600)"])
        )
        wait_until(lambda name=name: name in str(lines(root)), f"{name} to stand in the queue")
    wait_until(lambda: lines(root) == {"cpu": QueueEntry(["first"], ["second"])}, "the second to wait")
    shutil.rmtree(root.run("second"))
    wait_until(lambda: ended(launched[1]), "the end of who waited")
    assert not root.run("second").exists()
    assert lines(root) == {"cpu": QueueEntry(["first"], [])}
