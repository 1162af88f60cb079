"""All runs under a root: their records, configuration, logs and checkpoints, without opening a model."""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from recformer.errors import CheckpointError, StoreError
from recformer.files import gate
from recformer.files.names import run_id_from
from recformer.files.safetensors_header import record_in
from recformer.files.stamps import Stamp, settled, stamp
from recformer.logs.bounds import known_stamp, stamp_in_name
from recformer.logs.files import find_event_files
from recformer.run.job_records import JOB_FILE, STATUS_FILE, JobRecord, Status, read_job, read_status
from recformer.run.labels import FILE as LABELS_FILE
from recformer.run.labels import Labels, read_labels
from recformer.run.paths import CHECKPOINT_FILES, LISTS, RESUME_FILES, Root, entries_of, known_run, run_folders
from recformer.run.record import FILE as RECORD_FILE
from recformer.run.record import read_settings
from recformer.run.state import RunState, derive_state
from recformer.run.upgrade import CONFIG_FILE

BEST_FILE = CHECKPOINT_FILES["best"]
OLD_BEST_FILE = "best.json"  # beside the weights, until they held their record themselves
EVALUATIONS = "eval"  # a folder of ours, without logs


class _Best(TypedDict, total=False):
    """What is shown of the record of the best checkpoint."""

    epoch: int
    step: int
    metrics: dict[str, float]
    dataset: dict[str, str] | None
    imported: bool


_BEST = TypeAdapter(_Best)


@dataclass(frozen=True)
class RunSummary:
    """What the disk says about one run. `created` is in seconds since 1970."""

    run_id: str
    name: str
    """What people call it: its label, else its configuration's name, else its id."""
    state: RunState
    labels: Labels
    job: JobRecord | None
    status: Status | None
    config: dict[str, Any]
    created: float
    checkpoints: list[str]
    """Those there are of "best", "last" and "lists"."""
    resumable: bool
    """Whether anything was saved that it can go on from."""
    best: dict[str, Any] | None
    """The record in the best checkpoint (`best.safetensors`)."""
    imported: bool = False


@dataclass(frozen=True)
class DamagedRun:
    """A run with a record that cannot be read, or a folder that no run may have the name of, and why."""

    run_id: str
    reason: str


def list_runs(root: Root) -> tuple[list[RunSummary], list[DamagedRun]]:
    """Every run in `runs/` or `models/`, archived ones too, newest first, and those that cannot be shown, by id.

    What has not changed since this process last looked is not read again: such a run is the same object as before.
    Raises StoreError where `runs/` or `models/` itself cannot be read.
    """
    return _overview(root).all()


def labels_of(runs: list[RunSummary]) -> dict[str, str]:
    """Run id to the name people chose, with the id where two runs have the same name."""
    named = Counter(run.name for run in runs)
    return {
        run.run_id: run.name if named[run.name] == 1 or run.name == run.run_id else f"{run.name} · {run.run_id}"
        for run in runs
    }


def active_runs(root: Root) -> list[RunSummary]:
    """The runs that work or wait, newest first, for who asks every few seconds.

    A run begins with a new file in its folder. So of a run that was at rest only the folder is looked at.
    Raises as `list_runs`.
    """
    return _overview(root).active()


@cache
def _overview(root: Root) -> "_Overview":
    """The one memory that this process has of the runs under a root."""
    return _Overview(root)


@dataclass(frozen=True)
class _Seen:
    """A run as it was read, and what tells whether it is still so."""

    stamps: "_Stamps"
    settled: bool
    """Whether every later change gives other stamps."""
    run: RunSummary | DamagedRun | None
    """None where it was deleted meanwhile."""
    logs_below: bool
    """Whether its age is that of logs in folders below its own, whose changes its own does not show."""

    @property
    def at_rest(self) -> bool:
        """Whether it stays as it is as long as its stamps do. A process may end, and a disk recover, without one."""
        return self.settled and isinstance(self.run, RunSummary) and not self.run.state.active


_Stamps = tuple[Stamp | None, ...]
"""Of a run's two folders, then of its records."""


