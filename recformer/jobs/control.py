"""Stop a run: ask its process, wait, and after a grace period kill the whole process group.

`python -m recformer.jobs.control RUN_ID` sees a stop through in a process of its own, so that closing the app does not
spare a run that hangs; its output goes to the run's log.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from recformer.errors import JobError, RecformerError, StoreError
from recformer.jobs.launch import spawn
from recformer.run.job_records import Ending, JobRecord, read_job, read_status, write_job
from recformer.run.locks import record_lock
from recformer.run.paths import Root
from recformer.run.process import birth
from recformer.run.settings import read_settings
from recformer.run.state import derive_state

KILL_LIMIT_S = 10.0
POLL_S = 0.1


def request_stop(root: Root, run_id: str) -> JobRecord:
    """Ask a run's process to end (SIGTERM) and return at once. Raises JobError when it is not running."""
    folder = root.run(run_id)
    nothing_to_stop = JobError(f"run {run_id!r} is not running, so there is nothing to stop")
    if not folder.is_dir():
        raise nothing_to_stop
    with record_lock(folder):
        job = read_job(folder)
        process = _process(job)
        if job is None or process is None:
            raise nothing_to_stop
        # The process of a run that has ended may live on and do something else: a notebook, say.
        if not derive_state(job, read_status(folder), True, time.time()).active:
            raise nothing_to_stop
        if job.stop_requested_at is None:
            job = job.model_copy(update={"stop_requested_at": time.time()})
            write_job(folder, job)
        # psutil checks the creation time again, so that a process with a reused pid is never signalled.
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
    return job


def stop_detached(root: Root, run_id: str) -> None:
    """Ask a run's process to end, and let a process of its own see to it that it does.

    The app may be closed before the grace period is over. Raises JobError when the run is not running.
    """
    request_stop(root, run_id)
    try:
        spawn([sys.executable, "-m", "recformer.jobs.control", run_id], root, root.run(run_id))
    except OSError as error:
        raise JobError(
            f"run {run_id!r} was asked to stop, but nothing will kill it if it does not: {error.strerror}"
        ) from error


def stop(root: Root, run_id: str, grace_s: float | None = None) -> str:
    """Ask a run's process to end, and see it through. Raises JobError when the run is not running."""
    request_stop(root, run_id)
    return see_through(root, run_id, grace_s)


def see_through(root: Root, run_id: str, grace_s: float | None = None) -> str:
    """Wait up to `grace_s` seconds for a run that was asked to stop, then kill it and all its descendants.

    Without `grace_s` the settings' grace period holds. Returns what happened: "saved and stopped in epoch 3",
    "cancelled while it waited" or "killed after 30 s"; `job.json` remembers it. Raises JobError when something outlives
    even the kill.
    """
    folder = root.run(run_id)
    grace_s = read_settings(root).grace_s if grace_s is None else grace_s
    job = read_job(folder)
    if job is None:
        raise JobError(f"run {run_id!r} has no record any more: it was deleted")
    family = _family(job)
    obeyed = _ended_within(job, grace_s)
    # Also when it obeyed: workers that it left behind would keep memory and devices from the next run.
    _kill_all(job, family)
    ended = _record_ending(folder, job, "by itself" if obeyed else "killed")
    if ended == "cancelled":
        return "cancelled while it waited"
    return _how_it_ended(folder, job) if ended == "by itself" else f"killed after {grace_s:g} s"


def _how_it_ended(folder: Path, job: JobRecord) -> str:
    try:
        status = read_status(folder)
    except StoreError:
        return "ended; its status.json is damaged, so whether it saved is not known"
    if status is None or status.launch != job.launch:
        return "stopped before it began to train"
    if status.state == "stopped":
        return f"saved and stopped in epoch {status.epoch}"
    if status.state == "finished":
        return "had finished before the stop reached it"
    return "ended, but did not say that it saved; see its log"


def _process(job: JobRecord | None) -> psutil.Process | None:
    """The living process that the record names, else None."""
    if job is None or job.pid is None or not job.alive:
        return None
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(job.pid)
    return None


def _ended_within(job: JobRecord, seconds: float) -> bool:
    """Wait for the process to end; True when it did. A zombie has ended, whatever its parent knows."""
    deadline = time.monotonic() + seconds
    while (process := _process(job)) is not None:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        with suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
            process.wait(timeout=min(POLL_S, left))
    return True


def _family(job: JobRecord) -> set[psutil.Process]:
    """The run's process, its supervisor's, their descendants, and the members of the sessions that they lead or led;
    zombies included.

    The system gives a leader's pid to nobody else while a member of its session lives. So where another process has
    the pid, nothing is left of the run, and that process's session is not ours to touch.
    """
    members: set[psutil.Process] = set()
    leaders: set[int] = set()
    for pid, born in ((job.pid, job.birth), (job.supervisor_pid, job.supervisor_birth)):
        if pid is None or born is None or birth(pid) not in (None, born):
            continue
        leaders.add(pid)
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            members |= {process, *process.children(recursive=True)}
    for process in psutil.process_iter() if leaders else ():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in leaders:
                members.add(process)
    return members


def _kill_all(job: JobRecord, family: set[psutil.Process]) -> None:
    """Kill the run's processes until none is left; `family` are those known from before.

    Raises JobError when some outlive it.
    """
    deadline = time.monotonic() + KILL_LIMIT_S
    while members := _living(family | _family(job)):
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in members)
            raise JobError(f"processes {pids} could not be killed; they hang in the operating system")
        for process in members:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(list(members), timeout=POLL_S)
        family = members


def _living(processes: set[psutil.Process]) -> set[psutil.Process]:
    living: set[psutil.Process] = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                living.add(process)
    return living


def _record_ending(folder: Path, job: JobRecord, ended: Ending) -> Ending:
    """Write how the stop came out; what stands there then, should the run or another stop have said so first."""
    if folder.is_dir():  # else deleted meanwhile
        with record_lock(folder):
            current = read_job(folder)
            if current is not None and current.launch == job.launch:
                if current.ended is None:
                    write_job(folder, current.model_copy(update={"ended": ended, "ended_at": time.time()}))
                return current.ended or ended
    return ended


if __name__ == "__main__":
    try:
        print(f"stop: {see_through(Root.default(), sys.argv[1])}", flush=True)
    except RecformerError as error:
        sys.exit(f"stop: {error}")
