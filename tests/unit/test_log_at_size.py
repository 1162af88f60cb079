"""A log of a million scalars is read whole and in little memory; logs as other programs write them are read right."""

import gc
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from torch.utils.tensorboard import SummaryWriter

from benchmarks.event_files import framed, scalar_records, write_run
from recformer.logs.reader import RunLog
from tests.log_files import NAME, read

POINTS = 1_000_000
TAGS = [f"metric/{number}" for number in range(10)]
BYTES_A_POINT = 40
_STEPS = np.array([1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 2**62])


@pytest.fixture(scope="session")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose log has a million points of ten tags, each tag with the steps 1 to 100,000."""
    folder = tmp_path_factory.mktemp("million")
    write_run(folder, POINTS, TAGS)
    return folder


def test_the_fast_writer_writes_what_tensorboard_writes() -> None:
    walls, values = 100.0 + np.arange(len(_STEPS)), np.arange(len(_STEPS)) / 3
    records = scalar_records("loss/train", _STEPS, walls, values)
    for record, step, wall, value in zip(records, _STEPS, walls, values, strict=True):
        event = Event(step=int(step), wall_time=wall)
        event.summary.value.add(tag="loss/train", simple_value=value)
        assert record == framed(event.SerializeToString())
        assert record[-4:] == masked_crc32c(record[12:-4]).to_bytes(4, "little")
        assert record[8:12] == masked_crc32c(record[:8]).to_bytes(4, "little")


def test_a_million_points_are_read_right(million: Path) -> None:
    log = read(million)
    curves = log.scalars()
    assert log.damaged == []
    assert list(curves) == TAGS
    generator = np.random.default_rng(0)
    each = POINTS // len(TAGS)
    walls = 1.7e9 + 1 + np.cumsum(generator.random(each))
    for tag in TAGS:
        np.testing.assert_array_equal(curves[tag].step, np.arange(1, each + 1))
        np.testing.assert_array_equal(curves[tag].wall_time, walls)
        np.testing.assert_array_equal(curves[tag].value, generator.normal(size=each).astype(np.float32))


def test_a_million_points_take_little_memory(million: Path) -> None:
    """After reading, after the curves were first made, and no more when they are asked for again."""
    size = next(million.iterdir()).stat().st_size
    gc.collect()
    tracemalloc.start()
    log = read(million)
    held = [tracemalloc.get_traced_memory()[0]]
    for _ in range(3):
        curves = log.scalars()
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(curves[TAGS[0]]) == POINTS // len(TAGS)
    assert max(held) / POINTS <= BYTES_A_POINT
    assert peak <= POINTS * BYTES_A_POINT + 3 * size


def test_a_long_log_seen_grow_is_the_same_as_one_read_at_once(million: Path, tmp_path: Path) -> None:
    data = next(million.iterdir()).read_bytes()[:6_000_000]
    (tmp_path / NAME).touch()
    log = RunLog(tmp_path)
    for begin in range(0, len(data), 777_777):
        with (tmp_path / NAME).open("ab") as file:
            file.write(data[begin : begin + 777_777])
        assert log.refresh() is True
    whole = read(tmp_path).scalars()
    for tag, curve in log.scalars().items():
        np.testing.assert_array_equal(curve.step, whole[tag].step)
        np.testing.assert_array_equal(curve.value, whole[tag].value)
    assert log.damaged == []


def test_pictures_histograms_and_texts_are_passed_over(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.1}, {"best": 3.0}, run_name=".")
        for step in range(1, 60):
            writer.add_scalar("loss/train", 1 / step, step)
            writer.add_scalars("both", {"a": step, "b": -step}, step)
            writer.add_image("seen", generator.integers(0, 255, (3, 24, 24), dtype=np.uint8), step)
            writer.add_histogram("weights", generator.normal(size=100), step)
            writer.add_text("note", "loss " * step, step)
            writer.add_pr_curve("pr", generator.integers(0, 2, 20), generator.random(20), step)
            writer.add_scalar("new", step, step, new_style=True)
    log = read(tmp_path)
    curves = log.scalars()
    assert log.damaged == []
    assert {"loss/train", "new", "best"} <= set(curves)
    assert not {tag for tag in curves if tag.startswith(("seen", "weights", "note", "pr", "_hparams_"))}
    np.testing.assert_array_equal(curves["loss/train"].step, np.arange(1, 60))
    np.testing.assert_array_equal(curves["loss/train"].value, (1 / np.arange(1, 60)).astype(np.float32))
    np.testing.assert_array_equal(curves["new"].value, np.arange(1, 60))


def test_a_log_like_the_articles_is_read_whole(tmp_path: Path) -> None:
    """Two tags, one point an epoch each, and a text before them."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("config", "|a|b|\n|-|-|", 0)
        for epoch in range(1000):
            writer.add_scalar("loss/train", 8 / (epoch + 1), epoch)
            writer.add_scalar("loss/validation", 9 / (epoch + 1), epoch)
    curves = read(tmp_path).scalars()
    assert sorted(curves) == ["loss/train", "loss/validation"]
    for tag, scale in (("loss/train", 8), ("loss/validation", 9)):
        np.testing.assert_array_equal(curves[tag].step, np.arange(1000))
        np.testing.assert_array_equal(curves[tag].value, (scale / np.arange(1, 1001)).astype(np.float32))


@pytest.mark.skipif("RECFORMER_ARTICLE" not in os.environ, reason="RECFORMER_ARTICLE names no folder")
def test_the_articles_logs_grow_as_they_are_read(tmp_path: Path) -> None:
    for original in Path(os.environ["RECFORMER_ARTICLE"]).glob("*tfevents*"):
        folder = tmp_path / original.name
        folder.mkdir()
        data = original.read_bytes()
        log = RunLog(folder)
        for end in (0, len(data) // 3, len(data) // 2 + 1, len(data)):
            (folder / NAME).open("ab").write(data[(folder / NAME).stat().st_size : end])
            log.refresh()
        assert log.damaged == []
        assert len(log.scalars()["loss/train"]) in (500, 1000)
