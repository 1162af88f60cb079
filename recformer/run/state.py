"""What a run is doing, derived from its two records and from what the operating system says."""

from dataclasses import dataclass
from signal import Signals
from typing import Literal

from recformer.errors import count
from recformer.run.job_records import JobRecord, Status

StateName = Literal["queued", "starting", "running", "stopping", "finished", "stopped", "failed", "lost", "imported"]

ACTIVE: frozenset[StateName] = frozenset({"queued", "starting", "running", "stopping"})
FINAL = frozenset({"finished", "stopped", "failed"})

HEARTBEAT_LIMIT_S = 10.0  # the trainer reports at least every 2 s
FIRST_HEARTBEAT_LIMIT_S = 60.0  # importing torch on a busy machine comes before the first report
SPAWN_LIMIT_S = 60.0  # a launcher that died between its record and its process leaves no pid behind
LITTLE_MEMORY_BYTES = 256 << 20  # a process that vanishes with less than this left was probably killed for it


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


WAITING, STARTING = RunState("queued", "Waiting for its turn."), RunState("starting", "Starting.")
STOPPING = "Stopping: it ends its step and saves."


def derive_state(job: JobRecord | None, status: Status | None, alive: bool, now: float) -> RunState:
    """The state of a run, from its records, whether its process is alive, and the time (seconds since 1970).

    A final status stands whatever the process does. A status of another launch is ignored; which one it is of
    is told by name, not by time: clocks are set back.
    """
    if job is None and status is None:
        return RunState("imported", "Imported: it was not trained here.")
    if job is not None and status is not None and status.launch != job.launch:
        if job.ended == "cancelled":
            return _resume_cancelled(status)
        status = None
    if status is not None and status.state in FINAL:
        return _final(job, status)
    return _alive(job, status, now) if alive else _gone(job, status, now)


def _since(job: JobRecord) -> float:
    return job.queued_at if job.started_at is None else job.started_at


def _resume_cancelled(before: Status) -> RunState:
    """A run whose resume never had its turn: it is what the launch before made of it."""
    where = (
        count(before.num_epochs, "epoch")
        if before.state == "finished"
        else f"epoch {before.epoch} of {before.num_epochs}"
    )
    name: StateName = "finished" if before.state == "finished" else "stopped"
    return RunState(
        name, f"The resume was cancelled before its turn came. The run is as it was ({where}); what it saved is kept."
    )


def _final(job: JobRecord | None, status: Status) -> RunState:
    killed = "" if job is None or job.ended != "killed" else " Its process did not end and was killed."
    if status.state == "finished":
        early = status.epoch < status.num_epochs  # its patience had an end
        words = f"Finished {count(status.num_epochs, 'epoch')}."
        words = f"Finished after {status.epoch} of {count(status.num_epochs, 'epoch')}." if early else words
        return RunState("finished", f"{words}{killed}")
    if status.state == "stopped":
        words = f"Stopped in epoch {status.epoch} of {status.num_epochs}."
        return RunState("stopped", f"{_with_message(words, status)}{killed}")
    return RunState("failed", f"{_with_message('Failed.', status)}{killed}")


def _alive(job: JobRecord | None, status: Status | None, now: float) -> RunState:
    if job is not None and job.stop_requested_at is not None:
        name, words = "stopping", STOPPING
    elif status is None:
        waits = job is not None and job.started_at is None
        name, words = ("queued", WAITING.words) if waits else ("starting", STARTING.words)
    elif status.state == "stopping":
        name, words = "stopping", STOPPING
    elif status.state == "starting":
        name, words = "starting", f"Starting: {status.phase}." if status.phase else "Starting."
    else:
        doing = status.phase.capitalize() or "Running"
        name = "running"
        words = f"{doing}: epoch {status.epoch} of {status.num_epochs}, step {status.step} of {status.steps}."
    silence = _silence(job, status, now)
    if name == "queued" or silence is None:
        return RunState(name, words)
    return RunState(name, f"{words} It has not reported for {silence:.0f} s.", stalled=True)


def _silence(job: JobRecord | None, status: Status | None, now: float) -> float | None:
    """Seconds since the last sign of life where that is too long ago, else None.

    A sign from the future means that the clock was set back since: one who lives reports again within a second.
    """
    if status is not None:
        quiet, limit = abs(now - status.time), HEARTBEAT_LIMIT_S
    elif job is not None:
        quiet, limit = abs(now - _since(job)), FIRST_HEARTBEAT_LIMIT_S
    else:
        return None
    return quiet if quiet > limit else None


def _gone(job: JobRecord | None, status: Status | None, now: float) -> RunState:
    if job is None:
        return RunState("lost", _lost_words(status))
    if job.ended == "not started":
        return RunState("failed", "Failed: its process could not be started.")
    if job.ended == "cancelled":
        return RunState("stopped", "Cancelled before its turn came; nothing was trained.")
    if job.pid is None and status is None:
        if abs(now - _since(job)) > SPAWN_LIMIT_S:
            return RunState("lost", "Lost: its process was never started.")
        return WAITING if job.started_at is None else STARTING
    if job.ended == "killed":
        asked, ended = job.stop_requested_at, job.ended_at
        after = f" after {ended - asked:.0f} s" if asked is not None and ended is not None and ended >= asked else ""
        return RunState("stopped", f"Killed{after}: it did not end when asked to stop.")
    if job.stop_requested_at is not None or job.ended is not None:
        saved = "before it began to train" if status is None else "when asked to, but it did not say that it saved"
        return RunState("stopped", f"Stopped {saved}.")
    if job.out_of_memory:
        memory = 0 if status is None else status.memory_bytes
        used = f" while it used {memory / 1e9:.1f} GB" if memory else ""
        return RunState(
            "failed",
            f"Killed for memory: the operating system ran out and killed its process{used}. What it saved is intact; "
            "resume it when there is more memory, or start from its weights with a smaller batch.",
        )
    if job.exit_code is not None and job.exit_code > 0:
        return RunState("failed", f"Failed with exit code {job.exit_code}; its log may tell why.")
    if job.exit_code is not None and job.exit_code < 0:
        number = -job.exit_code
        name = f" ({Signals(number).name})" if number in set(Signals) else ""
        return RunState("lost", f"Lost: its process was killed by signal {number}{name}, from outside or by a crash.")
    if job.started_at is None:
        return RunState("lost", "Lost: its process ended while it waited for its turn.")
    return RunState("lost", _lost_words(status))


def _lost_words(status: Status | None) -> str:
    if status is not None and status.free_memory_bytes is not None and status.free_memory_bytes < LITTLE_MEMORY_BYTES:
        return (
            "Lost: the process ended without saying why when the machine had only "
            f"{status.free_memory_bytes / 1e9:.1f} GB of memory left; it was probably killed for memory."
        )
    if status is not None and status.state == "stopping":
        return "Lost: the process ended while stopping, and did not say that it saved."
    return "Lost: the process ended without saying why; its log may tell."


def _with_message(words: str, status: Status) -> str:
    return f"{words} {status.message}" if status.message else words
