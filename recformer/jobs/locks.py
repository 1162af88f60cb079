"""The two locks of a run. The operating system frees both when their holder dies."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recformer.errors import JobError

LAUNCH_LOCK = ".launch.lock"
TRAIN_LOCK = ".train.lock"
RECORD_TIMEOUT_S = 10.0


@contextmanager
def record_lock(folder: Path, timeout_s: float = RECORD_TIMEOUT_S) -> Generator[None]:
    """Hold the right to change the run's `job.json`, for the short time that takes; a launch holds it too.

    Waits up to `timeout_s`; raises JobError when another process has it for longer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LAUNCH_LOCK, timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout as error:
        raise JobError(f"run {folder.name!r} is already being started; look again in a moment") from error
    try:
        yield
    finally:
        lock.release()


def train_lock(folder: Path) -> FileLock:
    """Take the lock that a training process holds as long as it lives.

    Raises JobError when another process trains this run.
    """
    lock = FileLock(folder / TRAIN_LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise JobError(
            f"run {folder.name!r} is being trained by another process; wait for it, stop it, or use another run id"
        ) from error
    return lock
