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

from recformer.logs.series import Curve, joined
from recformer.logs.tfrecord import Scan

# The generated module builds its classes when imported, where type checkers do not see them.
EVENT: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
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

# An event begins with its time, of 8 bytes, then its step; each after a byte that says which of the two it is.
_TIME_KEY, _TIME_AT, _STEP_KEY, _STEP_AT = 0x09, 1, 0x10, 10


@dataclass
class Points:
    """Scalars of one tag in the order in which they were written."""

    record: NDArray[np.int64]
    """(n,) number of the record, counted from the first of the scan."""
    curve: Curve
    """Its steps as they were written."""


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
    single: dict[str, list[tuple[int, int, float, float]]] = {}
    for number in np.flatnonzero(others).tolist():
        start, length = int(found.starts[number]), int(found.lengths[number])
        _read_one(events, single, number, found.data[start : start + length])
    for tag, found_one_by_one in single.items():
        record, step, wall, value = zip(*found_one_by_one, strict=True)
        curve = Curve(np.array(step, np.int64), np.array(wall, float), np.array(value, float))
        rows.setdefault(tag, []).append(Points(np.array(record), curve))
    events.points = {tag: _in_order(parts) for tag, parts in rows.items()}
    return events


def first_wall_time(found: Scan) -> float | None:
    """When the first event of a scan was written; None where there is none."""
    for _, record in found.records:
        with suppress(DecodeError):
            return EVENT.FromString(record).wall_time
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
    """Records of one length that differ in time, step and value alone, and where in them the last two are."""

    tag: str
    record: bytes
    step_bytes: int
    """How long the step's varint is; 0 where step 0 is left out."""
    value_at: int
    dtype: str

    @classmethod
    def of(cls, record: bytes) -> "_Kind | None":
        """The kind of `record`; None where it is not one scalar, or not written as the protobuf library writes it.

        Where the number stands is told by what changes in the record when the number changes.
        """
        with suppress(DecodeError):
            event = EVENT.FromString(record)
            scalars = _scalars_of(event)
            if len(event.summary.value) != 1 or len(scalars) != 1 or record[0] != _TIME_KEY:
                return None
            if event.SerializeToString() != record or (dtype := _change_number(event.summary.value[0])) is None:
                return None
            changed = np.frombuffer(event.SerializeToString(), np.uint8) != np.frombuffer(record, np.uint8)
            value_at, size = int(changed.argmax()), np.dtype(dtype).itemsize
            if changed.sum() != size or not changed[value_at : value_at + size].all():
                return None
            has_step = record[_STEP_AT - 1] == _STEP_KEY
            step_bytes = next(count for count in range(1, 11) if record[_STEP_AT + count - 1] < 0x80) if has_step else 0
            return cls(scalars[0][0], record, step_bytes, value_at, dtype)
        return None

    def matches(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """(n,) which of the records (n, words) are of this kind."""
        differs = np.zeros(len(words), dtype=np.uint64)
        width = 8 * words.shape[1]
        mask = bytearray(b"\xff" * len(self.record))  # which bits are the same in all of this kind
        mask[_TIME_AT : _TIME_AT + 8] = bytes(8)
        mask[_STEP_AT : _STEP_AT + self.step_bytes] = b"\x80" * self.step_bytes  # whether the varint goes on
        size = np.dtype(self.dtype).itemsize
        mask[self.value_at : self.value_at + size] = bytes(size)
        fixed = np.frombuffer(mask.ljust(width, b"\0"), "<u8")
        model = np.frombuffer(self.record.ljust(width, b"\0"), "<u8")
        for column in np.flatnonzero(fixed):
            differs |= (words[:, column] ^ model[column]) & fixed[column]
        return differs == 0

    def read(self, words: NDArray[np.uint64], numbers: NDArray[np.int64]) -> Points:
        """The points in records (n, words) of this kind."""
        records = words.view(np.uint8)
        step = np.zeros(len(records), dtype=np.uint64)
        for place in range(self.step_bytes):
            part = (records[:, _STEP_AT + place] & 0x7F).astype(np.uint64)
            step |= part << np.uint64(7 * place)
        wall_time, value = _column(records, _TIME_AT, "<f8"), _column(records, self.value_at, self.dtype)
        return Points(numbers, Curve(step.view(np.int64), wall_time, value))


def _column(records: NDArray[np.uint8], at: int, dtype: str) -> NDArray[np.float64]:
    part = np.ascontiguousarray(records[:, at : at + np.dtype(dtype).itemsize])
    return part.view(dtype)[:, 0].astype(np.float64)


def _change_number(value: Any) -> str | None:
    """Change each byte of a summary value's number, where it has a fixed width; None where not, else its type."""
    if value.HasField("simple_value"):
        value.simple_value = _changed(value.simple_value, "<f4")
        return "<f4"
    tensor = value.tensor
    name, dtype = _DTYPES[tensor.dtype]
    if tensor.tensor_content:
        tensor.tensor_content = bytes(byte ^ 1 for byte in tensor.tensor_content)
    elif name in ("float_val", "double_val"):
        getattr(tensor, name)[0] = _changed(getattr(tensor, name)[0], dtype)
    else:
        return None
    return dtype


def _changed(number: float, dtype: str) -> float:
    raw = np.array([number], dtype).view(np.uint8) ^ np.uint8(1)
    return float(raw.view(dtype)[0])


def _scalars_of(event: Any) -> list[tuple[str, float]]:
    """Tag and number of each scalar in an event."""
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


def _read_one(
    events: Events, single: dict[str, list[tuple[int, int, float, float]]], number: int, record: bytes
) -> None:
    try:
        event = EVENT.FromString(record)
    except DecodeError:
        events.unreadable.append(number)
        return
    if event.HasField("session_log") and event.session_log.status == _SESSION_START:
        events.starts.append(Start(number, event.step, event.wall_time))
    for tag, value in _scalars_of(event):
        single.setdefault(tag, []).append((number, event.step, event.wall_time, value))


def _in_order(parts: list[Points]) -> Points:
    """The parts of one tag as one, in the order of their records."""
    if len(parts) == 1:
        return parts[0]
    record = np.concatenate([part.record for part in parts])
    order = np.argsort(record, kind="stable")
    return Points(record[order], joined([part.curve for part in parts]).part(order))
