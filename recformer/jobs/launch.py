"""Start a training process that outlives whoever started it, and let a process claim the run it trains."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil
from filelock import FileLock

from recformer import store
from recformer.errors import JobError
from recformer.jobs.locks import record_lock, train_lock
from recformer.jobs.records import JobRecord, read_job, read_status, write_job
from recformer.jobs.state import derive_state, is_alive
from recformer.store import Root

LOG_FILE = "train.log"


def launch(
    root: Root, run_id: str, arguments: list[str], device: str, *, executable: list[str] | None = None
) -> JobRecord:
    """Start `python -m recformer ARGUMENTS` for a run, in a session of its own, and return its record.

    The process's output is appended to the run's `train.log`. `executable` replaces `python -m recformer`.
    Raises JobError when the run is alive, is just being started by somebody else, or cannot be started.
    """
    folder = root.run(run_id)
    command = [*(executable or _recformer()), *arguments]
    with record_lock(folder, timeout_s=0):
        before = _refuse_when_alive(folder)
        job = _new_record(command, device, before)
        write_job(folder, job)
        try:
            child = _spawn(command, root, folder)
        except OSError as error:
            write_job(folder, job.model_copy(update={"ended": "not started", "ended_at": time.time()}))
            raise JobError(f"run {run_id!r} could not be started: {command[0]}: {error.strerror}") from error
        try:
            # The child is not reaped before this: however soon it ends, its creation time can be read.
            created = psutil.Process(child.pid).create_time()
            job = job.model_copy(update={"pid": child.pid, "pid_created": created})
            write_job(folder, job)
        except BaseException:
            child.kill()  # a process that no record names could never be stopped
            child.wait()
            raise
    # Without somebody who waits for it, a child that ends would stay a zombie as long as the app lives.
    threading.Thread(target=child.wait, name=f"reaper-{run_id}", daemon=True).start()
    return job


@dataclass
class Claim:
    """A training process's hold on its run, as long as the process lives or until it is left or released."""

    folder: Path
    record: JobRecord
    _lock: FileLock

    def mark_started(self) -> None:
        """Say that the process has its device and begins, after a claim made with `waiting=True`."""
        with record_lock(self.folder):
            # Read again: a stop may have been asked for meanwhile.
            job = read_job(self.folder) or self.record
            self.record = job.model_copy(update={"started_at": time.time()})
            write_job(self.folder, self.record)

    def release(self) -> None:
        """Let go of the run, so that another process may train it."""
        self._lock.release()

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def claim(root: Root, run_id: str, arguments: list[str], device: str, *, waiting: bool = False) -> Claim:
    """Take a run for this process, which trains it; keep what is returned as long as that lasts.

    A launched process finds itself named in `job.json`; one started by hand writes its own record there.
    With `waiting` the run counts as queued until `Claim.mark_started`. Raises JobError when another process
    has the run.
    """
    folder = root.run(run_id)
    with record_lock(folder):
        before = read_job(folder)
        named = before is not None and _names_this_process(before)
        if not named:
            before = _refuse_when_alive(folder)
        lock = train_lock(folder)
        try:
            job = before if named and before is not None else _own_record(arguments, device, before)
            if not waiting:
                job = job.model_copy(update={"started_at": time.time()})
            write_job(folder, job)
        except BaseException:
            lock.release()
            raise
    return Claim(folder, job, lock)


def _recformer() -> list[str]:
    return [sys.executable, "-m", "recformer"]


def _refuse_when_alive(folder: Path) -> JobRecord | None:
    """The run's record, which names no living process. Raises JobError otherwise."""
    job = read_job(folder)
    if job is None or not is_alive(job.pid, job.pid_created):
        return job
    state = derive_state(job, read_status(folder), True, time.time())
    raise JobError(
        f"run {folder.name!r} has a living process (pid {job.pid}, {state.name}); "
        "wait for it, stop it, or use another run id"
    )


def _new_record(command: list[str], device: str, before: JobRecord | None) -> JobRecord:
    now = time.time()
    created_at = now if before is None else before.created_at or before.queued_at
    return JobRecord(command=command, device=device, queued_at=now, created_at=created_at)


def _own_record(arguments: list[str], device: str, before: JobRecord | None) -> JobRecord:
    job = _new_record([*_recformer(), *arguments], device, before)
    return job.model_copy(update={"pid": os.getpid(), "pid_created": psutil.Process().create_time()})


def _names_this_process(job: JobRecord) -> bool:
    return job.pid == os.getpid() and is_alive(job.pid, job.pid_created)


def _spawn(command: list[str], root: Root, folder: Path) -> subprocess.Popen[bytes]:
    """Start `command` with its output in a real file: a pipe would block it when nobody reads any more."""
    environment = {**os.environ, "RECFORMER_ROOT": str(root.path.resolve()), "PYTHONUNBUFFERED": "1"}
    with (folder / LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=store.PROJECT,
            env=environment,
            start_new_session=True,
        )
