"""Event files of many scalars, written fast: records are laid out by NumPy instead of one at a time by protobuf."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray
from tensorboard.compat.proto import event_pb2

# The generated module builds its classes when imported, where type checkers do not see them.
_EVENT: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
_MASK_DELTA = 0xA282EAD8
Floats = NDArray[np.floating[Any]]


def framed(data: bytes) -> bytes:
    """`data` as a record of an event file."""
    length = len(data).to_bytes(8, "little")
    return b"".join([length, _masked(crc32c(length)), data, _masked(crc32c(data))])


def version(wall_time: float) -> bytes:
    """The record that every event file begins with."""
    return framed(_EVENT(wall_time=wall_time, file_version="brain.Event:2").SerializeToString())


def scalar_records(tag: str, step: NDArray[np.int64], wall: Floats, value: Floats) -> list[bytes]:
    """One record a point, with the very bytes that TensorBoard's own writer writes. Steps are positive."""
    records = np.empty(len(step), dtype=object)
    widths = np.maximum(1, (np.floor(np.log2(step)).astype(int) + 7) // 7)
    for width in np.unique(widths):
        rows = np.flatnonzero(widths == width)
        records[rows] = _of_one_width(tag.encode(), int(width), step[rows], wall[rows], value[rows])
    return records.tolist()


def write_run(folder: Path, points: int, tags: Sequence[str], seed: int = 0) -> Path:
    """An event file with `points` scalars shared among `tags`, which take turns as in training; its path."""
    generator = np.random.default_rng(seed)
    each = points // len(tags)
    step, begin = np.arange(1, each + 1), 1.7e9 + seed * 1e5
    wall = begin + 1 + np.cumsum(generator.random(each))
    by_tag = [scalar_records(tag, step, wall, generator.normal(size=each)) for tag in tags]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{int(begin)}.host.1.0"
    turns = (record for turn in zip(*by_tag, strict=True) for record in turn)
    path.write_bytes(b"".join([version(begin), *turns]))
    return path


def _of_one_width(tag: bytes, width: int, step: NDArray[np.int64], wall: Floats, value: Floats) -> list[bytes]:
    """Records whose step takes `width` bytes, which therefore all have one length."""
    inner = b"\x0a" + _varint(len(tag)) + tag + b"\x15"  # tag, and the key of simple_value
    summary = b"\x0a" + _varint(len(inner) + 4) + inner
    between = b"\x2a" + _varint(len(summary) + 4) + summary
    fields = [("wall_key", "u1"), ("wall", "<f8"), ("step_key", "u1"), ("step", "u1", (width,))]
    data = np.empty(len(step), dtype=[*fields, ("between", f"V{len(between)}"), ("value", "<f4")])
    data["wall_key"], data["wall"], data["step_key"] = 0x09, wall, 0x10
    groups = step[:, None] >> (7 * np.arange(width)) & 0x7F
    groups[:, :-1] |= 0x80
    data["step"], data["between"], data["value"] = groups, np.void(between), value
    header = framed(b"\0" * data.itemsize)[:12]
    size, whole = data.itemsize, data.tobytes()
    rows = [whole[at : at + size] for at in range(0, len(whole), size)]
    return [b"".join([header, row, _masked(crc32c(row))]) for row in rows]


def _masked(crc: int) -> bytes:
    return ((((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF).to_bytes(4, "little")


def _varint(number: int) -> bytes:
    groups: list[int] = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
