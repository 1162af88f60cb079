"""What tests of the event reader share: events in every encoding, and a plain model of what a reader must find."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

from benchmarks.event_files import framed, version
from recformer.logs.bounds import LATEST_S
from recformer.logs.reader import RunLog
from recformer.logs.series import Curve

NAME = "events.out.tfevents.1.host.1.0"
POINTS = 4000
"""In a log as `log_of` writes it, if not said otherwise."""
Point = tuple[str, int, float, float]  # tag, step, wall time, value
Row = tuple[int, float, float]  # step, wall time, value
_TENSORS = {1: ("float_val", "<f4"), 2: ("double_val", "<f8"), 9: ("int64_val", "<i8"), 19: ("half_val", "<f2")}


def simple(tag: str, value: float) -> Any:
    """A summary value in the old encoding."""
    return Summary.Value(tag=tag, simple_value=value)


def tensor(tag: str, value: float, dtype: int = 1, content: bool = False, plugin: str | None = None) -> Any:
    """A summary value in the new encoding: `dtype` 1 float, 2 double, 9 int64, 19 half, in a list or as bytes."""
    name, kind = _TENSORS[dtype]
    number = np.array([value]).astype(kind)
    proto = TensorProto(dtype=dtype, tensor_shape=TensorShapeProto())
    if content:
        proto.tensor_content = number.tobytes()
    else:
        getattr(proto, name).append((number.view("<u2") if dtype == 19 else number)[0].item())
    written = Summary.Value(tag=tag, tensor=proto)
    if plugin is not None:
        written.metadata.CopyFrom(SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin)))
    return written


def others(tag: str) -> list[Any]:
    """Summary values that are no scalars."""
    words = TensorProto(dtype=7, string_val=[b"text"], tensor_shape=TensorShapeProto())
    text = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    return [
        Summary.Value(tag=tag, histo=HistogramProto(min=0, max=1, num=2, sum=1, bucket_limit=[0, 1], bucket=[1, 1])),
        Summary.Value(tag=tag, image=Summary.Image(height=1, width=1, colorspace=1, encoded_image_string=b"\x15" * 9)),
        Summary.Value(tag=tag, tensor=words, metadata=text),
        Summary.Value(tag=tag),
    ]


def event(step: int, wall_time: float, *values: Any) -> bytes:
    return Event(step=step, wall_time=wall_time, summary=Summary(value=values)).SerializeToString()


def scalar(step: int, value: float, tag: str = "loss", wall_time: float | None = None) -> bytes:
    """A record of one scalar, logged at 100 s + step if not said otherwise."""
    return framed(event(step, 100.0 + step if wall_time is None else wall_time, simple(tag, value)))


def start(step: int, wall_time: float) -> bytes:
    """The event of a session that takes back all from `step` on."""
    return Event(step=step, wall_time=wall_time, session_log=SessionLog(status=SessionLog.START)).SerializeToString()


def opaque(wall_time: float) -> list[bytes]:
    """Events that hold no summary."""
    return [
        Event(wall_time=wall_time, file_version="brain.Event:2").SerializeToString(),
        Event(wall_time=wall_time, graph_def=b"\x0a\x04node").SerializeToString(),
        Event(wall_time=wall_time, step=3, session_log=SessionLog(status=SessionLog.STOP)).SerializeToString(),
        Event(wall_time=wall_time, step=3).SerializeToString(),
    ]


def points_of(data: bytes) -> list[Point]:
    """The scalars in an event."""
    read = Event.FromString(data)
    numbers = [(value.tag, _number(value)) for value in read.summary.value]
    return [(tag, read.step, read.wall_time, number) for tag, number in numbers if number is not None]


def _number(value: Any) -> float | None:
    if value.HasField("simple_value"):
        return value.simple_value
    if not value.HasField("tensor") or value.metadata.plugin_data.plugin_name not in ("", "scalars"):
        return None
    if value.tensor.dtype not in _TENSORS:
        return None
    name, kind = _TENSORS[value.tensor.dtype]
    if value.tensor.tensor_content:
        whole = len(value.tensor.tensor_content) == np.dtype(kind).itemsize
        numbers = np.frombuffer(value.tensor.tensor_content, kind).tolist() if whole else []
    elif value.tensor.dtype == 19:
        numbers = np.array([pattern & 0xFFFF for pattern in value.tensor.half_val], "<u2").view(kind).tolist()
    else:
        numbers = list(getattr(value.tensor, name))
    return float(numbers[0]) if len(numbers) == 1 else None


def rows_of(events: Iterable[bytes]) -> dict[str, list[Row]]:
    """The curves of events in the order in which they were written, by tag."""
    kept: list[Point] = []
    for data in events:
        read = Event.FromString(data)
        if read.HasField("session_log") and read.session_log.status == SessionLog.START:
            kept = [point for point in kept if point[1] < read.step]
        kept += points_of(data)
    tags = dict.fromkeys(tag for tag, *_ in kept)
    return {tag: arranged_rows([point[1:] for point in kept if point[0] == tag]) for tag in tags}


def arranged_rows(rows: Sequence[Row]) -> list[Row]:
    """What a curve holds of points in the order in which they were written.

    Where the lowest step comes back, all stand in order of time, numbered from 1; else of each step the latest, of
    equally late ones that which was written last, in order of steps. One that was logged twice alike counts once.
    Where a point has no time that can be, the order in which they were written stands for that of time.
    """
    rows = [(step, wall if 0 <= wall < LATEST_S else math.nan, value) for step, wall, value in rows]
    if not any(math.isnan(wall) for _, wall, _ in rows):
        order = sorted(range(len(rows)), key=lambda place: rows[place][:2])
        again = {one for before, one in itertools.pairwise(order) if repr(rows[before]) == repr(rows[one])}
        rows = sorted((row for place, row in enumerate(rows) if place not in again), key=lambda row: row[1])
    lowest = min(row[0] for row in rows)
    if sum(row[0] == lowest for row in rows) > 1:
        return [(number, *row[1:]) for number, row in enumerate(rows, start=1)]
    latest = {row[0]: row for row in rows}
    return [latest[step] for step in sorted(latest)]


def assert_curves(found: Mapping[str, Curve], expected: Mapping[str, Sequence[Row]]) -> None:
    assert sorted(found) == sorted(expected)
    for tag, rows in expected.items():
        curve = found[tag]
        assert (curve.step.dtype, curve.wall_time.dtype, curve.value.dtype) == (np.int64, np.float64, np.float64)
        assert curve.step.tolist() == [row[0] for row in rows]
        np.testing.assert_array_equal(curve.wall_time, [row[1] for row in rows])
        np.testing.assert_array_equal(curve.value, [row[2] for row in rows])


def points_in(log: RunLog) -> set[tuple[str, int, float, str]]:
    """All points of a log, with the value as text so that NaN equals itself."""
    rows: set[tuple[str, int, float, str]] = set()
    for tag, curve in log.scalars().items():
        walls, values = curve.wall_time.tolist(), curve.value.tolist()
        rows |= {(tag, *row[:2], text(row[2])) for row in zip(curve.step.tolist(), walls, values, strict=True)}
    return rows


def text(value: float) -> str:
    return "nan" if math.isnan(value) else repr(value)


def read(folder: Path, *arguments: Any) -> RunLog:
    """The log of a folder, read once; further arguments are RunLog's own."""
    log = RunLog(folder, *arguments)
    log.refresh()
    return log


def steps_of(first: int, last: int, times: int = 1) -> list[bytes]:
    return [event(step, 100.0 + step, simple("loss", times * step)) for step in range(first, last)]


def log_of(folder: Path, count: int = POINTS, times: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / NAME
    path.write_bytes(version(1.0) + b"".join(map(framed, steps_of(1, count, times))))
    return path


def check_index(folder: Path, index: Path) -> RunLog:
    """Open a log with an index, and see that it is what it is without."""
    plain, log = read(folder), read(folder, index)
    found = log.scalars()
    rows = {
        tag: list(zip(c.step.tolist(), c.wall_time.tolist(), c.value.tolist(), strict=True))
        for tag, c in plain.scalars().items()
    }
    assert_curves(found, rows)
    assert log.damaged == plain.damaged
    return log
