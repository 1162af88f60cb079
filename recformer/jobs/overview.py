"""All runs under a root: their records, configuration, logs and checkpoints, without opening a model."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from recformer import gate
from recformer.errors import StoreError
from recformer.jobs.records import JobRecord, Status, read_job, read_status
from recformer.jobs.state import RunState, derive_state
from recformer.labels import Labels, read_labels
from recformer.logs.bounds import known_stamp, stamp_in_name
from recformer.logs.files import find_event_files
from recformer.run_list import entries_of, known_run, misnamed_folders, run_ids
from recformer.store import CHECKPOINT_FILES, RESUME_FILES, Root, run_id_from

CONFIG_FILE = "config.yaml"
BEST_FILE = "best.json"


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
    """Those there are of "best" and "last"."""
    resumable: bool
    """Whether anything was saved that it can go on from."""
    best: dict[str, Any] | None
    """The record beside the best checkpoint (`best.json`)."""
    imported: bool = False


@dataclass(frozen=True)
class DamagedRun:
    """A run with a record that cannot be read, or a folder that no run may have the name of, and why."""

    run_id: str
    reason: str


def list_runs(root: Root) -> tuple[list[RunSummary], list[DamagedRun]]:
    """Every run in `runs/` or `models/`, archived ones too, newest first, and those that cannot be shown, by id.

    Raises StoreError where `runs/` or `models/` itself cannot be read.
    """
    now = time.time()
    runs: list[RunSummary] = []
    damaged: list[DamagedRun] = []
    for run_id in run_ids(root):
        try:
            runs.append(_summary(root, run_id, now))
        except StoreError as error:
            damaged.append(DamagedRun(run_id, str(error)))
        except FileNotFoundError:  # deleted while we looked
            continue
    runs.sort(key=lambda run: (-run.created, run.run_id))
    damaged += [DamagedRun(name, _misnamed(name)) for name in misnamed_folders(root)]
    return runs, damaged


def _misnamed(name: str) -> str:
    return (
        "left out: a run's folder is called by 1 to 80 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a "
        f"digit. Rename it, to {run_id_from(name)} perhaps"
    )


def find_run(root: Root, run_id: str) -> RunSummary:
    """The run called `run_id`.

    Raises UsageError naming similar ones when there is none, and StoreError when a record of it is damaged.
    """
    return _summary(root, known_run(root, run_id), time.time())


def shown_name(folder: Path, run_id: str) -> str:
    """What people call the run whose records are in `folder`: its label, its configuration's name, or its id.

    Raises StoreError when one of those records is damaged.
    """
    return _name(read_labels(folder), _config(folder), run_id)


def _summary(root: Root, run_id: str, now: float) -> RunSummary:
    folder, model = root.run(run_id), root.model(run_id)
    # The process is looked at before its status is read: one that ends in between has then written its last.
    job = read_job(folder)
    alive = job is not None and job.alive
    status = read_status(folder)
    config = _config(folder)
    labels = read_labels(folder)
    saved = {entry.name for entry in entries_of(model)}
    best = gate.read_object(model / BEST_FILE, gate.BEST) if saved else None
    return RunSummary(
        run_id=run_id,
        name=_name(labels, config, run_id),
        state=derive_state(job, status, alive, now),
        labels=labels,
        job=job,
        status=status,
        config=config,
        created=_created(job, folder if folder.is_dir() else model),
        checkpoints=[name for name, file in CHECKPOINT_FILES.items() if file in saved],
        resumable=not saved.isdisjoint(RESUME_FILES),
        best=best,
        imported=(best or {}).get("imported") is True,
    )


def _name(labels: Labels, config: dict[str, Any], run_id: str) -> str:
    return labels.name or str(config.get("name") or run_id)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    try:
        content = gate.read_bytes(path, gate.CONFIG)
    except FileNotFoundError:
        return {}
    return gate.as_mapping(json.loads(_as_json(content, path)), path, gate.CONFIG)


@lru_cache(maxsize=1024)
def _as_json(content: bytes, path: Path) -> str:
    """A YAML document as JSON: whoever reads it cannot change what is kept here."""
    return json.dumps(gate.parse_yaml(content, path, gate.CONFIG))


def _created(job: JobRecord | None, folder: Path) -> float:
    """When the run began: its record says, or its first log's name, or failing both its folder's age."""
    if job is not None and (begun := known_stamp(job.created_at or job.queued_at)) is not None:
        return begun
    stamps: list[float] = []
    with suppress(OSError):  # a folder that nobody may list has an age all the same
        names = (file.name for file in find_event_files(folder).paths(folder))
        stamps = [stamp for name in names if (stamp := stamp_in_name(name)) is not None]
    return min(stamps) if stamps else known_stamp(folder.stat().st_mtime) or 0.0
