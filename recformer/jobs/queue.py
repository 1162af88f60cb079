"""Whose turn it is: one line of runs for each device, read from the runs' own records.

There is no daemon and no file of the queue's own. Each waiting process looks for itself whether its turn has come;
the order is the `place` in the runs' records, and who died is out of the line by that alone.
"""

import os
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from recformer.errors import JobError, StoreError
from recformer.files.names import RUN_ID
from recformer.files.stamps import Stamp, settled, stamp
from recformer.run.job_records import JOB_FILE, JobRecord, read_job, read_status, write_job
from recformer.run.locks import RECORD_TIMEOUT_S, record_lock
from recformer.run.paths import Root
from recformer.run.settings import Settings, read_settings
from recformer.run.state import derive_state

QUEUE_LOCK = ".queue.lock"
Move = Literal["up", "down", "first", "last"]


@dataclass
class QueueEntry:
    """The runs of one device by id: those that train, and those that wait, the next one first."""

    running: list[str] = field(default_factory=list[str])
    waiting: list[str] = field(default_factory=list[str])


def lines(root: Root, among: Iterable[str] | None = None) -> dict[str, QueueEntry]:
    """The line of each device that has one. Runs with damaged records stand in none.

    `among`: the ids of all active runs, for who knows them; else every run is looked at.
    """
    found: dict[str, QueueEntry] = {}
    living = _living(root, _run_ids(root) if among is None else among)
    for run_id, job in sorted(living.items(), key=lambda entry: (entry[1].place, entry[1].queued_at, entry[0])):
        line = found.setdefault(job.device, QueueEntry())
        (line.waiting if job.started_at is None else line.running).append(run_id)
    return found


def next_place(root: Root) -> float:
    """A place behind everybody who waits now."""
    return max((job.place for job in _living(root, _run_ids(root)).values()), default=0.0) + 1.0


def take_turn(root: Root, run_id: str) -> bool:
    """Whether a waiting run's turn has come; if so, its record says from now on that it has started.

    Raises JobError when the run does not wait (any more).
    """
    with _queue_lock(root), record_lock(root.run(run_id)):
        job = _record_of(root, run_id)
        if not has_turn(root, run_id, lines(root).get(job.device, QueueEntry())):
            return False
        write_job(root.run(run_id), job.model_copy(update={"started_at": time.time()}))
    return True


def has_turn(root: Root, run_id: str, line: QueueEntry) -> bool:
    """Whether a run is among those of its line that may start now; `take_turn` makes sure of it."""
    free = max(_settings(root).jobs_per_device - len(line.running), 0)
    return run_id in line.waiting[:free]


def move(root: Root, run_id: str, where: Move) -> list[str]:
    """Move a waiting run within its device's line, and return that line's waiting runs as they stand then.

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
            _give_place(root, other, max(places[0] + number, places[number]))
        return order


def _settings(root: Root) -> Settings:
    try:
        return read_settings(root)
    except StoreError:  # who waits must not die of somebody's typing error
        return Settings()


def _give_place(root: Root, run_id: str, place: float) -> None:
    with record_lock(root.run(run_id)):
        job = read_job(root.run(run_id))
        if job is not None and job.place != place:
            write_job(root.run(run_id), job.model_copy(update={"place": place}))


def _record_of(root: Root, run_id: str) -> JobRecord:
    job = read_job(root.run(run_id))
    if job is None:
        raise JobError(f"run {run_id!r} has no record any more: it was deleted")
    return job


def _living(root: Root, run_ids: Iterable[str]) -> dict[str, JobRecord]:
    """Records of the runs that wait or work, by id. Each who waits asks this every second, so it is kept cheap."""
    found: dict[str, JobRecord] = {}
    for run_id in run_ids:
        job = _job_of(root, run_id)
        if job is None or job.ended_at is not None or not job.alive:
            continue
        if job.started_at is None or _works(root.run(run_id), job):
            found[run_id] = job
    return found


def _works(folder: Path, job: JobRecord) -> bool:
    """Whether a started run still does: a process may outlive its training, a notebook's say."""
    try:
        return derive_state(job, read_status(folder), True, time.time()).active
    except StoreError:
        return True


def _run_ids(root: Root) -> list[str]:
    try:
        return [name for name in os.listdir(root.runs) if RUN_ID.fullmatch(name)]  # noqa: PTH208
    except FileNotFoundError:
        return []


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


@contextmanager
def _queue_lock(root: Root) -> Generator[None]:
    """The right to decide who is next. Raises JobError when somebody has it for long."""
    root.runs.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root.runs / QUEUE_LOCK, timeout=RECORD_TIMEOUT_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise JobError(f"the queue's lock {root.runs / QUEUE_LOCK} is held by another process; try again") from error
    try:
        yield
    finally:
        lock.release()
