"""The event reader against TensorBoard's own writer, and against files that were cut, replaced or damaged."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from torch.utils.tensorboard import SummaryWriter

from recformer.files.names import PROJECT
from recformer.logs.curves import extremes, smooth, thin
from recformer.logs.reader import RunLog
from recformer.logs.series import Curve

NAME = "events.out.tfevents.1.host.1.0"


def framed(data: bytes) -> bytes:
    """`data` as a record, with TensorBoard's own checksum."""
    length = len(data).to_bytes(8, "little")
    return length + masked_crc32c(length).to_bytes(4, "little") + data + masked_crc32c(data).to_bytes(4, "little")


def record(step: int, value: float, tag: str = "loss", wall_time: float | None = None) -> bytes:
    wall = 100.0 + step if wall_time is None else wall_time
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return framed(Event(step=step, wall_time=wall, summary=summary).SerializeToString())


def read(folder: Path) -> RunLog:
    log = RunLog(folder)
    log.refresh()
    return log


def pairs(log: RunLog, tag: str = "loss") -> list[tuple[int, float]]:
    curve = log.scalars().get(tag)
    return [] if curve is None else list(zip(curve.step.tolist(), curve.value.tolist(), strict=True))


def test_reads_what_torchs_writer_wrote(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(50):
            writer.add_scalar("loss/train", 1 / (step + 1), step, walltime=1000.0 + step)
            writer.add_scalar("new/style", step, step, new_style=True)
            writer.add_scalar("double", step / 3, step, double_precision=True, new_style=True)
        writer.add_histogram("weights", np.arange(1000.0), 1)
        writer.add_text("note", "hello", 1)
    log = read(tmp_path)
    curves = log.scalars()
    assert sorted(curves) == ["double", "loss/train", "new/style"]
    curve = curves["loss/train"]
    assert (curve.step.dtype, curve.wall_time.dtype, curve.value.dtype) == (np.int64, np.float64, np.float64)
    np.testing.assert_array_equal(curve.step, np.arange(50))
    np.testing.assert_array_equal(curve.value, (1 / np.arange(1, 51)).astype(np.float32))
    np.testing.assert_array_equal(curve.wall_time, 1000.0 + np.arange(50))
    np.testing.assert_array_equal(curves["new/style"].value, np.arange(50))
    np.testing.assert_array_equal(curves["double"].value, np.arange(50) / 3)
    assert log.damaged == []


def test_values_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(record(0, math.nan) + record(1, math.inf) + record(2, -math.inf))
    values = read(tmp_path).scalars()["loss"].value
    np.testing.assert_array_equal(values, [math.nan, math.inf, -math.inf])


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (TensorProto(dtype=1, float_val=[0.5]), 0.5),
        (TensorProto(dtype=2, double_val=[1 / 3]), 1 / 3),
        (TensorProto(dtype=3, int_val=[-7]), -7.0),
        (TensorProto(dtype=9, int64_val=[1 << 40]), float(1 << 40)),
        (TensorProto(dtype=19, half_val=[int(np.float16(1.5).view(np.uint16))]), 1.5),
        (TensorProto(dtype=1, tensor_content=np.float32(0.25).tobytes()), 0.25),
        (TensorProto(dtype=1, float_val=[1.0, 2.0]), None),
        (TensorProto(dtype=7, string_val=[b"text"]), None),
    ],
)
def test_scalars_as_tensors(tmp_path: Path, tensor: Any, expected: float | None) -> None:
    tensor.tensor_shape.CopyFrom(TensorShapeProto())
    summary = Summary(value=[Summary.Value(tag="loss", tensor=tensor)])
    (tmp_path / NAME).write_bytes(framed(Event(step=1, wall_time=1, summary=summary).SerializeToString()))
    assert pairs(read(tmp_path)) == ([] if expected is None else [(1, expected)])


def test_a_tensor_of_another_plugin_is_no_scalar(tmp_path: Path) -> None:
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="histograms"))
    value = Summary.Value(tag="loss", tensor=TensorProto(dtype=1, float_val=[1.0]), metadata=metadata)
    event = Event(step=1, wall_time=1, summary=Summary(value=[value]))
    (tmp_path / NAME).write_bytes(framed(event.SerializeToString()))
    assert read(tmp_path).scalars() == {}


def test_only_what_was_added_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / NAME
    first = b"".join(record(step, step) for step in range(100))
    path.write_bytes(first)
    log = RunLog(tmp_path)
    assert log.refresh() is True
    assert log.refresh() is False
    starts: list[int] = []
    pread = os.pread

    def spy(handle: int, size: int, offset: int) -> bytes:
        data = pread(handle, size, offset)
        if size > 1000:
            starts.append(offset)
        return data

    monkeypatch.setattr(os, "pread", spy)
    with path.open("ab") as file:
        file.write(record(100, 100))
    assert log.refresh() is True
    assert min(starts) == len(first)
    assert len(pairs(log)) == 101


