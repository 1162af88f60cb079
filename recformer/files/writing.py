"""Atomic writes: a reader sees the old file or the new one, never a part."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from recformer.errors import StoreError


def write_atomically(
    path: Path, write: Callable[[Path], object], keep: Path | None = None, make_folder: bool = True
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


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically (see write_atomically)."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON atomically. NaN and infinity are refused (ValueError): JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
