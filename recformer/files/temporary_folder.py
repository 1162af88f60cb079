"""Folders that are filled under a hidden name and renamed when they are whole."""

import shutil
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

LEFTOVER_S = 3600.0  # filling one takes seconds, of hundred million rows minutes


@contextmanager
def temporary_folder(parent: Path, purpose: str) -> Generator[Path]:
    """A hidden folder in `parent` that all may read; removed at the end, unless it was renamed.

    What processes that were killed left for the same purpose goes first. Raises OSError when the disk refuses.
    """
    prefix = f".tmp-{purpose}-"
    parent.mkdir(parents=True, exist_ok=True)
    remove_unused(parent.glob(f"{prefix}*"), LEFTOVER_S)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_unused(folders: Iterable[Path], seconds: float) -> None:
    """Remove the folders that nobody has written into for so long."""
    for folder in folders:
        with suppress(FileNotFoundError):  # renamed or removed meanwhile
            if time.time() - folder.stat().st_mtime > seconds:
                shutil.rmtree(folder, ignore_errors=True)