def test_a_half_written_record_is_waited_for(tmp_path: Path) -> None:
    path, last = tmp_path / NAME, record(1, 1)
    path.write_bytes(record(0, 0))
    log = read(tmp_path)
    for byte in last[:-1]:
        with path.open("ab") as file:
            file.write(bytes([byte]))
        assert log.refresh() is False
    with path.open("ab") as file:
        file.write(last[-1:])
    assert log.refresh() is True
    assert (pairs(log), log.damaged) == ([(0, 0), (1, 1)], [])


def test_a_file_that_was_cut_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(record(0, 0) + record(1, 1))
    log = read(tmp_path)
    path.write_bytes(record(0, 5))
    assert log.refresh() is True
    assert pairs(log) == [(0, 5)]


def test_a_file_rewritten_in_place_and_longer_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(record(0, 0))
    log = read(tmp_path)
    path.write_bytes(record(0, 5) + record(1, 6))
    assert log.refresh() is True
    assert pairs(log) == [(0, 5), (1, 6)]


def test_a_replaced_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(record(0, 0) + record(1, 1))
    log = read(tmp_path)
    (tmp_path / "other").write_bytes(record(0, 0) + record(7, 7) + record(8, 8))
    (tmp_path / "other").replace(path)
    assert log.refresh() is True
    assert pairs(log) == [(0, 0), (7, 7), (8, 8)]


def test_a_deleted_file_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(record(0, 0))
    log = read(tmp_path)
    (tmp_path / NAME).unlink()
    assert log.refresh() is True
    assert log.scalars() == {}
    assert log.refresh() is False


def test_a_folder_that_is_not_there_has_no_curves(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "none")
    assert log.refresh() is False
    assert log.scalars() == {}


def test_a_resumed_run_takes_back_the_steps_from_its_purge_step(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path, filename_suffix=".a") as writer:
        for step in range(10):
            writer.add_scalar("loss", step, step)
    with SummaryWriter(tmp_path, purge_step=6, filename_suffix=".b") as writer:
        for step in range(6, 8):
            writer.add_scalar("loss", 100 + step, step)
    expected = [*((step, float(step)) for step in range(6)), (6, 106.0), (7, 107.0)]
    assert pairs(read(tmp_path)) == expected


def test_a_resume_seen_live_takes_back_what_was_shown(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    with SummaryWriter(tmp_path, filename_suffix=".a") as writer:
        for step in range(4):
            writer.add_scalar("loss", step, step)
    log.refresh()
    assert len(pairs(log)) == 4
    with SummaryWriter(tmp_path, purge_step=2, filename_suffix=".b") as writer:
        writer.add_scalar("other", 1, 9)
    log.refresh()
    assert pairs(log) == [(0, 0), (1, 1)]
    assert pairs(log, "other") == [(9, 1)]


def test_of_a_step_written_twice_the_later_wall_time_holds(tmp_path: Path) -> None:
    first = record(0, 9, wall_time=40) + record(1, 10, wall_time=50) + record(2, 20, wall_time=90)
    (tmp_path / "a.tfevents.1").write_bytes(first)
    (tmp_path / "b.tfevents.2").write_bytes(record(1, 11, wall_time=60) + record(2, 21, wall_time=70))
    log = read(tmp_path)
    assert pairs(log) == [(0, 9), (1, 11), (2, 20)]
    curve = log.scalars()["loss"]
    assert (curve.by_time, curve.repeated) == (False, 2)


def test_a_damaged_record_is_left_out_and_reported(tmp_path: Path) -> None:
    one, two, three = record(1, 1), record(2, 2), record(3, 3)
    bad = two[:20] + bytes([two[20] ^ 1]) + two[21:]
    (tmp_path / NAME).write_bytes(one + bad + three)
    log = read(tmp_path)
    assert pairs(log) == [(1, 1), (3, 3)]
    assert log.damaged == [(tmp_path / NAME, len(one))]


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 100, b"rubbish" * 50, b"\xff" * 7])
def test_the_next_valid_record_is_found_after_rubbish(tmp_path: Path, rubbish: bytes) -> None:
    one, two, three = record(1, 1), record(2, 2), record(3, 3)
    (tmp_path / NAME).write_bytes(one + two[5:] + rubbish + three)
    log = read(tmp_path)
    assert pairs(log) == [(1, 1), (3, 3)]
    assert log.damaged == [(tmp_path / NAME, len(one))]


def test_damage_at_the_end_is_reported_once_and_passed_when_more_comes(tmp_path: Path) -> None:
    path, one, two = tmp_path / NAME, record(1, 1), record(2, 2)
    path.write_bytes(one + bytes([two[0] ^ 4]) + two[1:])
    log = read(tmp_path)
    assert log.damaged == [(path, len(one))]
    with path.open("ab") as file:
        file.write(record(3, 3))
    assert log.refresh() is True
    assert pairs(log) == [(1, 1), (3, 3)]
    assert log.damaged == [(path, len(one))]


