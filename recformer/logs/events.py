"""From records to points: what TensorBoard's Event messages say about scalars and about restarts.

Nearly all records of a log are alike: one scalar, of which only the time, the step and the value differ from the
record before. So one record of each kind is taken apart field by field, and all that match it are read at once, as
columns. Whatever matches nothing is parsed by the protobuf library.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from tensorboard.compat.proto import event_pb2

from recformer.logs.tfrecord import Scan

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
_FEW = 8  # records of a length that are sooner parsed one by one
_MOST_KINDS = 64  # of one length; what is of yet another kind is parsed one by one

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
# Numbers of the fields in event.proto, summary.proto and tensor.proto.
_WALL_TIME, _STEP, _SUMMARY = 1, 2, 5
_VALUE = 1
_TAG, _SIMPLE_VALUE, _TENSOR = 1, 2, 8
_TENSOR_CONTENT, _FLOAT_VAL, _DOUBLE_VAL = 4, 5, 6


@dataclass
class Points:
    """Scalars of one tag in the order in which they were written. All arrays are (n,)."""

    record: NDArray[np.int64]
    """Number of the record, counted from the first of the scan."""
    step: NDArray[np.int64]
    wall_time: NDArray[np.float64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """The beginning of a session, which takes back what was written before it for `step` and later."""

    record: int
    step: int
    wall_time: float


@dataclass
class Events:
    """What the records of a scan say."""

    points: dict[str, Points] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    """Numbers of records that hold no Event."""


def parse(found: Scan) -> Events:
    """The scalars and session starts in the records that a scan found."""
    rows: dict[str, list[Points]] = {}
    others = np.zeros(len(found.starts), dtype=np.bool_)
    if not len(found.starts):
        return Events()
    padded = np.frombuffer(found.data + bytes(8), np.uint8)  # a whole number of words of any record may be looked at
    order = np.argsort(found.lengths, kind="stable")
    edges = np.flatnonzero(np.diff(found.lengths[order])) + 1
    for group in np.split(order, edges):
        if len(group) < _FEW:
            others[group] = True
            continue
        length = int(found.lengths[group[0]])
        words = sliding_window_view(padded, -(-length // 8) * 8)[found.starts[group]].view("<u8")  # (n, words)
        others[group[_read_alike(words, length, group, rows)]] = True
    events = Events()
    single = _Singles()
    for number in np.flatnonzero(others).tolist():
        start, length = int(found.starts[number]), int(found.lengths[number])
        _read_one(events, single, number, found.data[start : start + length])
    for tag, points in single.points().items():
        rows.setdefault(tag, []).append(points)
    events.points = {tag: _in_order(parts) for tag, parts in rows.items()}
    return events


def first_wall_time(found: Scan) -> float | None:
    """When the first event of a scan was written; None where there is none."""
    for _, record in found.records:
        with suppress(DecodeError):
            return _EVENT.FromString(record).wall_time
    return None


def _read_alike(
    words: NDArray[np.uint64], length: int, numbers: NDArray[np.int64], rows: dict[str, list[Points]]
) -> NDArray[np.int64]:
    """Read records (n, words) of one length kind by kind into `rows`; the places of those left to others, (m,)."""
    left = np.arange(len(numbers))
    unknown: list[NDArray[np.int64]] = []
    for _ in range(_MOST_KINDS):
        if not len(left):
            break
        kind = _Kind.of(words[left[0]].tobytes()[:length])
        if kind is None:
            # Records that are no lone scalar are mostly not alike either; a few are tried, then all are left.
            unknown.append(left[:1])
            left = left[1:]
            continue
        same = kind.matches(words[left])
        matching = left[same]
        rows.setdefault(kind.tag, []).append(kind.read(words[matching], numbers[matching]))
        left = left[~same]
    return np.concatenate([*unknown, left])


@dataclass(frozen=True)
class _Kind:
    """Records of one length that differ in time, step and value alone, and where in them those are."""

    tag: str
    record: bytes
    time_at: int
    step_at: int
    step_bytes: int
    """How long the step's varint is; 0 where step 0 is left out."""
    value_at: int
    dtype: str

    @classmethod
    def of(cls, record: bytes) -> "_Kind | None":
        """The kind of `record`; None where it is not one scalar and nothing else."""
        event = _fields(record, 0, len(record))
        if event is None or not {_WALL_TIME, _SUMMARY} <= event.keys() <= {_WALL_TIME, _STEP, _SUMMARY}:
            return None
        summary = _inside(record, event, _SUMMARY)
        value = None if summary is None or summary.keys() != {_VALUE} else _inside(record, summary, _VALUE)
        place = None if value is None else _number_in(record, value)
        scalars = _scalars(record)
        if place is None or len(scalars) != 1:
            return None
        at, dtype = place
        [(tag, number)] = scalars
        if np.frombuffer(record, dtype, 1, at).astype(np.float64).tobytes() != np.float64(number).tobytes():
            return None
        _, step_at, step_end = event.get(_STEP, (_VARINT, 0, 0))
        return cls(tag, record, event[_WALL_TIME][1], step_at, step_end - step_at, at, dtype)

    def matches(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """(n,) which of the records (n, words) are of this kind."""
        differs = np.zeros(len(words), dtype=np.uint64)
        width = 8 * words.shape[1]
        fixed = np.frombuffer(self._fixed().ljust(width, b"\0"), "<u8")
        model = np.frombuffer(self.record.ljust(width, b"\0"), "<u8")
        for column in np.flatnonzero(fixed):
            differs |= (words[:, column] ^ model[column]) & fixed[column]
        return differs == 0

    def _fixed(self) -> bytes:
        """Which bits of a record are the same in all of this kind."""
        mask = bytearray(b"\xff" * len(self.record))
        mask[self.time_at : self.time_at + 8] = bytes(8)
        mask[self.step_at : self.step_at + self.step_bytes] = b"\x80" * self.step_bytes  # whether the varint goes on
        size = np.dtype(self.dtype).itemsize
        mask[self.value_at : self.value_at + size] = bytes(size)
        return bytes(mask)

    def read(self, words: NDArray[np.uint64], numbers: NDArray[np.int64]) -> Points:
        """The points in records (n, words) of this kind."""
        records = words.view(np.uint8)
        step = np.zeros(len(records), dtype=np.uint64)
        for place in range(self.step_bytes):
            part = (records[:, self.step_at + place] & 0x7F).astype(np.uint64)
            step |= part << np.uint64(7 * place)
        return Points(
            record=numbers,
            step=step.view(np.int64),
            wall_time=_column(records, self.time_at, "<f8"),
            value=_column(records, self.value_at, self.dtype),
        )


def _column(records: NDArray[np.uint8], at: int, dtype: str) -> NDArray[np.float64]:
    part = np.ascontiguousarray(records[:, at : at + np.dtype(dtype).itemsize])
    return part.view(dtype)[:, 0].astype(np.float64)


_Fields = dict[int, tuple[int, int, int]]
"""Number of a field → wire type, where its content begins, where it ends."""


def _fields(record: bytes, start: int, end: int) -> _Fields | None:
    """The fields of the message in `record[start:end]`; None where one comes twice or it cannot be read."""
    found: _Fields = {}
    position = start
    while position < end:
        key, position = _varint(record, position)
        number, wire = key >> 3, key & 7
        content = position
        if wire == _VARINT:
            _, position = _varint(record, position)
        elif wire == _FIXED64:
            position += 8
        elif wire == _FIXED32:
            position += 4
        elif wire == _BYTES:
            size, content = _varint(record, position)
            position = content + size
        else:
            return None
        if position > end or number in found:
            return None
        found[number] = (wire, content, position)
    return found


def _varint(record: bytes, position: int) -> tuple[int, int]:
    """The varint at `position`, and where it ends: beyond the record where it has no end."""
    number = 0
    for place in range(10):
        if position + place >= len(record):
            break
        byte = record[position + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, position + place + 1
    return 0, len(record) + 1


def _inside(record: bytes, fields: _Fields, number: int) -> _Fields | None:
    """The fields of the message that is field `number`."""
    wire, start, end = fields.get(number, (_VARINT, 0, 0))
    return _fields(record, start, end) if wire == _BYTES else None


def _number_in(record: bytes, value: _Fields) -> tuple[int, str] | None:
    """Where in a summary value its number stands as bytes of fixed width, and their type."""
    if (_SIMPLE_VALUE in value) == (_TENSOR in value):
        return None
    if _SIMPLE_VALUE in value:
        wire, at, _ = value[_SIMPLE_VALUE]
        return (at, "<f4") if wire == _FIXED32 else None
    tensor = _inside(record, value, _TENSOR)
    numbers = {} if tensor is None else {key: tensor[key] for key in tensor if key >= _TENSOR_CONTENT}
    if len(numbers) != 1:
        return None
    [(number, (_, at, end))] = numbers.items()
    if number == _TENSOR_CONTENT:
        [message] = _EVENT.FromString(record).summary.value
        dtype = _DTYPES.get(message.tensor.dtype, ("", ""))[1]
    else:
        dtype = {_FLOAT_VAL: "<f4", _DOUBLE_VAL: "<f8"}.get(number, "")
    return (at, dtype) if dtype and end - at == np.dtype(dtype).itemsize else None


def _scalars(record: bytes) -> list[tuple[str, float]]:
    """Tag and number of each scalar in a record, as the protobuf library reads it."""
    try:
        event = _EVENT.FromString(record)
    except DecodeError:
        return []
    return _scalars_of(event)


def _scalars_of(event: Any) -> list[tuple[str, float]]:
    numbers = [(value.tag, _scalar(value)) for value in event.summary.value]
    return [(tag, number) for tag, number in numbers if number is not None]


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
        if len(tensor.tensor_content) != np.dtype(dtype).itemsize:
            return None
        numbers = np.frombuffer(tensor.tensor_content, dtype=dtype)
    elif name == "half_val":  # 16-bit patterns kept as integers
        numbers = np.array(tensor.half_val, dtype=np.int64).astype("<u2").view(dtype)
    else:
        numbers = np.array(getattr(tensor, name), dtype=dtype)
    return float(numbers[0]) if len(numbers) == 1 else None


@dataclass
class _Singles:
    """Points read one by one."""

    rows: dict[str, list[tuple[int, int, float, float]]] = field(default_factory=dict)

    def points(self) -> dict[str, Points]:
        found: dict[str, Points] = {}
        for tag, rows in self.rows.items():
            record, step, wall, value = zip(*rows, strict=True)
            found[tag] = Points(
                np.array(record, np.int64), np.array(step, np.int64), np.array(wall, float), np.array(value, float)
            )
        return found


def _read_one(events: Events, single: _Singles, number: int, record: bytes) -> None:
    try:
        event = _EVENT.FromString(record)
    except DecodeError:
        events.unreadable.append(number)
        return
    if event.HasField("session_log") and event.session_log.status == _SESSION_START:
        events.starts.append(Start(number, event.step, event.wall_time))
    for tag, value in _scalars_of(event):
        single.rows.setdefault(tag, []).append((number, event.step, event.wall_time, value))


def _in_order(parts: list[Points]) -> Points:
    """The parts of one tag as one, in the order of their records."""
    if len(parts) == 1:
        return parts[0]
    record = np.concatenate([part.record for part in parts])
    order = np.argsort(record, kind="stable")
    return Points(
        record=record[order],
        step=np.concatenate([part.step for part in parts])[order],
        wall_time=np.concatenate([part.wall_time for part in parts])[order],
        value=np.concatenate([part.value for part in parts])[order],
    )
