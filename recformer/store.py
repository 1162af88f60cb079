"""Runs and checkpoints on disk: where things are, names that may be joined to a path, and atomic writes."""

import difflib
import json
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recformer.errors import StoreError, UsageError

RUN_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
PROJECT = Path(__file__).resolve().parent.parent


def checked_run_id(run_id: str) -> str:
    """`run_id` itself where it may be joined to a path. Raises UsageError otherwise."""
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"run id {run_id!r} is not allowed: use 1 to 80 of a-z, 0-9, '.', '_' and '-', "
            "beginning with a letter or a digit"
        )
    return run_id


def expanded(text: str | Path) -> Path:
    """The path in `text`; a leading `~` is a home folder. Raises UsageError where it is that of nobody here."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{text}: no user of this machine is called so; write the whole path") from None


def in_shell(path: Path) -> str:
    """The path as it is typed on a command line, for messages that show a command."""
    return shlex.quote(str(path))


def run_id_from(name: str) -> str:
    """A run id made of a name people chose: lower case, everything else a dash ("penalty λ=0.2" → "penalty-0.2")."""
    words = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-._")
    return words[:60].rstrip("-._") or "run"


@dataclass(frozen=True)
class Root:
    """The folder that holds `runs/`, `models/` and `data/`."""

    path: Path

    @classmethod
    def default(cls) -> "Root":
        """RECFORMER_ROOT where it is set, else the project's folder."""
        return cls(expanded(os.environ.get("RECFORMER_ROOT") or PROJECT).resolve())

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def data(self) -> Path:
        return self.path / "data"

    def run(self, run_id: str) -> Path:
        """Folder of a run's logs and records. Raises UsageError for a name that may not be joined to a path."""
        return self.runs / checked_run_id(run_id)

    def model(self, run_id: str) -> Path:
        """Folder of a run's checkpoints. Raises UsageError for a name that may not be joined to a path."""
        return self.models / checked_run_id(run_id)


def reserve_run_id(root: Root, name: str) -> str:
    """A run id made of `name` that nobody else has, its folder in runs/ made. Raises StoreError when that fails."""
    base = run_id_from(name)
    for number in range(1, 10_000):
        run_id = base if number == 1 else f"{base}-{number}"
        if root.model(run_id).exists():
            continue
        try:
            root.run(run_id).mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"could not make {root.run(run_id)}: {error.strerror}") from error
        return run_id
    raise StoreError(f"there are too many runs called {base}; choose another name")


@dataclass(frozen=True)
class CheckpointRef:
    """One checkpoint file: a run's best or last, or a file by its path."""

    path: Path
    run_id: str | None
    """The run it belongs to; None for a file outside of models/."""
    name: str
    """best, last, or the file's name."""

    def __str__(self) -> str:
        return f"{self.run_id}/{self.name}" if self.run_id else str(self.path)


CHECKPOINT_FILES = {"best": "best.safetensors", "last": "last.pt"}
RESUME_FILES = ("last.pt", "previous.pt")
"""What a run can go on from, the newest first; previous.pt is the last.pt before."""


def can_resume(root: Root, run_id: str) -> bool:
    """Whether there is anything saved that the run could go on from; training finds out whether it is whole."""
    return any((root.model(run_id) / file).is_file() for file in RESUME_FILES)


def has_checkpoint(root: Root, run_id: str) -> bool:
    """Whether training the run has left anything in models/ that training it anew would destroy."""
    return can_resume(root, run_id) or (root.model(run_id) / CHECKPOINT_FILES["best"]).is_file()


def find_checkpoint(root: Root, text: str) -> CheckpointRef:
    """The checkpoint that `text` names: RUN (its best), RUN/best, RUN/last, or the path of a file.

    Raises UsageError naming the runs that come near, when there is none.
    """
    run_id, slash, name = text.partition("/")
    if RUN_ID.fullmatch(run_id) and name in ("", "best", "last") and root.model(run_id).is_dir():
        for candidate in [name] if slash else ["best", "last"]:
            if (path := root.model(run_id) / CHECKPOINT_FILES[candidate]).is_file():
                return CheckpointRef(path, run_id, candidate)
        raise UsageError(f"run {run_id!r} has no {name or 'saved'} checkpoint yet; wait for its first epoch to end")
    path = expanded(text)
    if os.path.isfile(path):  # noqa: PTH113  a name too long to be a file's is no error here, unlike Path.is_file's
        return _ref_of_file(root, path.resolve())
    known = [folder.name for folder in root.models.iterdir() if folder.is_dir()] if root.models.is_dir() else []
    near = difflib.get_close_matches(run_id, known, n=3, cutoff=0.5) or sorted(known)[:10]
    there = f"; known runs: {', '.join(near)}" if near else "; there are no trained runs yet"
    raise UsageError(f"{text!r} is neither a run with a checkpoint nor a file{there}")


def _ref_of_file(root: Root, path: Path) -> CheckpointRef:
    for name, file in CHECKPOINT_FILES.items():
        if path.name == file and path.parent.parent == root.models.resolve():
            return CheckpointRef(path, path.parent.name, name)
    return CheckpointRef(path, None, path.name)


def write_atomically(
    path: Path, write: Callable[[Path], None], keep: Path | None = None, make_folder: bool = True
) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then rename it over `path`.

    A reader sees the old file or the new one, never a part. With `keep`, the old file stays under that name.
    Without `make_folder`, a folder that is gone is not made again: somebody deleted it meanwhile.
    Raises StoreError when the disk refuses; the file that was there before is then untouched.
    """
    temporary: Path | None = None
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        if keep is not None and path.exists():
            _keep(path, keep)
        temporary.replace(path)
        _flush_names(path.parent)
    except OSError as error:
        raise StoreError(
            f"could not write {path}: {error.strerror or error}; what was there before is unchanged. "
            "Free some space or check the folder's permissions, then try again"
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):  # a disk that has turned read-only meanwhile; the error above says so
                temporary.unlink(missing_ok=True)


def _keep(path: Path, kept: Path) -> None:
    """Rename the file at `path` to `kept` without its leaving its place: a second name for it is renamed."""
    second = kept.with_name(f".{kept.name}.link.tmp")
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:  # a filesystem without hard links
        path.replace(kept)
        return
    try:
        second.replace(kept)
    finally:
        second.unlink(missing_ok=True)  # renaming over another name of the same file leaves both


def _flush_names(folder: Path) -> None:
    """Let renames in `folder` outlive a power failure, where the system can flush a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: Path, names: Iterable[str] = ("*",)) -> None:
    """Remove what processes killed while writing files called `names` in `folder` left; nobody may write them now.

    Raises StoreError when the disk refuses.
    """
    try:
        for name in names:
            for path in folder.glob(f".{name}.*.tmp"):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"could not remove what was left half written in {folder}: {error.strerror}") from error


def write_text(path: Path, text: str, make_folder: bool = True) -> None:
    """Write `text` atomically (see write_atomically)."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write, make_folder=make_folder)


def write_json(path: Path, value: Any, make_folder: bool = True) -> None:
    """Write `value` as JSON atomically. NaN and infinity are refused (ValueError): JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n", make_folder)
