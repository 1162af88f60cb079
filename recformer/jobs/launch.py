"""Ask for a training run and start it in a process that outlives whoever asked; let a process claim the run it trains.

A launched run has a supervisor (see jobs.supervisor), which waits for the device and then starts the training process.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from recformer.config import TrainConfig
from recformer.errors import JobError, StoreError
from recformer.files.names import PROJECT
from recformer.files.writing import remove_leftovers
from recformer.jobs.devices import queue_of
from recformer.jobs.queue import STOPS, next_place, recformer_command
from recformer.run.job_records import JOB_FILE, STATUS_FILE, JobRecord, read_job, read_status, write_job
from recformer.run.labels import give_colour
from recformer.run.locks import record_lock, train_lock
from recformer.run.paths import Root, known_run, reserve_run_id
from recformer.run.printed import LOG_FILE
from recformer.run.process import birth
from recformer.run.record import FILE as RECORD_FILE
from recformer.run.record import RunRecord, asked, write_record
from recformer.run.state import derive_state

if TYPE_CHECKING:
    from recformer.data.dataset import Dataset

TRAINERS_FILES = (JOB_FILE, STATUS_FILE, RECORD_FILE)
"""What only the holder of a run's two locks writes; others may be writing labels and ranks beside them."""


def submit(root: Root, config: TrainConfig, dataset: "Dataset", device: str, init_from: str | None = None) -> str:
    """Queue a new run and return its id. `init_from` names a checkpoint whose weights it begins with.

    Raises JobError when it cannot be launched, StoreError when the disk refuses; no half-made run stays behind.
    """
    run_id = reserve_run_id(root, config.name)
    try:
        write_down(root, run_id, asked(root, config.model_dump(mode="json"), dataset, device, init_from))
        resume(root, run_id, device)
    except BaseException:
        shutil.rmtree(root.run(run_id), ignore_errors=True)
        raise
    return run_id


def write_down(root: Root, run_id: str, record: RunRecord) -> None:
    """Write what a new run is asked with, and give it a colour. Raises StoreError when the disk refuses."""
    write_record(root, run_id, record)
    with suppress(StoreError):  # a colour is no reason not to train
        give_colour(root, run_id)


def resume(root: Root, run_id: str, device: str, overrides: Iterable[str] = ()) -> None:
    """Let a run go on from its last.pt, or begin where it never saved anything.

    `overrides` ("num_epochs=20") where they are allowed on resume.
    Raises JobError when it is alive or cannot be launched, UsageError when there is no such run.
    """
    launch(root, known_run(root, run_id), train_arguments(run_id, device, overrides), queue_of(device))


def train_arguments(run_id: str, device: str, overrides: Iterable[str] = (), data: Path | None = None) -> list[str]:
    """The command that trains a run whose record is written."""
    arguments = ["train", "--resume", run_id, "--device", device]
    for assignment in overrides:
        arguments += ["--set", assignment]
    return arguments if data is None else [*arguments, "--data", str(data.resolve())]


