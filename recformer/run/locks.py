"""The locks of runs and of their list. The operating system frees each when its holder dies."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recformer.errors import JobError, RecformerError, StoreError
from recformer.run.paths import Root

LAUNCH_LOCK, TRAIN_LOCK, EDIT_LOCK = ".launch.lock", ".train.lock", ".edit.lock"
RECORD_TIMEOUT_S = EDIT_TIMEOUT_S = 10.0
TRAIN_TIMEOUT_S = 3.0  # a process that has said "finished" takes a moment to end


@contextmanager
def held(path: Path, timeout_s: float, busy: RecformerError) -> Generator[None]:
    """Hold the lock at `path`. Raises `busy` when another process keeps it, StoreError when the disk refuses."""
    lock = FileLock(path, timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise busy from error
    except OSError as error:
        raise StoreError(
            f"could not write {path}: {error.strerror}; nothing was changed. Check the disk's space and the folder's "
            "permissions"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def record_lock(folder: Path) -> Generator[None]:
    """Hold the right to change the run's `job.json`, for the short time that takes; a launch holds it too.

    Raises JobError when the run has no folder (a deleted one must not be made again) or when another process has the
    right for longer than a few seconds; StoreError when the disk refuses.
    """
    if not folder.is_dir():
        raise JobError(f"run {folder.name!r} is not there (any more); it may have been deleted")
    busy = JobError(f"run {folder.name!r} is being started or changed by another process; try again")
    with held(folder / LAUNCH_LOCK, RECORD_TIMEOUT_S, busy):
        yield


def train_lock(folder: Path) -> FileLock:
    """Take the lock that a training process holds as long as it lives.

    Raises JobError when another process trains this run.
    """
    lock = FileLock(folder / TRAIN_LOCK, timeout=TRAIN_TIMEOUT_S, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise JobError(
            f"run {folder.name!r} is being trained by another process; wait for it, stop it, or use another run id"
        ) from error
    return lock


@contextmanager
def edit_lock(root: Root) -> Generator[None]:
    """Hold the right to change labels and to move runs to and from the bin, for the short time that takes.

    One lock for all runs, outside of their folders: who waited for a lock within a folder that is moved away
    would make that folder anew. Raises StoreError when another process has it for long, or the disk refuses.
    """
    path = root.runs / EDIT_LOCK
    try:
        root.runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"could not make {root.runs}: {error.strerror}. Check the folder's permissions") from error
    busy = StoreError(f"{path} is held by another process for more than {EDIT_TIMEOUT_S:g} s; try again")
    with held(path, EDIT_TIMEOUT_S, busy):
        yield
