"""Where runs and their checkpoints are on disk, and which there are."""

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

    def dataset(self, text: str) -> Path:
        """The folder of a dataset that is named by its path, or by its name in `data/`.

        Raises UsageError for a home folder of nobody here.
        """
        path = expanded(text)
        named = self.data / text if RUN_ID.fullmatch(text) else path
        return named if not path.exists() and named.exists() else path


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


LISTS = "lists"
CHECKPOINT_FILES = {"best": "best.safetensors", "last": "last.pt", LISTS: "lists.parquet"}
"""What a run may have to be evaluated: checkpoints, or lists that were made elsewhere."""
RESUME_FILES = ("last.pt", "previous.pt")
"""What a run can go on from, the newest first; previous.pt is the last.pt before."""


def can_resume(root: Root, run_id: str) -> bool:
    """Whether there is anything saved that the run could go on from; training finds out whether it is whole."""
    return any((root.model(run_id) / file).is_file() for file in RESUME_FILES)


def has_checkpoint(root: Root, run_id: str) -> bool:
    """Whether training the run has left anything in models/ that training it anew would destroy."""
    return can_resume(root, run_id) or (root.model(run_id) / CHECKPOINT_FILES["best"]).is_file()


def run_ids(root: Root) -> list[str]:
    """Every run with a folder in `runs/` or `models/`, in order. Raises StoreError where they cannot be listed."""
    return run_folders(root)[0]


def run_folders(root: Root) -> tuple[list[str], list[str]]:
    """The ids of all runs, and the folders whose names no run may have, so that they are left out; both in order.

    Hidden folders are ours. Raises as `run_ids`.
    """
    entries = [*entries_of(root.runs), *entries_of(root.models)]
    names = {entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry)}
    ids = {name for name in names if RUN_ID.fullmatch(name)}
    return sorted(ids), sorted(names - ids)


def known_run(root: Root, run_id: str) -> str:
    """`run_id` itself where there is such a run. Raises UsageError naming similar ones otherwise."""
    if RUN_ID.fullmatch(run_id) and (root.run(run_id).is_dir() or root.model(run_id).is_dir()):
        return run_id
    known = run_ids(root)
    near = difflib.get_close_matches(run_id, known, n=3)
    if near:
        hint = f"did you mean {' or '.join(repr(name) for name in near)}?"
    else:
        hint = f"there are: {', '.join(known[:10])}" if known else "there are no runs yet"
    raise UsageError(f"there is no run {run_id!r}; {hint}")


def entries_of(folder: Path) -> list["os.DirEntry[str]"]:
    """What is in a folder, nothing where there is no such folder. Raises StoreError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror}. Check its permissions and its disk") from error


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
