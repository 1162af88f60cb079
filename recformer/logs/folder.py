"""The event files of one folder, read on as they grow, and merged as TensorBoard shows them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from recformer.files import gate
from recformer.logs.bounds import known_stamp, known_times
from recformer.logs.events import Events, Start, first_wall_time, parse
from recformer.logs.series import Series
from recformer.logs.tfrecord import HEADER_BYTES, scan

HEAD_BYTES = 64  # covers the first record, whose wall time no other file shares
TAIL_BYTES = 64
_PORTION_BYTES = 1 << 24
_MOST_BYTES = 1 << 26  # in which there must be a whole record, or the rest of the file is given up
_FIRST_BYTES = 1 << 12
T = TypeVar("T")


@dataclass(eq=False)
class EventFile:
    """How far one event file was read, and what was in it besides scalars."""

    name: str
    inode: int
    began: float | None
    """The wall time of its first event, 0 where that is no time, None as long as there is nothing but damage. It gives
    the files' order."""
    head: bytes = b""
    tail: bytes = b""
    """The last bytes before `offset`."""
    offset: int = 0
    """Where the first record begins that is not read yet."""
    size: int = 0
    modified_ns: int = -1
    damaged: list[int] = field(default_factory=list)
    """Where records were left out."""
    suspect: int | None = None
    starts: list[tuple[int, float]] = field(default_factory=list)
    """Step and wall time (0 where it is no time) of each session that begins in it and takes back what came before."""

    @property
    def order(self) -> tuple[float, str]:
        return self.began or 0.0, self.name

    @property
    def damage(self) -> list[int]:
        return sorted(self.damaged if self.suspect is None else [*self.damaged, self.suspect])

    def unchanged(self, stat: os.stat_result) -> bool:
        """Whether nothing has happened to it since it was read."""
        return (self.inode, self.size, self.modified_ns) == (stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def continues(self, handle: int) -> bool:
        """Whether the file open at `handle` is still the one that was read, perhaps longer by now."""
        stat = os.fstat(handle)
        return (
            stat.st_ino == self.inode
            and stat.st_size >= max(self.size, self.offset)
            and os.pread(handle, HEAD_BYTES, 0).startswith(self.head)
            and os.pread(handle, len(self.tail), self.offset - len(self.tail)) == self.tail
        )


class _OutOfTurnError(Exception):
    """Something came that belongs before what was read already: all has to be read again, in order."""


class FolderLog:
    """The scalars of one folder's event files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, EventFile] = {}
        """In the order in which their events are taken."""
        self.series: dict[str, Series] = {}

    def refresh(self, entries: dict[str, os.stat_result]) -> bool:
        """Read what is new in the event files there are now, name to stat; True when anything changed."""
        try:
            return self._refresh(entries)
        except _OutOfTurnError:
            self.files, self.series = {}, {}
            self._refresh(entries)
            return True

    def _refresh(self, entries: dict[str, os.stat_result]) -> bool:
        if not self.files.keys() <= entries.keys():
            raise _OutOfTurnError
        known = [file for file in self.files.values() if not file.unchanged(entries[file.name])]
        changed = [self._with_open(file.name, lambda handle, file=file: self._read_on(file, handle)) for file in known]
        fresh = [
            file for name in entries.keys() - self.files.keys() if (file := self._with_open(name, _new_file(name)))
        ]
        for file in sorted(fresh, key=lambda file: file.order):
            if self.files and file.order < next(reversed(self.files.values())).order:
                raise _OutOfTurnError
            self.files[file.name] = file
            self._with_open(file.name, lambda handle, file=file: self._read_on(file, handle))
        return any(changed) or bool(fresh)

    def _with_open(self, name: str, use: Callable[[int], T]) -> T | None:
        """What `use` makes of the open file; None where it was deleted since it was listed."""
        try:
            with gate.open_file(self.path / name, gate.EVENTS) as file:
                return use(file.fileno())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path / name)) from error

    def _read_on(self, file: EventFile, handle: int) -> bool:
        """Take in what comes after `file.offset`; True when there were records or damage."""
        if not file.continues(handle):
            raise _OutOfTurnError
        stat = os.fstat(handle)
        file.head, file.size, file.modified_ns = os.pread(handle, HEAD_BYTES, 0), stat.st_size, stat.st_mtime_ns
        changed, portion = False, _PORTION_BYTES
        while True:
            data = os.pread(handle, portion, file.offset)
            consumed, newly_suspect = self._take(file, data)
            changed |= consumed > 0 or newly_suspect
            if consumed == 0:
                if len(data) < portion or portion >= _MOST_BYTES:
                    return changed
                portion *= 2  # a record, or a damaged stretch, longer than the portion

    def _take(self, file: EventFile, data: bytes) -> tuple[int, bool]:
        """Add what `data`, the bytes at `file.offset`, holds; how much of it, and whether the suspicion changed."""
        found = scan(data)
        events = parse(found)
        if file.began is None and first_wall_time(found) is not None:
            raise _OutOfTurnError  # only now it can be told when the file was begun
        origin, suspect = file.offset, file.suspect
        positions = [*found.damaged, *(int(found.starts[number]) - HEADER_BYTES for number in events.unreadable)]
        self._add(file, events)
        file.damaged.extend(origin + position for position in positions)
        file.suspect = None if found.suspect is None else origin + found.suspect
        file.offset += found.consumed
        if found.consumed:
            file.tail = (file.tail + data[: found.consumed])[-TAIL_BYTES:]
        return found.consumed, file.suspect != suspect

    def _add(self, file: EventFile, events: Events) -> None:
        """Add the points, and at each session's start take back what came before it."""
        files = list(self.files.values())
        later = files[files.index(file) + 1 :]
        if events.starts and later:
            raise _OutOfTurnError
        cutoff = min((step for other in later for step, _ in other.starts), default=None)
        begin = 0
        for start in [*events.starts, None]:
            self._add_between(events, begin, start, cutoff)
            if start is not None:
                begin = start.record
                file.starts.append((start.step, known_stamp(start.wall_time) or 0.0))
                for series in self.series.values():
                    series.cut(start.step)

    def _add_between(self, events: Events, begin: int, start: Start | None, cutoff: int | None) -> None:
        """Add the points of the records from number `begin` to the session's start, which itself holds none before."""
        for tag, points in events.points.items():
            first = int(np.searchsorted(points.record, begin))
            last = len(points.record) if start is None else int(np.searchsorted(points.record, start.record))
            kept = points.curve.part(slice(first, last))
            if cutoff is not None:
                kept = kept.part(kept.step < cutoff)
            if len(kept):
                kept = replace(kept, wall_time=known_times(kept.wall_time))
                self.series.setdefault(tag, Series.empty()).add(kept)


def has_scalars(file: Path) -> bool:
    """Whether there is at least one scalar in an event file. Raises OSError where it cannot be read."""
    log = FolderLog(file.parent)
    log.refresh({file.name: file.stat()})
    return any(map(len, log.series.values()))


def _new_file(name: str) -> Callable[[int], EventFile | None]:
    """What is known of a file before it is read; None while not even its first record is there."""

    def look(handle: int) -> EventFile | None:
        offset, portion, damaged = 0, _FIRST_BYTES, False
        while True:
            data = os.pread(handle, portion, offset)
            found = scan(data)
            if (began := first_wall_time(found)) is not None:
                return EventFile(name, os.fstat(handle).st_ino, known_stamp(began) or 0.0)
            offset += found.consumed
            damaged |= found.consumed > 0 or found.suspect is not None
            if found.consumed == 0 and (len(data) < portion or portion >= _MOST_BYTES):
                return EventFile(name, os.fstat(handle).st_ino, None) if damaged else None
            portion = _PORTION_BYTES if found.consumed else max(2 * portion, _PORTION_BYTES)

    return look
