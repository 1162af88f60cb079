"""What a run is doing, derived from its two records and from what the operating system says."""

from dataclasses import dataclass
from typing import Literal

import psutil

from recformer.jobs.records import JobRecord, Status

StateName = Literal["queued", "starting", "running", "stopping", "finished", "stopped", "failed", "lost", "imported"]

ACTIVE: frozenset[StateName] = frozenset({"queued", "starting", "running", "stopping"})
FINAL = frozenset({"finished", "stopped", "failed"})

HEARTBEAT_LIMIT_S = 10.0  # the trainer reports at least every 2 s
FIRST_HEARTBEAT_LIMIT_S = 60.0  # importing torch on a busy machine comes before the first report
SPAWN_LIMIT_S = 60.0  # a launcher that died between its record and its process leaves no pid behind
CLOCK_TOLERANCE_S = 1.0  # creation times move a little when the system clock is adjusted


@dataclass(frozen=True)
class RunState:
    """A run's state: its name, whether its process has gone quiet, and one sentence for people."""

    name: StateName
    words: str
    stalled: bool = False

    @property
    def active(self) -> bool:
        """Whether the run still waits or works, so that it may change without anybody's doing."""
        return self.name in ACTIVE


def is_alive(pid: int | None, pid_created: float | None) -> bool:
    """Whether that very process runs: a reused pid (another creation time) and a zombie are dead."""
    if pid is None or pid_created is None:
        return False
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - pid_created) <= CLOCK_TOLERANCE_S
        return same and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False


def derive_state(job: JobRecord | None, status: Status | None, alive: bool, now: float) -> RunState:
    """The state of a run, from its records, whether its process is alive, and the time (seconds since 1970).

    A final status stands whatever the process does. A status from before the job's launch is ignored.
    """
    if job is None and status is None:
        return RunState("imported", "Imported: it was not trained here.")
    if job is not None and status is not None and status.time < _since(job):
        status = None
    if status is not None and status.state in FINAL:
        return _final(job, status)
    return _alive(job, status, now) if alive else _gone(job, status, now)


def _since(job: JobRecord) -> float:
    return job.queued_at if job.started_at is None else job.started_at


def _final(job: JobRecord | None, status: Status) -> RunState:
    killed = "" if job is None or job.ended != "killed" else " Its process did not end and was killed."
    if status.state == "finished":
        return RunState("finished", f"Finished {_epochs(status.num_epochs)}.{killed}")
    if status.state == "stopped":
        words = f"Stopped in epoch {status.epoch} of {status.num_epochs}."
        return RunState("stopped", f"{_with_message(words, status)}{killed}")
    return RunState("failed", f"{_with_message('Failed.', status)}{killed}")


def _alive(job: JobRecord | None, status: Status | None, now: float) -> RunState:
    if job is not None and job.stop_requested_at is not None:
        name, words = "stopping", "Stopping: it ends its step and saves."
    elif status is None:
        waits = job is not None and job.started_at is None
        name, words = ("queued", "Waiting for its turn.") if waits else ("starting", "Starting.")
    elif status.state == "stopping":
        name, words = "stopping", "Stopping: it ends its step and saves."
    elif status.state == "starting":
        name, words = "starting", f"Starting: {status.phase}." if status.phase else "Starting."
    else:
        name, words = "running", _running_words(status)
    silence = _silence(job, status, now)
    if name == "queued" or silence is None:
        return RunState(name, words)
    return RunState(name, f"{words} It has not reported for {silence:.0f} s.", stalled=True)


def _silence(job: JobRecord | None, status: Status | None, now: float) -> float | None:
    """Seconds since the last sign of life where that is too long ago, else None."""
    if status is not None:
        quiet, limit = now - status.time, HEARTBEAT_LIMIT_S
    elif job is not None:
        quiet, limit = now - _since(job), FIRST_HEARTBEAT_LIMIT_S
    else:
        return None
    return quiet if quiet > limit else None


def _gone(job: JobRecord | None, status: Status | None, now: float) -> RunState:
    if job is not None and job.ended == "not started":
        return RunState("failed", "Failed: its process could not be started.")
    if job is not None and job.pid is None and status is None:
        return _without_process(job, now)
    if job is not None and job.ended == "killed":
        return RunState("stopped", f"Killed{_after(job)}: it did not end when asked to stop.")
    if job is not None and (job.stop_requested_at is not None or job.ended is not None):
        return RunState("stopped", "Stopped when asked to, but it did not say that it saved.")
    if status is not None and status.state == "stopping":
        return RunState("lost", "Lost: the process ended while stopping, and did not say that it saved.")
    return RunState("lost", "Lost: the process ended without saying why; its log may tell.")


def _without_process(job: JobRecord, now: float) -> RunState:
    if now - _since(job) > SPAWN_LIMIT_S:
        return RunState("lost", "Lost: its process was never started.")
    if job.started_at is None:
        return RunState("queued", "Waiting for its turn.")
    return RunState("starting", "Starting.")


def _after(job: JobRecord) -> str:
    if job.stop_requested_at is None or job.ended_at is None:
        return ""
    return f" after {job.ended_at - job.stop_requested_at:.0f} s"


def _running_words(status: Status) -> str:
    doing = status.phase.capitalize() or "Running"
    return f"{doing}: epoch {status.epoch} of {status.num_epochs}, step {status.step} of {status.steps}."


def _with_message(words: str, status: Status) -> str:
    return f"{words} {status.message}" if status.message else words


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