class _Overview:
    """The runs under a root as they were last seen; for any number of threads."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._seen: dict[str, _Seen] = {}
        self._lock = threading.Lock()

    def all(self) -> tuple[list[RunSummary], list[DamagedRun]]:
        with self._lock:
            ids, misnamed = run_folders(self._root)
            self._seen = {run_id: self._look(run_id, self._seen.get(run_id)) for run_id in ids}
            found = [seen.run for seen in self._seen.values()]
        damaged = [run for run in found if isinstance(run, DamagedRun)]
        return _newest_first(found), damaged + list(map(_misnamed, misnamed))

    def active(self) -> list[RunSummary]:
        runs_folder = str(self._root.runs)
        with self._lock:
            before, self._seen = self._seen, {}
            for run_id in run_folders(self._root)[0]:
                seen = before.get(run_id)
                if seen is None or not seen.at_rest or stamp(f"{runs_folder}/{run_id}") != seen.stamps[0]:
                    seen = self._look(run_id, seen)
                self._seen[run_id] = seen
            found = _newest_first([seen.run for seen in self._seen.values()])
        return [run for run in found if run.state.active]

    def _look(self, run_id: str, before: _Seen | None) -> _Seen:
        """The run as it is now, read only where it may differ from what was seen of it."""
        stamps = _stamps(self._root, run_id)  # before it is read: what comes in between is noticed the next time
        if before is not None and before.at_rest and before.stamps == stamps and not before.logs_below:
            return before
        try:
            run = _summary(self._root, run_id)
        except StoreError as error:
            run = DamagedRun(run_id, error.on_page)
        except FileNotFoundError:  # deleted while we looked
            run = None
        below = isinstance(run, RunSummary) and run.job is None and _has_folders(self._root.run(run_id))
        return _Seen(stamps, settled(stamps), run, below)


def _stamps(root: Root, run_id: str) -> _Stamps:
    # Thousands of runs are asked for at once: text, since a Path would take longer than the look.
    folder, model = f"{root.path}/runs/{run_id}", f"{root.path}/models/{run_id}"
    records = [f"{folder}/{name}" for name in (JOB_FILE, STATUS_FILE, RECORD_FILE, CONFIG_FILE, LABELS_FILE)]
    return tuple(map(stamp, (folder, model, *records, f"{model}/{BEST_FILE}", f"{model}/{OLD_BEST_FILE}")))


def _has_folders(folder: Path) -> bool:
    """Whether there are folders in a run's folder in which event files may be; where that cannot be told, too."""
    try:
        return any(entry.is_dir() for entry in entries_of(folder) if entry.name != EVALUATIONS)
    except (StoreError, OSError):
        return True


def _newest_first(found: Iterable[RunSummary | DamagedRun | None]) -> list[RunSummary]:
    runs = [run for run in found if isinstance(run, RunSummary)]
    return sorted(runs, key=lambda run: (-run.created, run.run_id))


def _misnamed(name: str) -> DamagedRun:
    return DamagedRun(
        name,
        "left out: a run's folder is called by 1 to 80 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a "
        f"digit. Rename it, to {run_id_from(name)} perhaps",
    )


def find_run(root: Root, run_id: str) -> RunSummary:
    """The run called `run_id`.

    Raises UsageError naming similar ones when there is none, and StoreError when a record of it is damaged.
    """
    return _summary(root, known_run(root, run_id))


def shown_name(folder: Path, run_id: str) -> str:
    """What people call the run whose records are in `folder`: its label, its configuration's name, or its id.

    Raises StoreError when one of those records is damaged.
    """
    return _name(read_labels(folder), read_settings(folder), run_id)


def _summary(root: Root, run_id: str) -> RunSummary:
    folder, model = root.run(run_id), root.model(run_id)
    # The process is looked at before its status is read: one that ends in between has then written its last.
    job = read_job(folder)
    alive = job is not None and job.alive
    status = read_status(folder)
    config = read_settings(folder)
    labels = read_labels(folder)
    saved = {entry.name for entry in entries_of(model)}
    best = _best(model) if saved else None
    return RunSummary(
        run_id=run_id,
        name=_name(labels, config, run_id),
        state=derive_state(job, status, alive, time.time()),
        labels=labels,
        job=job,
        status=status,
        config=config,
        created=_created(job, folder if folder.is_dir() else model),
        checkpoints=[name for name, file in CHECKPOINT_FILES.items() if file in saved],
        resumable=not saved.isdisjoint(RESUME_FILES),
        best=best,
        imported=(best or {}).get("imported") is True or CHECKPOINT_FILES[LISTS] in saved,
    )


def _name(labels: Labels, config: dict[str, Any], run_id: str) -> str:
    return labels.name or str(config.get("name") or run_id)


def _best(model: Path) -> dict[str, Any] | None:
    best, path = None, model / BEST_FILE
    with suppress(CheckpointError):  # whoever reads the weights is told
        best = record_in(path)
    if best is None:
        path = model / OLD_BEST_FILE
        best = gate.read_object(path, gate.BEST)
    if best is not None:
        gate.validated(best, _BEST, path, gate.BEST)
    return best


def _created(job: JobRecord | None, folder: Path) -> float:
    """When the run began: its record says, or its first log's name, or failing both its folder's age."""
    if job is not None and (begun := known_stamp(job.created_at or job.queued_at)) is not None:
        return begun
    stamps: list[float] = []
    with suppress(OSError):  # a folder that nobody may list has an age all the same
        names = (file.name for file in find_event_files(folder).paths(folder))
        stamps = [begun for name in names if (begun := stamp_in_name(name)) is not None]
    return min(stamps) if stamps else known_stamp(folder.stat().st_mtime) or 0.0
