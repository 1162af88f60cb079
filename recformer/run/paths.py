"""Where runs and their checkpoints are on disk, and which checkpoint a text names."""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from recformer.errors import StoreError, UsageError
from recformer.files.names import IS_INSTALLED, PROJECT, RUN_ID, checked_run_id, expanded, run_id_from


@dataclass(frozen=True)
class Root:
    """The folder that holds `runs/`, `models/` and `data/`."""

    path: Path

    @classmethod
    def default(cls) -> "Root":
        """RECFORMER_ROOT where it is set, else the project's folder; the current one where the package is installed."""
        usual = Path.cwd() if IS_INSTALLED else PROJECT
        return cls(expanded(os.environ.get("RECFORMER_ROOT") or usual).resolve())

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
            if (
                path := root.model(run_id) / CHECKPOINT_FILES[candidate]
            ).exists():  # what is no file is refused when read
                return CheckpointRef(path, run_id, candidate)
        raise UsageError(f"run {run_id!r} has no {name or 'saved'} checkpoint yet; wait for its first epoch to end")
    path = expanded(text)
    if os.path.isfile(path):  # noqa: PTH113  a name too long to be a file's is no error here, unlike Path.is_file's
        return _ref_of_file(root, path.resolve())
    known = [folder.name for folder in root.models.iterdir() if folder.is_dir()] if root.models.is_dir() else []
    if near := difflib.get_close_matches(run_id, known, n=3, cutoff=0.5):
        there = f"; runs of nearly that name: {', '.join(near)}"
    else:
        there = f"; known runs: {', '.join(sorted(known)[:10])}" if known else "; there are no trained runs yet"
    raise UsageError(f"{text!r} is neither a run with a checkpoint nor a file{there}")


def _ref_of_file(root: Root, path: Path) -> CheckpointRef:
    for name, file in CHECKPOINT_FILES.items():
        if path.name == file and path.parent.parent == root.models.resolve():
            return CheckpointRef(path, path.parent.name, name)
    return CheckpointRef(path, None, path.name)