def test_a_record_whose_checksum_is_right_but_is_no_event_is_damaged(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(record(1, 1) + framed(b"\xff\xff\xff") + record(2, 2))
    log = read(tmp_path)
    assert pairs(log) == [(1, 1), (2, 2)]
    assert len(log.damaged) == 1


def test_a_log_that_begins_with_what_is_no_event_is_read_from_its_first_event(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(framed(b"\xff\xff\xff"))
    log = read(tmp_path)
    assert log.scalars() == {} and log.damaged == [(path, 0)]
    with path.open("ab") as file:
        file.write(framed(b"\xff\xff\xff") + record(1, 1) + record(2, 2))
    assert log.refresh() is True
    assert pairs(log) == [(1, 1), (2, 2)]
    assert len(log.damaged) == 2


def test_curves_cannot_be_changed_by_their_readers(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(record(1, 1))
    with pytest.raises(ValueError, match="read-only"):
        read(tmp_path).scalars()["loss"].value[0] = 9


def test_logs_never_import_torch() -> None:
    script = (
        "import sys\nfrom recformer.logs import curves, reader, tfrecord\n"
        "assert not {'torch', 'tensorflow', 'streamlit', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)


def curve(values: list[float]) -> Curve:
    n = len(values)
    return Curve(np.arange(n), np.arange(n) + 0.5, np.array(values, dtype=np.float64))


@pytest.mark.parametrize("fewer", [thin, extremes])
def test_a_short_curve_stays_as_it_is(fewer: Callable[[Curve, int], Curve]) -> None:
    short = curve([1, 5, 2, 4])
    assert fewer(short, 4) is short
    assert len(fewer(curve([]), 4)) == 0


@pytest.mark.parametrize("n", [11, 20, 999, 1000, 12345])
def test_thin_goes_evenly_from_end_to_end(n: int) -> None:
    thinned = thin(curve(np.arange(n, dtype=np.float64).tolist()), 10)
    assert len(thinned) == 10
    assert (thinned.step[0], thinned.step[-1]) == (0, n - 1)
    assert np.ptp(np.diff(thinned.step)) <= 1
    np.testing.assert_array_equal(thinned.value, thinned.step)


FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(FLOATS, min_size=1, max_size=300), st.integers(4, 60))
def test_extremes_are_points_of_the_curve_in_order_with_every_spike_and_both_ends(
    values: list[float], most: int
) -> None:
    whole = curve(values)
    kept = extremes(whole, most)
    assert len(kept) <= most
    assert np.all(np.diff(kept.step) > 0)
    np.testing.assert_array_equal(kept.value, whole.value[kept.step])
    np.testing.assert_array_equal(kept.wall_time, whole.wall_time[kept.step])
    assert (kept.step[0], kept.step[-1]) == (0, len(whole) - 1)
    if not np.isnan(whole.value).all():
        assert (np.nanmin(kept.value), np.nanmax(kept.value)) == (np.nanmin(whole.value), np.nanmax(whole.value))


def test_a_spike_is_kept_in_each_bucket_and_a_gap_only_where_all_of_it_is_one() -> None:
    values = np.zeros(1000)
    values[[123, 500, 877]] = 7.0, -9.0, 3.0
    values[600:900] = np.where(values[600:900] == 3.0, 3.0, np.nan)
    kept = extremes(curve(values.tolist()), 42)
    assert {7.0, -9.0, 3.0} <= set(kept.value.tolist())
    assert 0 < np.isnan(kept.value).sum() < 20


def test_fewer_points_than_can_say_anything_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        thin(curve([1.0]), 1)
    with pytest.raises(ValueError, match="at least 4"):
        extremes(curve([1.0]), 3)


def test_smooth_one_three_is_one_and_two_and_a_third() -> None:
    np.testing.assert_allclose(smooth(np.array([1.0, 3.0]), 0.5), [1.0, 7 / 3])


def test_smooth_keeps_a_constant_and_changes_nothing_at_zero() -> None:
    np.testing.assert_allclose(smooth(np.full(50, 4.0), 0.99), np.full(50, 4.0))
    values = np.array([1.0, -2.0, math.nan, 5.0])
    np.testing.assert_array_equal(smooth(values, 0.0), values)


def test_smooth_leaves_out_what_is_not_finite() -> None:
    with_gaps = smooth(np.array([1.0, math.nan, 3.0, math.inf, 2.0]), 0.6)
    without = smooth(np.array([1.0, 3.0, 2.0]), 0.6)
    np.testing.assert_array_equal(with_gaps[[0, 2, 4]], without)
    assert math.isnan(with_gaps[1])
    assert math.isinf(with_gaps[3])
    with pytest.raises(ValueError, match="weight"):
        smooth(np.zeros(1), 1.0)


@pytest.mark.skipif("RECFORMER_ARTICLE" not in os.environ, reason="RECFORMER_ARTICLE names no folder")
def test_the_articles_logs_are_read_whole(tmp_path: Path) -> None:
    counts: list[tuple[int, int]] = []
    for file in Path(os.environ["RECFORMER_ARTICLE"]).glob("*tfevents*"):
        (tmp_path / file.name).mkdir()
        (tmp_path / file.name / file.name).symlink_to(file)
        log = read(tmp_path / file.name)
        assert log.damaged == []
        counts.append((len(log.scalars()["loss/train"]), len(log.scalars()["loss/validation"])))
    assert sorted(counts) == [(500, 500), (1000, 1000), (1000, 1000)]