def launch(
    root: Root, run_id: str, arguments: list[str], device: str, *, executable: list[str] | None = None
) -> JobRecord:
    """Queue `python -m recformer ARGUMENTS` for `device`, kept by a process in a session of its own; its record.

    The output of both is appended to the run's `train.log`. `executable` replaces `python -m recformer`.
    Raises JobError when the run is alive, is just being started by somebody else, or cannot be started.
    """
    folder = _made(root, run_id)
    command = [*(executable or recformer_command()), *arguments]
    supervisor = [sys.executable, "-m", "recformer.jobs.supervisor", run_id, "--", *command]
    with record_lock(folder):
        job = _new_record(root, command, device, _refuse_when_active(folder))
        write_job(folder, job)
        # Born with SIGTERM and SIGINT blocked: a stop waits until the supervisor looks.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            child = spawn(supervisor, root, folder)
        except OSError as error:
            write_job(folder, job.model_copy(update={"ended": "not started", "ended_at": time.time()}))
            raise JobError(f"run {run_id!r} could not be started: {supervisor[0]}: {error.strerror}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            # The child is not reaped before this: however soon it ends, its creation time can be read.
            pid, born = child.pid, birth(child.pid)
            named = {"pid": pid, "birth": born, "supervisor_pid": pid, "supervisor_birth": born}
            job = job.model_copy(update=named)
            write_job(folder, job)
        except BaseException:
            child.kill()  # a process that no record names could never be stopped
            child.wait()
            raise
    return job


def enter_queue(root: Root, run_id: str, arguments: list[str], device: str) -> None:
    """Let this process, started by hand, stand in the queue of `device`: the run's record says so from now on.

    A launched process finds itself named there already, and this does nothing. Raises JobError when another
    process has the run.
    """
    folder = _made(root, run_id)
    with record_lock(folder):
        before = read_job(folder)
        if _is_ours(folder, before):
            return
        _refuse_when_active(folder)
        train_lock(folder).release()  # refuses where a process trains that the record does not name
        write_job(folder, _own_record(root, arguments, device, before))


@contextmanager
def claim(root: Root, run_id: str, arguments: list[str], device: str) -> Generator[JobRecord]:
    """While inside, this process has the run, which it trains; the run's record.

    A process that was launched or has waited finds itself named in `job.json`; any other one writes its own
    record there. Raises JobError when another process has the run.
    """
    folder = _made(root, run_id)
    with record_lock(folder):
        before = read_job(folder)
        ours = _is_ours(folder, before)
        if not ours:
            _refuse_when_active(folder)
        lock = train_lock(folder)
        try:
            job = before if ours and before is not None else _own_record(root, arguments, device, before)
            if job.started_at is None:
                job = job.model_copy(update={"started_at": time.time()})
            remove_leftovers(folder, TRAINERS_FILES)
            write_job(folder, job)
        except BaseException:
            lock.release()
            raise
    try:
        yield job
    finally:
        lock.release()


def _made(root: Root, run_id: str) -> Path:
    """The run's folder, made where a new run begins. Raises StoreError when the disk refuses."""
    folder = root.run(run_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"could not make {folder}: {error.strerror}. Check the disk's space and the folder's permissions"
        ) from error
    return folder


def _refuse_when_active(folder: Path) -> JobRecord | None:
    """The run's record, which names no process that waits or trains. Raises JobError otherwise.

    A process that has said its last word may live on for a moment, or be somebody's notebook.
    """
    job = read_job(folder)
    if job is None or not job.alive:
        return job
    state = derive_state(job, read_status(folder), True, time.time())
    if not state.active:
        return job
    raise JobError(
        f"run {folder.name!r} has a living process (pid {job.pid}, {state.name}); "
        "wait for it, stop it, or use another run id"
    )


def _is_ours(folder: Path, job: JobRecord | None) -> bool:
    """Whether this process was launched to train the run, or has waited for that, and has not done it yet."""
    if job is None or job.pid != os.getpid() or not job.alive:
        return False
    return derive_state(job, read_status(folder), True, time.time()).active


def _new_record(root: Root, command: list[str], device: str, before: JobRecord | None) -> JobRecord:
    now = time.time()
    return JobRecord(
        command=command,
        device=device,
        queued_at=now,
        launch=uuid.uuid4().hex,
        place=next_place(root),
        created_at=now if before is None else before.created_at or before.queued_at,
    )


def _own_record(root: Root, arguments: list[str], device: str, before: JobRecord | None) -> JobRecord:
    own = {"pid": os.getpid(), "birth": birth(os.getpid())}
    return _new_record(root, [*recformer_command(), *arguments], device, before).model_copy(update=own)


def spawn(command: list[str], root: Root, folder: Path) -> subprocess.Popen[bytes]:
    """Start `command` detached, in a session of its own, its output appended to the run's log.

    A real file: a pipe would block the process when nobody reads any more. Raises OSError.
    """
    environment = {**os.environ, "RECFORMER_ROOT": str(root.path.resolve()), "PYTHONUNBUFFERED": "1"}
    with (folder / LOG_FILE).open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=environment,
            start_new_session=True,
        )
    # Without somebody who waits for it, a child that ends would stay a zombie as long as the app lives.
    threading.Thread(target=child.wait, name=f"reaper-{child.pid}", daemon=True).start()
    return child
