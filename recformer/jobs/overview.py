"""All runs under a root: their records, configuration, logs and checkpoints, without opening a model."""

import copy
import difflib
import os
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml

from recformer.errors import StoreError, UsageError
from recformer.jobs.records import JobRecord, Status, read_job, read_status
from recformer.jobs.state import RunState, derive_state, is_alive
from recformer.store import CHECKPOINT_FILES, RUN_ID, Root, read_json

# libyaml's loader is ten times as fast; not every build of PyYAML has it.
_YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EVENT_FILE_TIME = re.compile(r"tfevents\.(\d+)")


@dataclass(frozen=True)
class RunSummary:
    """What the disk says about one run. `created` is in seconds since 1970."""

    run_id: str
    name: str
    state: RunState
    job: JobRecord | None
    status: Status | None
    config: dict[str, Any]
    created: float
    log_files: list[Path]
    checkpoints: list[str]
    """Those there are of "best" and "last"."""
    best: dict[str, Any] | None
    """The record beside the best checkpoint (`best.json`)."""
    imported: bool = False


@dataclass(frozen=True)
class DamagedRun:
    """A run with a record that cannot be read, and why."""

    run_id: str
    reason: str


def list_runs(root: Root) -> tuple[list[RunSummary], list[DamagedRun]]:
    """Every run in `runs/` or `models/`, newest first, and those with a damaged record, by id."""
    now = time.time()
    runs: list[RunSummary] = []
    damaged: list[DamagedRun] = []
    for run_id in _run_ids(root):
        try:
            runs.append(_summary(root, run_id, now))
        except StoreError as error:
            damaged.append(DamagedRun(run_id, str(error)))
        except FileNotFoundError:  # deleted while we looked
            continue
    runs.sort(key=lambda run: (-run.created, run.run_id))
    return runs, damaged


def find_run(root: Root, run_id: str) -> RunSummary:
    """The run called `run_id`.

    Raises UsageError naming similar ones when there is none, and StoreError when a record of it is damaged.
    """
    if RUN_ID.fullmatch(run_id) and (root.run(run_id).is_dir() or root.model(run_id).is_dir()):
        return _summary(root, run_id, time.time())
    known = _run_ids(root)
    near = difflib.get_close_matches(run_id, known, n=3)
    if near:
        hint = f"did you mean {' or '.join(repr(name) for name in near)}?"
    else:
        hint = f"there are: {', '.join(known[:10])}" if known else "there are no runs yet"
    raise UsageError(f"there is no run {run_id!r}; {hint}")


def _run_ids(root: Root) -> list[str]:
    entries = [*_entries(root.runs), *_entries(root.models)]
    return sorted({entry.name for entry in entries if RUN_ID.fullmatch(entry.name) and entry.is_dir()})


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """What is in a folder, nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _summary(root: Root, run_id: str, now: float) -> RunSummary:
    folder, model = root.run(run_id), root.model(run_id)
    # The process is looked at before its status is read: one that ends in between has then written its last.
    job = read_job(folder)
    alive = job is not None and is_alive(job.pid, job.pid_created)
    status = read_status(folder)
    config = _config(folder / "config.yaml")
    log_files = sorted(Path(entry) for entry in _entries(folder) if "tfevents" in entry.name)
    saved = {entry.name for entry in _entries(model)}
    best = read_json(model / "best.json") if saved else None
    return RunSummary(
        run_id=run_id,
        name=str(config.get("name") or run_id),
        state=derive_state(job, status, alive, now),
        job=job,
        status=status,
        config=config,
        created=_created(job, log_files, folder if folder.is_dir() else model),
        log_files=log_files,
        checkpoints=[name for name, file in CHECKPOINT_FILES.items() if file in saved],
        best=best,
        imported=(best or {}).get("imported") is True,
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        value = copy.deepcopy(_parse(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise StoreError(f"{path} is damaged or unreadable: {error}") from error
    if not isinstance(value, dict):
        raise StoreError(f"{path} is damaged: settings were expected, it holds a {type(value).__name__}")
    return cast(dict[str, Any], value)


@lru_cache(maxsize=1024)
def _parse(text: bytes) -> Any:
    return yaml.load(text, Loader=_YAML_LOADER)


def _created(job: JobRecord | None, log_files: list[Path], folder: Path) -> float:
    """When the run began: its record says, or its first log's name, or failing both its folder's age."""
    if job is not None:
        return job.created_at or job.queued_at
    stamps = [float(match[1]) for file in log_files if (match := _EVENT_FILE_TIME.search(file.name))]
    return min(stamps) if stamps else folder.stat().st_mtime
