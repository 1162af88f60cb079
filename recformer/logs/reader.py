"""An incremental reader of a run's TensorBoard event files: each refresh reads only what was added."""

import os
import threading
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2

from recformer.errors import StoreError
from recformer.logs.records import Scan, scan

EVENT_FILES = "*tfevents*"
_PORTION_BYTES = 1 << 24
_HEAD_BYTES = 64  # covers the first record, whose wall time no other file shares
_NO_CUTOFF = np.iinfo(np.int64).max

# The generated module builds its classes when imported, where type checkers do not see them.
_EVENT: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
_SESSION_START: int = event_pb2.SessionLog.START  # pyright: ignore[reportAttributeAccessIssue]

# Types of number that a scalar comes in (tensorflow/core/framework/types.proto), and TensorProto's field of each.
_DTYPES: dict[int, tuple[str, str]] = {
    1: ("float_val", "<f4"),
    2: ("double_val", "<f8"),
    3: ("int_val", "<i4"),
    9: ("int64_val", "<i8"),
    19: ("half_val", "<f2"),
}


@dataclass(frozen=True)
class Curve:
    """One scalar over the steps of a run, sorted by step, each step once. The arrays are read-only."""

    step: npt.NDArray[np.int64]
    """(n,) training step."""
    wall_time: npt.NDArray[np.float64]
    """(n,) when it was logged, seconds since 1970."""
    value: npt.NDArray[np.float64]
    """(n,) as logged: NaN and infinity included."""

    def __len__(self) -> int:
        return len(self.step)


@dataclass
class _Points:
    """Points of one tag in the order in which they were written."""

    step: "array[int]" = field(default_factory=lambda: array("q"))
    wall_time: "array[float]" = field(default_factory=lambda: array("d"))
    value: "array[float]" = field(default_factory=lambda: array("d"))


@dataclass
class _Session:
    """A stretch of a file. Its start takes back all that was written before it for `purge_step` and later."""

    purge_step: int | None = None
    points: dict[str, _Points] = field(default_factory=dict)


@dataclass
class _File:
    """How far one event file was read, and what was in it."""

    inode: int
    head: bytes = b""
    offset: int = 0
    size: int = 0
    modified_ns: int = -1
    first_wall_time: float | None = None
    sessions: list[_Session] = field(default_factory=lambda: [_Session()])
    damaged: list[int] = field(default_factory=list)
    suspect: int | None = None


class RunLog:
    """The scalars in the event files of one folder. May be used from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[Path, _File] = {}
        self._curves: dict[str, Curve] | None = {}
        self._lock = threading.Lock()

    def refresh(self) -> bool:
        """Read what was added since the last time; True when there was something new.

        A half-written record at the end of a file waits for its rest. A file that was cut or replaced is read
        again from its start. Raises StoreError when a file cannot be read.
        """
        with self._lock:
            changed = self._forget(set(self._files) - set(self._paths()))
            for path in self._paths():
                try:
                    changed |= self._read(path)
                except FileNotFoundError:  # deleted since it was listed
                    changed |= self._forget({path} & set(self._files))
                except OSError as error:
                    raise StoreError(f"{path} could not be read: {error.strerror or error}") from error
            if changed:
                self._curves = None
            return changed

    def scalars(self) -> dict[str, Curve]:
        """The curves read so far, by tag. Where a step was logged twice, the later wall time holds."""
        with self._lock:
            if self._curves is None:
                self._curves = _merge(self._sessions())
            return dict(self._curves)

    @property
    def damaged(self) -> list[tuple[Path, int]]:
        """File and offset (bytes) of each place where records were left out because they are damaged."""
        with self._lock:
            return [(path, offset) for path, file in sorted(self._files.items()) for offset in _damage(file)]

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(EVENT_FILES))

    def _forget(self, paths: set[Path]) -> bool:
        for path in paths:
            del self._files[path]
        return bool(paths)

    def _sessions(self) -> list[_Session]:
        """All sessions in the order in which they were written."""
        files = sorted(self._files.items(), key=lambda entry: (entry[1].first_wall_time or 0.0, entry[0]))
        return [session for _, file in files for session in file.sessions]

    def _read(self, path: Path) -> bool:
        """Read a file's new bytes; True when that changed what is known of it."""
        with path.open("rb") as handle:
            stat = os.fstat(handle.fileno())
            head = os.pread(handle.fileno(), _HEAD_BYTES, 0)
            file = self._files.get(path)
            replaced = file is not None and not _continues(file, stat, head)
            if file is None or replaced:
                file = self._files[path] = _File(stat.st_ino)
            if (file.size, file.modified_ns) == (stat.st_size, stat.st_mtime_ns):
                return replaced
            file.head, file.size, file.modified_ns = head, stat.st_size, stat.st_mtime_ns
            changed = _read_on(file, handle.fileno())
            file.size = max(file.size, file.offset)  # it may have grown while it was read
            return changed or replaced


