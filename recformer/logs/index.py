"""What was read of a run's event files, kept in one file beside them: a restarted app need not read them again.

The file is: a magic with its version (8 bytes), CRC-32C of all that follows (u32), length of the JSON that follows
(u32), that JSON (padded to 8 bytes), then all steps (i8), all wall times (f8) and all values (f8) as they were written,
little-endian. It is a cache: whatever is wrong with it, the logs are read instead.
"""

import json
import os
import struct
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from crc32c import crc32c
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter

from recformer.errors import StoreError
from recformer.files import gate
from recformer.logs.folder import EventFile, FolderLog
from recformer.logs.series import Curve, Series

_MAGIC = b"rfindex2"  # another number when what is kept is another
_SIZES = struct.Struct("<8sII")
_MOST_HEADER_BYTES = 1 << 24


def save(path: Path, folders: dict[str, FolderLog]) -> None:
    """Write what `folders` (by their paths within the run) hold. A disk that refuses is no error: it is a cache."""
    described: list[dict[str, Any]] = []
    series = [series for folder in folders.values() for series in folder.series.values()]
    for name, folder in folders.items():
        counts = {tag: len(series) for tag, series in folder.series.items()}
        files = [asdict(file) | {"head": file.head.hex(), "tail": file.tail.hex()} for file in folder.files.values()]
        described.append({"folder": name, "files": files, "tags": counts})
    header = json.dumps(described).encode()
    header += b" " * (-len(header) % 8)
    curves = [entry.points() for entry in series]
    columns = [[curve.step for curve in curves], [curve.wall_time for curve in curves], [c.value for c in curves]]
    parts = [header, *(array.tobytes() for column in columns for array in column)]
    crc = 0
    for part in parts:
        crc = crc32c(part, crc)
    with suppress(OSError):
        _replace(path, [_SIZES.pack(_MAGIC, crc, len(header)), *parts])


def load(path: Path, run: Path) -> dict[str, FolderLog] | None:
    """The folders of the run at `run` as they were read before; None where that does not help.

    It helps as long as the event files are the same ones, and none of them has lost or changed what was read.
    """
    try:
        with gate.open_file(path, gate.LOG_INDEX) as file:
            magic, crc, header_bytes = _SIZES.unpack(file.read(_SIZES.size))
            if magic != _MAGIC or header_bytes > _MOST_HEADER_BYTES:
                return None
            header = file.read(header_bytes)
            described = gate.validated(gate.parse_json(header, path, gate.LOG_INDEX), _FOLDERS, path, gate.LOG_INDEX)
            count = sum(sum(entry.tags.values()) for entry in described)
            if os.fstat(file.fileno()).st_size != _SIZES.size + header_bytes + 24 * count:
                return None
            data = file.read()
    except (OSError, struct.error, StoreError):
        return None
    if crc32c(data, crc32c(header)) != crc:
        return None
    step = np.frombuffer(data, "<i8", count)
    wall = np.frombuffer(data, "<f8", count, 8 * count)
    value = np.frombuffer(data, "<f8", count, 16 * count)
    folders: dict[str, FolderLog] = {}
    place = 0
    for entry in described:
        folder = folders[entry.folder] = FolderLog(run / entry.folder)
        for tag, points in entry.tags.items():
            part = slice(place, place + points)
            folder.series[tag] = Series(Curve(step[part], wall[part], value[part]))
            place += points
        folder.files = {file.name: file for file in entry.files}
        if not all(_as_it_was(folder.path, file) for file in folder.files.values()):
            return None
    return folders


def _inside(path: str) -> str:
    """A path within the run's folder, "" for that itself. Raises ValueError."""
    if path and not all(part and part.strip(".") and "\0" not in part for part in path.split("/")):
        raise ValueError("it leads out of the run's folder")
    return path


def _from_hex(value: Any) -> bytes:
    return bytes.fromhex(str(value))


@dataclass
class _File(EventFile):
    """An event file as it is described."""

    name: Annotated[str, AfterValidator(_inside), Field(pattern="^[^/]+$")]
    head: Annotated[bytes, BeforeValidator(_from_hex)] = b""
    tail: Annotated[bytes, BeforeValidator(_from_hex)] = b""
    offset: Annotated[int, Field(ge=0)] = 0


@dataclass
class _Folder:
    """What is described of one folder."""

    folder: Annotated[str, AfterValidator(_inside)]
    files: list[_File]
    tags: dict[str, Annotated[int, Field(ge=0)]]
    """How many points each has."""


_FOLDERS = TypeAdapter(list[_Folder])


def _as_it_was(folder: Path, file: EventFile) -> bool:
    """Whether what was read of a file is still there. One that has not grown must not have been written to either."""
    try:
        with gate.open_file(folder / file.name, gate.EVENTS) as opened:
            handle = opened.fileno()
            return file.unchanged(stat := os.fstat(handle)) or (stat.st_size > file.size and file.continues(handle))
    except (OSError, StoreError):
        return False


def _replace(path: Path, parts: list[bytes]) -> None:
    """Write a file under another name, then rename it. Not flushed: a torn one is noticed and made again."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
        os.replace(name, path)  # noqa: PTH105
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()
