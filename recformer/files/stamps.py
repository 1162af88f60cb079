"""Whether a file or folder has changed since it was looked at, told by its stamp alone, without reading it."""

import os
import time
from collections.abc import Iterable

Stamp = tuple[int, int, int, int]
"""When it changed (content, then state; nanoseconds since 1970), bytes, inode."""

SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system in use (FAT)


def stamp(path: str | os.PathLike[str]) -> Stamp | None:
    """The stamp of what is at `path`, or where a link there leads; None where that cannot be looked at."""
    try:
        return stamp_of(os.stat(path))  # noqa: PTH116  a Path would cost more than the look
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def stamp_of(found: os.stat_result) -> Stamp:
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def settled(stamps: Iterable[Stamp | None], now_ns: int | None = None) -> bool:
    """Whether any later change gives other stamps than these, which were taken just now.

    A file that is written twice within one tick of its file system's clock may have the same stamp both times. So a
    young stamp proves nothing, nor does one of the future: whoever has it looks again.
    """
    before = (time.time_ns() if now_ns is None else now_ns) - SETTLED_NS
    return all(one is None or (one[0] < before and one[1] < before) for one in stamps)
