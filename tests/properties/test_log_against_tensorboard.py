"""On undamaged logs the reader gives what TensorBoard's own EventAccumulator gives, and tbparse where it agrees."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tbparse import SummaryReader
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_ndarray
from torch.utils.tensorboard import SummaryWriter

from benchmarks.event_files import framed, version, write_run
from tests.effort import examples
from tests.log_files import Row, arranged_rows, assert_curves, event, others, read, rows_of, simple, start, tensor

TAGS = ("loss/train", "loss/validation", "é中", "a b")
STEPS = st.integers(0, 12) | st.sampled_from([127, 128, 16_384, 2**40, 2**62])
Files = list[list[bytes]]


@st.composite
def logs(draw: st.DrawFn) -> Files:
    """The events of up to four sessions, one file each; every later one takes back what it does again.

    Of scalars as tensors TensorBoard takes nothing back, so there nothing is.
    """
    files: Files = []
    new = draw(st.booleans())
    wall = 1000.0
    for number in range(draw(st.integers(1, 4))):
        events = [Event(wall_time=wall, file_version="brain.Event:2").SerializeToString()]
        if number and not new:
            events.append(start(draw(STEPS), wall))
        for tag, step, value in draw(
            st.lists(st.tuples(st.sampled_from(TAGS), STEPS, st.floats(width=32)), max_size=15)
        ):
            wall += draw(st.sampled_from([0.0, 0.25, 1.0, 1.0, -0.5]))
            one = tensor(tag, value, 1, draw(st.booleans()), "scalars") if new else simple(tag, value)
            events.append(event(step, wall, one))
            if draw(st.integers(0, 9)) == 0:
                events.append(event(step, wall, *others("other")[:3]))
        files.append(events)
        wall += 20
    return files


def write(folder: Path, files: Files) -> None:
    for number, events in enumerate(files):
        (folder / f"events.out.tfevents.{1000 + number}.host.1.{number}").write_bytes(b"".join(map(framed, events)))


def accumulated(folder: Path) -> dict[str, list[Row]]:
    """TensorBoard's points, which are all, arranged as ours."""
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    points = {
        tag: [(point.step, point.wall_time, point.value) for point in accumulator.Scalars(tag)]
        for tag in tags["scalars"]
    }
    for tag in tags["tensors"]:
        for point in accumulator.Tensors(tag):
            number = make_ndarray(point.tensor_proto)
            if number.dtype.kind == "f" and number.shape == ():
                points.setdefault(tag, []).append((point.step, point.wall_time, number.item()))
    return {tag: arranged_rows(rows) for tag, rows in points.items() if rows}


@settings(max_examples=examples(150))
@given(logs())
def test_agrees_with_the_accumulator(files: Files) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, files)
        log = read(folder)
        assert log.damaged == []
        assert_curves(log.scalars(), rows_of(data for events in files for data in events))
        assert_curves(log.scalars(), accumulated(folder))


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_accumulator_on_a_resumed_training(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    done = 0
    for session in range(4):
        purge = None if session == 0 else max(1, done - int(generator.integers(0, 30)))
        with SummaryWriter(tmp_path, purge_step=purge) as writer:
            done = (purge or 1) + int(generator.integers(0, 150))
            for step in range(purge or 1, done):
                for tag in ("loss/train", "metric/ndcg@10"):
                    writer.add_scalar(tag, generator.normal(), step, 1e9 + 1000 * session + step / 8)
            writer.add_histogram("weights", generator.normal(size=10), done)
            writer.add_text("note", "resumed", done)
        # TensorBoard goes by the names, in which the tenth file of a process comes before the second.
        next(tmp_path.glob("events*")).rename(tmp_path / f"tfevents.{session}")
    log = read(tmp_path)
    assert_curves(log.scalars(), accumulated(tmp_path))


def test_agrees_with_both_on_a_long_log(tmp_path: Path) -> None:
    tags = [f"metric/{number}" for number in range(7)]
    write_run(tmp_path, 35_000, tags)
    log = read(tmp_path)
    assert_curves(log.scalars(), accumulated(tmp_path))
    frame = SummaryReader(str(tmp_path), extra_columns={"wall_time"}).scalars
    for tag, rows in frame.groupby("tag"):
        curve = log.scalars()[str(tag)]
        np.testing.assert_array_equal(curve.step, rows["step"])
        np.testing.assert_array_equal(curve.value, rows["value"])
        np.testing.assert_array_equal(curve.wall_time, rows["wall_time"])
    assert sorted(frame["tag"].unique()) == tags


def test_a_restart_takes_back_other_tags_too(tmp_path: Path) -> None:
    """Also where the second session stands in the first one's file, and where it took back everything."""
    first = [event(step, 10.0 + step, simple("a", step), simple("b", step)) for step in range(1, 9)]
    second = [start(4, 50.0), event(9, 51.0, simple("a", 9)), start(0, 60.0), event(2, 61.0, simple("b", 2))]
    for events in (second[:2], second):
        (tmp_path / "x.tfevents.1").write_bytes(version(1.0) + b"".join(map(framed, [*first, *events])))
        log = read(tmp_path)
        assert_curves(log.scalars(), accumulated(tmp_path))
        assert_curves(log.scalars(), rows_of([*first, *events]))
