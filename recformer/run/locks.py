"""The two locks of a run. The operating system frees both when their holder dies."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recformer.errors import JobError, StoreError

LAUNCH_LOCK = ".launch.lock"
TRAIN_LOCK = ".train.lock"
RECORD_TIMEOUT_S = 10.0
TRAIN_TIMEOUT_S = 3.0  # a process that has said "finished" takes a moment to end


@contextmanager
def record_lock(folder: Path) -> Generator[None]:
    """Hold the right to change the run's `job.json`, for the short time that takes; a launch holds it too.

    Raises JobError when the run has no folder (a deleted one must not be made again) or when another process has the
    right for longer than a few seconds; StoreError when the disk refuses.
    """
    if not folder.is_dir():
        raise JobError(f"run {folder.name!r} is not there (any more); it may have been deleted")
    lock = FileLock(folder / LAUNCH_LOCK, timeout=RECORD_TIMEOUT_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise JobError(f"run {folder.name!r} is being started or changed by another process; try again") from error
    except OSError as error:
        raise StoreError(
            f"run {folder.name!r} cannot be changed: {folder / LAUNCH_LOCK}: {error.strerror}. Check the disk's space "
            "and the folder's permissions"
        ) from error
    try:
        yield
    finally:
        lock.release()


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
