"""Laws of the event reader: portions do not matter, damage stays local, and it agrees with other readers."""

import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tbparse import SummaryReader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from torch.utils.tensorboard import SummaryWriter

from recformer.logs.reader import RunLog
from recformer.logs.series import Curve
from recformer.logs.tfrecord import scan

NAME = "events.out.tfevents.1.host.1.0"
DEADLINE_S = 30.0


def framed(data: bytes) -> bytes:
    length = len(data).to_bytes(8, "little")
    return length + masked_crc32c(length).to_bytes(4, "little") + data + masked_crc32c(data).to_bytes(4, "little")


def point(step: int, value: float, tag: str, wall_time: float) -> bytes:
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return framed(Event(step=step, wall_time=wall_time, summary=summary).SerializeToString())


def start(step: int, wall_time: float) -> bytes:
    session = SessionLog(status=SessionLog.START)
    return framed(Event(step=step, wall_time=wall_time, session_log=session).SerializeToString())


@st.composite
def event_files(draw: st.DrawFn) -> list[bytes]:
    """The records of one file: points of two tags, and now and then a restart."""
    kinds = draw(st.lists(st.sampled_from(["a", "b", "a", "b", "a", "start"]), min_size=1, max_size=12))
    steps = st.integers(0, 8)
    values = st.floats(width=32)
    records: list[bytes] = []
    for index, kind in enumerate(kinds):
        step, wall = draw(steps), float(index // 2)
        records.append(start(step, wall) if kind == "start" else point(step, draw(values), kind, wall))
    return records


def read_at_once(data: bytes) -> RunLog:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / NAME).write_bytes(data)
        log = RunLog(Path(folder))
        log.refresh()
        return log


def assert_same(left: dict[str, Curve], right: dict[str, Curve]) -> None:
    assert sorted(left) == sorted(right)
    for tag, curve in left.items():
        np.testing.assert_array_equal(curve.step, right[tag].step)
        np.testing.assert_array_equal(curve.wall_time, right[tag].wall_time)
        np.testing.assert_array_equal(curve.value, right[tag].value)


@settings(deadline=None)
@given(event_files(), st.lists(st.floats(0, 1), max_size=4), st.none() | st.floats(0, 1, exclude_max=True))
def test_reading_in_portions_is_reading_at_once(records: list[bytes], cuts: list[float], flip: float | None) -> None:
    data = bytearray(b"".join(records))
    if flip is not None:
        data[int(flip * len(data))] ^= 0x10
    places = sorted(int(cut * len(data)) for cut in cuts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        log = RunLog(Path(folder))
        for begin, end in zip([0, *places], [*places, len(data)], strict=True):
            with path.open("ab") as file:
                file.write(data[begin:end])
            log.refresh()
        whole = read_at_once(bytes(data))
        assert_same(log.scalars(), whole.scalars())
        assert [offset for _, offset in log.damaged] == [offset for _, offset in whole.damaged]


@settings(deadline=None)
@given(event_files(), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_loses_only_the_record_it_is_in(records: list[bytes], where: float, mask: int) -> None:
    data = bytearray(b"".join(records))
    place = int(where * len(data))
    data[place] ^= mask
    ends = np.cumsum([len(record) for record in records])
    touched = int(np.searchsorted(ends, place, side="right"))
    begin = int(ends[touched]) - len(records[touched])
    found = scan(bytes(data))
    untouched = [record[12:-4] for index, record in enumerate(records) if index != touched]
    kept = [record for _, record in found.records]
    assert kept == untouched
    # Damage in the last record is only suspected: what follows may yet explain it.
    is_last = touched == len(records) - 1
    assert (found.damaged, found.suspect) == (([], begin) if is_last else ([begin], None))


@settings(deadline=None)
@given(event_files(), st.binary(max_size=60), st.integers(0, 12))
def test_rubbish_between_records_loses_nothing_else(records: list[bytes], rubbish: bytes, at: int) -> None:
    at = min(at, len(records) - 1)
    found = scan(b"".join([*records[:at], rubbish, *records[at:]]))
    assert [record for _, record in found.records] == [record[12:-4] for record in records]


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_tbparse(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    with SummaryWriter(tmp_path) as writer:
        for step in range(200):
            for tag in ("loss/train", "metric/ndcg@10"):
                writer.add_scalar(tag, generator.normal(), step, new_style=tag.startswith("metric"))
    log = RunLog(tmp_path)
    log.refresh()
    curves = log.scalars()
    reader = SummaryReader(str(tmp_path), extra_columns={"wall_time"})
    frame = reader.scalars
    if reader.tensors is not None and len(reader.tensors):
        tensors = reader.tensors
        for tag, rows in tensors.groupby("tag"):
            np.testing.assert_array_equal(curves[tag].value, [float(value) for value in rows["value"]])
    for tag, rows in frame.groupby("tag"):
        np.testing.assert_array_equal(curves[tag].step, rows["step"])
        np.testing.assert_array_equal(curves[tag].value, rows["value"])
        np.testing.assert_array_equal(curves[tag].wall_time, rows["wall_time"])
    assert len(curves) == 2


def test_reading_while_a_writer_appends_sees_a_growing_prefix(tmp_path: Path) -> None:
    steps = 2000

    def write() -> None:
        with SummaryWriter(tmp_path, max_queue=1, flush_secs=1) as writer:
            for step in range(steps):
                writer.add_scalar("loss", step * 2, step)

    log = RunLog(tmp_path)
    thread = threading.Thread(target=write)
    thread.start()
    deadline = time.monotonic() + DEADLINE_S
    seen = 0
    while seen < steps:
        assert time.monotonic() < deadline
        log.refresh()
        curve = log.scalars().get("loss")
        if curve is None:
            continue
        assert len(curve) >= seen
        seen = len(curve)
        np.testing.assert_array_equal(curve.step, np.arange(seen))
        np.testing.assert_array_equal(curve.value, np.arange(seen) * 2)
        assert log.damaged == []
    thread.join()


def test_several_threads_may_read_one_log(tmp_path: Path) -> None:
    data = b"".join(point(step, step, "loss", float(step)) for step in range(500))
    path = tmp_path / NAME
    path.touch()
    log = RunLog(tmp_path)
    done = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                log.refresh()
                curve = log.scalars().get("loss")
                if curve is not None:
                    np.testing.assert_array_equal(curve.step, np.arange(len(curve)))
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for begin in range(0, len(data), 997):
        with path.open("ab") as file:
            file.write(data[begin : begin + 997])
    done.set()
    for thread in threads:
        thread.join()
    log.refresh()
    assert faults == []
    assert len(log.scalars()["loss"]) == 500