def _continues(file: _File, stat: os.stat_result, head: bytes) -> bool:
    """Whether the file on disk is the one read before, perhaps longer by now."""
    return stat.st_ino == file.inode and stat.st_size >= file.size and head.startswith(file.head)


def _read_on(file: _File, handle: int) -> bool:
    """Take in what comes after `file.offset`; True when there were records or damage."""
    changed = False
    portion = _PORTION_BYTES
    while True:
        data = os.pread(handle, portion, file.offset)
        found = scan(data)
        changed |= _take(file, found)
        if found.consumed == 0:
            if len(data) < portion:
                return changed
            portion *= 2  # a record, or a damaged stretch, longer than the portion


def _take(file: _File, found: Scan) -> bool:
    start, before = file.offset, file.suspect
    file.damaged.extend(start + position for position in found.damaged)
    file.suspect = None if found.suspect is None else start + found.suspect
    file.offset += found.consumed
    for position, data in found.records:
        event = _EVENT()
        try:
            event.ParseFromString(data)
        except DecodeError:
            file.damaged.append(start + position)
        else:
            _add_event(file, event)
    return found.consumed > 0 or file.suspect != before


def _damage(file: _File) -> list[int]:
    return sorted(file.damaged if file.suspect is None else [*file.damaged, file.suspect])


def _add_event(file: _File, event: Any) -> None:
    if file.first_wall_time is None:
        file.first_wall_time = event.wall_time
    if event.HasField("session_log") and event.session_log.status == _SESSION_START:
        file.sessions.append(_Session(purge_step=event.step))
    for value in event.summary.value:
        number = _scalar(value)
        if number is not None:
            points = file.sessions[-1].points.setdefault(value.tag, _Points())
            points.step.append(event.step)
            points.wall_time.append(event.wall_time)
            points.value.append(number)


def _scalar(value: Any) -> float | None:
    """The number in a summary value, in the old encoding or as a tensor; None where it is none."""
    if value.HasField("simple_value"):
        return value.simple_value
    plugin = value.metadata.plugin_data.plugin_name
    if not value.HasField("tensor") or plugin not in ("", "scalars") or value.tensor.dtype not in _DTYPES:
        return None
    tensor = value.tensor
    name, dtype = _DTYPES[tensor.dtype]
    if tensor.tensor_content:
        numbers = np.frombuffer(tensor.tensor_content, dtype=dtype)
    elif name == "half_val":  # 16-bit patterns kept as integers
        numbers = np.array(tensor.half_val, dtype="<u2").view(dtype)
    else:
        numbers = np.array(getattr(tensor, name), dtype=dtype)
    return float(numbers[0]) if len(numbers) == 1 else None


def _merge(sessions: list[_Session]) -> dict[str, Curve]:
    """Join the sessions, in the order in which they were written, into one curve a tag."""
    kept: dict[str, list[tuple[_Points, int]]] = {}
    cutoff = _NO_CUTOFF  # the earliest step that a later session took back
    for session in reversed(sessions):
        for tag, points in session.points.items():
            kept.setdefault(tag, []).append((points, cutoff))
        if session.purge_step is not None:
            cutoff = min(cutoff, session.purge_step)
    curves = {tag: _curve(reversed(stretches)) for tag, stretches in sorted(kept.items())}
    return {tag: curve for tag, curve in curves.items() if len(curve)}


def _curve(stretches: Iterable[tuple[_Points, int]]) -> Curve:
    steps: list[npt.NDArray[np.int64]] = []
    walls: list[npt.NDArray[np.float64]] = []
    values: list[npt.NDArray[np.float64]] = []
    for points, cutoff in stretches:
        step = np.array(points.step, dtype=np.int64)
        keep = step < cutoff
        steps.append(step[keep])
        walls.append(np.array(points.wall_time, dtype=np.float64)[keep])
        values.append(np.array(points.value, dtype=np.float64)[keep])
    step, wall, value = np.concatenate(steps), np.concatenate(walls), np.concatenate(values)
    arrays = (step, wall, value)
    if np.any(np.diff(step) <= 0):
        order = np.lexsort((wall, step))  # stable: of equal wall times the one written later comes last
        chosen = order[np.append(np.diff(step[order]) != 0, True)]
        arrays = (step[chosen], wall[chosen], value[chosen])
    for entry in arrays:
        entry.flags.writeable = False
    return Curve(*arrays)
