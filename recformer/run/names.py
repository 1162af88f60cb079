"""Which runs there are, by id; and the right to change what people see of the list: labels, deleting, restoring."""

import difflib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recformer.errors import StoreError, UsageError
from recformer.files.names import RUN_ID
from recformer.run.paths import Root

EDIT_LOCK = ".edit.lock"
EDIT_TIMEOUT_S = 10.0


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


@contextmanager
def edit_lock(root: Root) -> Generator[None]:
    """Hold the right to change labels and to move runs to and from the bin, for the short time that takes.

    One lock for all runs, outside of their folders: who waited for a lock within a folder that is moved away
    would make that folder anew. Raises StoreError when another process has it for long, or the disk refuses.
    """
    path = root.runs / EDIT_LOCK
    lock = FileLock(path, timeout=EDIT_TIMEOUT_S)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise StoreError(f"{path} is held by another process for more than {EDIT_TIMEOUT_S:g} s; try again") from error
    except OSError as error:
        raise StoreError(
            f"could not write {path}: {error.strerror}; nothing was changed. Check the folder's permissions"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
