"""Which run starts next on each device, and the process that waits for that.

There is no daemon and no file of the queue's own. Each waiting process looks for itself whether its run may start; the
order is the `place` in the runs' records, and a process that died no longer counts.

`python -m recformer.jobs.queue RUN_ID -- COMMAND …` is what a command line that finds its device busy becomes. It keeps
its process id and its terminal, waits without torch (some 35 MB and next to no work), and becomes COMMAND.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from recformer.errors import JobError, RecformerError, StoreError
from recformer.files.names import RUN_ID
from recformer.files.stamps import Stamp, settled, stamp
from recformer.run.job_records import JOB_FILE, JobRecord, read_job, read_status, write_job
from recformer.run.locks import RECORD_TIMEOUT_S, held, record_lock
from recformer.run.paths import Root
from recformer.run.settings import Settings, read_settings
from recformer.run.state import derive_state

QUEUE_LOCK = ".queue.lock"
POLL_S = 1.0
STOPS = (signal.SIGTERM, signal.SIGINT)
Move = Literal["up", "down", "first", "last"]


@dataclass
class QueueEntry:
    """The runs of one device by id: those that train, and those that wait, the next one first."""

    running: list[str] = field(default_factory=list[str])
    waiting: list[str] = field(default_factory=list[str])


def lines(root: Root, among: Iterable[str] | None = None) -> dict[str, QueueEntry]:
    """The queue of each device that has one. Runs with damaged records stand in none.

    `among`: the ids of all active runs, for who knows them; else every run is looked at.
    """
    found: dict[str, QueueEntry] = {}
    living = _living(root, among)
    for run_id, job in sorted(living.items(), key=lambda entry: (entry[1].place, entry[1].queued_at, entry[0])):
        line = found.setdefault(job.device, QueueEntry())
        (line.waiting if job.started_at is None else line.running).append(run_id)
    return found


def next_place(root: Root) -> float:
    """A place behind everybody who waits now."""
    return max((job.place for job in _living(root).values()), default=0.0) + 1.0


def take_turn(root: Root, run_id: str) -> bool:
    """Whether a waiting run may start now; if so, its record says from now on that it has started.

    Raises JobError when the run does not wait (any more).
    """
    with _queue_lock(root), record_lock(root.run(run_id)):
        job = _record_of(root, run_id)
        if not has_turn(root, run_id, lines(root).get(job.device, QueueEntry())):
            return False
        write_job(root.run(run_id), job.model_copy(update={"started_at": time.time()}))
    return True


def has_turn(root: Root, run_id: str, line: QueueEntry) -> bool:
    """Whether a run is among those of its queue that may start now; `take_turn` makes sure of it."""
    try:
        settings = read_settings(root)
    except StoreError:  # who waits must not die of somebody's typing error
        settings = Settings()
    return run_id in line.waiting[: max(settings.jobs_per_device - len(line.running), 0)]


def move(root: Root, run_id: str, where: Move) -> list[str]:
    """Move a waiting run within its device's queue, and return that queue's waiting runs as they stand then.

    Raises JobError when the run does not wait.
    """
    with _queue_lock(root):
        line = next((line.waiting for line in lines(root).values() if run_id in line.waiting), None)
        if line is None:
            raise JobError(f"run {run_id!r} does not wait in a queue, so it cannot be moved there")
        before = line.index(run_id)
        after = {"up": max(before - 1, 0), "down": before + 1, "first": 0, "last": len(line)}[where]
        order = [other for other in line if other != run_id]
        order.insert(after, run_id)
        places = sorted(_record_of(root, other).place for other in line)
        # Places may be equal after two launches at one moment: spread them, or the order would not be told.
        for number, other in enumerate(order):
            place = max(places[0] + number, places[number])
            with record_lock(root.run(other)):
                job = read_job(root.run(other))
                if job is not None and job.place != place:
                    write_job(root.run(other), job.model_copy(update={"place": place}))
        return order


def recformer_command() -> list[str]:
    """The command line's own command."""
    return [sys.executable, "-m", "recformer"]


