"""All runs under a root: their records, configuration, logs and checkpoints, without opening a model."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import ValidationError

from recformer.errors import StoreError
from recformer.jobs.records import JOB_FILE, STATUS_FILE, JobRecord, Status, read_job, read_status
from recformer.jobs.state import RunState, derive_state
from recformer.labels import FILE as LABELS_FILE
from recformer.labels import Labels, read_labels
from recformer.run_list import entries_of, known_run, misnamed_folders, run_ids
from recformer.store import CHECKPOINT_FILES, RESUME_FILES, Root, read_json, run_id_from

CONFIG_FILE = "config.yaml"
BEST_FILE = "best.json"

# libyaml's loader is ten times as fast; not every build of PyYAML has it.
_YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EVENT_FILE_TIME = re.compile(r"tfevents\.(\d+)")
_REMEDIES = {
    JOB_FILE: "If no process trains this run any more, remove it",
    STATUS_FILE: "Remove it; a trainer that is at work writes it anew within seconds",
    CONFIG_FILE: "Put it back from a copy, or remove it: the run is then listed without its settings",
    BEST_FILE: "Put it back from a copy, or remove it: the run is then listed without its best epoch",
    LABELS_FILE: "Mend or remove it: the run then goes by its configuration's name, without tags and note",
}
T = TypeVar("T")


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
    log_files: list[Path]
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
    return _name(_read(folder / LABELS_FILE, _labels), _read(folder / CONFIG_FILE, _config), run_id)


def _summary(root: Root, run_id: str, now: float) -> RunSummary:
    folder, model = root.run(run_id), root.model(run_id)
    # The process is looked at before its status is read: one that ends in between has then written its last.
    job, alive = _read(folder / JOB_FILE, _job)
    status = _read(folder / STATUS_FILE, _status)
    config = _read(folder / CONFIG_FILE, _config)
    labels = _read(folder / LABELS_FILE, _labels)
    log_files = sorted(Path(entry) for entry in entries_of(folder) if "tfevents" in entry.name)
    saved = {entry.name for entry in entries_of(model)}
    best = _read(model / BEST_FILE, read_json) if saved else None
    return RunSummary(
        run_id=run_id,
        name=_name(labels, config, run_id),
        state=derive_state(job, status, alive, now),
        labels=labels,
        job=job,
        status=status,
        config=config,
        created=_created(job, log_files, folder if folder.is_dir() else model),
        log_files=log_files,
        checkpoints=[name for name, file in CHECKPOINT_FILES.items() if file in saved],
        resumable=not saved.isdisjoint(RESUME_FILES),
        best=best,
        imported=(best or {}).get("imported") is True,
    )


def _name(labels: Labels, config: dict[str, Any], run_id: str) -> str:
    return labels.name or str(config.get("name") or run_id)


def _job(path: Path) -> tuple[JobRecord | None, bool]:
    """The record, and whether the process it names is alive."""
    job = read_job(path.parent)
    return job, job is not None and job.alive


def _status(path: Path) -> Status | None:
    return read_status(path.parent)


def _labels(path: Path) -> Labels:
    return read_labels(path.parent)


def _config(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_as_json(path.read_bytes()))
    except FileNotFoundError:
        return {}
    if not isinstance(value, dict):
        raise StoreError("it is empty" if value is None else f"settings were expected, it holds a {_kind(value)}")
    return cast(dict[str, Any], value)


@lru_cache(maxsize=1024)
def _as_json(text: bytes) -> str:
    """A YAML document as JSON: whoever reads it cannot change what is kept here, and the command line can print it."""
    try:
        return json.dumps(yaml.load(text, Loader=_YAML_LOADER))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise StoreError(f"it is cut off or no YAML (line {line})") from None
    except yaml.reader.ReaderError:
        raise StoreError("it holds bytes that are no text") from None
    except Exception:  # PyYAML's constructors raise what they like: KeyError for "!!bool x", IndexError for "!!int ''"
        raise StoreError("it holds a value that no setting has, such as a date") from None


def _read(path: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of a record. Raises StoreError that names the file, what is wrong, and what to do."""
    try:
        return read(path)
    except (StoreError, OSError, ValueError, RecursionError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and not isinstance(cause, IsADirectoryError):
            raise StoreError(f"{path} cannot be read: {cause.strerror}. Check its permissions and its disk") from error
        raise StoreError(f"{path} is damaged: {_why(path, cause)}. {_REMEDIES[path.name]}") from error


def _why(path: Path, cause: BaseException) -> str:
    """What is wrong with a record, in words that need no Python."""
    if isinstance(cause, IsADirectoryError):
        return "a folder stands in its place"
    if isinstance(cause, RecursionError):
        return "its values are nested too deeply"
    if isinstance(cause, UnicodeDecodeError):
        return "it holds bytes that are no text"
    if isinstance(cause, json.JSONDecodeError):
        return f"it is cut off or no JSON (line {cause.lineno})" if cause.doc.strip() else "it is empty"
    if isinstance(cause, ValidationError):
        fault = cause.errors()[0]
        return f"{'.'.join(map(str, fault['loc']))}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
    return str(cause).removeprefix(f"{path} is damaged: ")


def _kind(value: Any) -> str:
    return {"str": "text", "list": "list"}.get(type(value).__name__, "number")


def _created(job: JobRecord | None, log_files: list[Path], folder: Path) -> float:
    """When the run began: its record says, or its first log's name, or failing both its folder's age."""
    if job is not None:
        return job.created_at or job.queued_at
    stamps = [float(match[1]) for file in log_files if (match := _EVENT_FILE_TIME.search(file.name))]
    return min(stamps) if stamps else folder.stat().st_mtime
