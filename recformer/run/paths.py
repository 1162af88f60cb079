"""Where runs and their checkpoints are on disk."""

import os
from dataclasses import dataclass
from pathlib import Path

from recformer.errors import StoreError
from recformer.files.names import IS_INSTALLED, PROJECT, checked_run_id, expanded, run_id_from


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


CHECKPOINT_FILES = {"best": "best.safetensors", "last": "last.pt"}
RESUME_FILES = ("last.pt", "previous.pt")
"""What a run can go on from, the newest first; previous.pt is the last.pt before."""


def can_resume(root: Root, run_id: str) -> bool:
    """Whether there is anything saved that the run could go on from; training finds out whether it is whole."""
    return any((root.model(run_id) / file).is_file() for file in RESUME_FILES)


def has_checkpoint(root: Root, run_id: str) -> bool:
    """Whether training the run has left anything in models/ that training it anew would destroy."""
    return can_resume(root, run_id) or (root.model(run_id) / CHECKPOINT_FILES["best"]).is_file()