def await_turn(root: Root, run_id: str, arguments: list[str]) -> None:
    """Return when this process, which has entered the queue, may train the run: at once, or after having waited.

    To wait, the process becomes `recformer.jobs.queue`, and then again `python -m recformer ARGUMENTS`: with torch
    loaded it would hold hundreds of megabytes.
    """
    job = read_job(root.run(run_id))
    if (job is not None and job.started_at is not None) or take_turn(root, run_id):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.environ["RECFORMER_ROOT"] = str(root.path)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # inherited: Ctrl-C before the waiting process looks is not lost
    command = [*recformer_command(), *arguments]
    os.execv(sys.executable, [sys.executable, "-m", "recformer.jobs.queue", run_id, "--", *command])


def wait_for_turn(root: Root, run_id: str, report: Callable[[str], None]) -> int | None:
    """Wait until the run may start. Returns None then, or the signal that cancelled it, which its record then says.

    SIGTERM and SIGINT must be blocked: they are waited for here, so none is lost between two looks.
    `report` is given a line each time the place has changed. Raises JobError when the run was deleted.
    """
    folder, reported = root.run(run_id), ""
    while True:
        try:
            if not folder.is_dir():
                raise JobError(f"run {run_id!r} was deleted while it waited")
            line = next((line for line in lines(root).values() if run_id in line.waiting), QueueEntry())
            if has_turn(root, run_id, line) and take_turn(root, run_id):
                return None
            text = ""
            if run_id in line.waiting:  # else its record cannot be read at the moment
                place = line.waiting.index(run_id)
                ahead = ", ".join([*line.running, *line.waiting[:place]]) or "nobody"
                text = f"waits for its turn, place {place + 1}; ahead: {ahead}"
        except StoreError as error:  # a disk that is full now is perhaps not for ever
            text = str(error)
        if text and text != reported:
            report(text)
            reported = text
        asked = signal.sigtimedwait(STOPS, POLL_S)
        if asked is not None:
            with record_lock(folder):
                if (job := read_job(folder)) is not None:
                    write_job(folder, job.model_copy(update={"ended": "cancelled", "ended_at": time.time()}))
            report("cancelled while it waited; what was trained before, if anything, is kept")
            return int(asked.si_signo)


def _record_of(root: Root, run_id: str) -> JobRecord:
    job = read_job(root.run(run_id))
    if job is None:
        raise JobError(f"run {run_id!r} has no record any more: it was deleted")
    return job


def _living(root: Root, run_ids: Iterable[str] | None = None) -> dict[str, JobRecord]:
    """Records of the runs that wait or work, by id, of all runs or of `run_ids`. Each process that waits asks this
    every second, so it is kept cheap."""
    if run_ids is None:
        try:
            run_ids = [name for name in os.listdir(root.runs) if RUN_ID.fullmatch(name)]  # noqa: PTH208
        except FileNotFoundError:
            return {}
    found: dict[str, JobRecord] = {}
    for run_id in run_ids:
        job = _job_of(root, run_id)
        if job is None or job.ended_at is not None or not job.alive:
            continue
        try:  # a process may outlive its training, a notebook's say
            if job.started_at is None or derive_state(job, read_status(root.run(run_id)), True, time.time()).active:
                found[run_id] = job
        except StoreError:
            found[run_id] = job
    return found


def _job_of(root: Root, run_id: str) -> JobRecord | None:
    """The record of a run, read once for each of its versions."""
    path = f"{root.runs}/{run_id}/{JOB_FILE}"
    now, (before, job) = stamp(path), _read_jobs.get(path, (None, None))
    if now is None:
        return None
    if now == before:
        return job
    try:
        job = read_job(root.run(run_id))
    except StoreError:
        return None
    if settled([now]):
        _read_jobs[path] = now, job
    return job


_read_jobs: dict[str, tuple[Stamp, JobRecord | None]] = {}


def _queue_lock(root: Root) -> AbstractContextManager[None]:
    """The right to decide who is next. Raises JobError when somebody has it for long."""
    root.runs.mkdir(parents=True, exist_ok=True)
    path = root.runs / QUEUE_LOCK
    return held(path, RECORD_TIMEOUT_S, JobError(f"the queue's lock {path} is held by another process; try again"))


def main() -> None:
    """Wait in the foreground; Ctrl-C leaves the queue."""
    run_id, separator, *command = sys.argv[1:]
    assert separator == "--"
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        cancelled_by = wait_for_turn(
            Root.default(), run_id, lambda text: print(f"{run_id}: {text}", file=sys.stderr, flush=True)
        )
    except RecformerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    if cancelled_by is not None:
        sys.exit(128 + cancelled_by)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
