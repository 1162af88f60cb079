"""Corners of the event reader: numbers that are none, folders among the files, long damage, faults of one file of many."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

from benchmarks.event_files import framed
from recformer.errors import StoreError
from recformer.logs.reader import RunLog
from tests.log_files import NAME, assert_curves, event, read, scalar, simple, start


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(dtype=1, tensor_content=b"abc"),
        TensorProto(dtype=2, tensor_content=b"abcd"),
        TensorProto(dtype=1, tensor_content=b"abcdefgh"),
        TensorProto(dtype=1),
    ],
)
def test_a_tensor_that_holds_no_one_number_is_no_scalar(tmp_path: Path, tensor: Any) -> None:
    tensor.tensor_shape.CopyFrom(TensorShapeProto())
    odd = framed(event(1, 1.0, Summary.Value(tag="odd", tensor=tensor)))
    (tmp_path / NAME).write_bytes(scalar(1, 1) + odd + scalar(2, 2))
    assert_curves(read(tmp_path).scalars(), {"loss": [(1, 101.0, 1.0), (2, 102.0, 2.0)]})


@pytest.mark.parametrize("step", [2**63 - 1, -(2**63)])
def test_the_outermost_steps_are_steps(tmp_path: Path, step: int) -> None:
    (tmp_path / NAME).write_bytes(framed(event(step, 1.0, simple("loss", 4))))
    assert_curves(read(tmp_path).scalars(), {"loss": [(step, 1.0, 4.0)]})


def test_a_session_from_a_negative_step_takes_back_all_later_ones(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(scalar(-9, 1) + scalar(-2, 2) + scalar(3, 3) + framed(start(-5, 200.0)))
    assert_curves(read(tmp_path).scalars(), {"loss": [(-9, 91.0, 1.0)]})


def test_a_folder_named_like_an_event_file_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "old.tfevents").mkdir()
    (tmp_path / NAME).write_bytes(scalar(1, 1))
    assert list(read(tmp_path).scalars()) == ["loss"]


def test_a_link_that_leads_nowhere_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.tfevents.1").symlink_to(tmp_path / "gone")
    (tmp_path / NAME).write_bytes(scalar(1, 1))
    assert list(read(tmp_path).scalars()) == ["loss"]


def test_one_file_that_cannot_be_read_hides_no_point_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is told, and what was read before it is shown."""
    (tmp_path / "a.tfevents.1").write_bytes(scalar(1, 1))
    log = read(tmp_path)
    assert log.scalars()["loss"].step.tolist() == [1]
    with (tmp_path / "a.tfevents.1").open("ab") as file:
        file.write(scalar(2, 2))
    (tmp_path / "b.tfevents.2").write_bytes(scalar(3, 3))
    bad = (tmp_path / "b.tfevents.2").stat().st_ino
    pread: Callable[[int, int, int], bytes] = os.pread

    def failing(handle: int, size: int, offset: int) -> bytes:
        if os.fstat(handle).st_ino == bad:
            raise OSError(5, "Input/output error")
        return pread(handle, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(StoreError, match="b.tfevents.2"):
        log.refresh()
    assert log.scalars()["loss"].step.tolist() == [1, 2]
    monkeypatch.undo()
    log.refresh()
    assert log.scalars()["loss"].step.tolist() == [1, 2, 3]


@pytest.mark.parametrize("fill", [b"\0", b"\0\0\0\0\0\0\0\0\x10", b"\xff"])
def test_a_long_stretch_of_damage_is_passed(tmp_path: Path, fill: bytes) -> None:
    """As a power cut leaves it: the size is there, the data are not."""
    path, bytes_of_damage = tmp_path / NAME, 20 << 20
    path.write_bytes(scalar(1, 1) + fill * (bytes_of_damage // len(fill)))
    log = RunLog(tmp_path)
    log.refresh()
    for step in (2, 3):
        with path.open("ab") as file:
            file.write(scalar(step, step))
        log.refresh()
    assert log.scalars()["loss"].step.tolist() == [1, 2, 3]
    assert log.damaged == [(path, len(scalar(1, 1)))]


def test_a_record_within_a_record_is_no_record(tmp_path: Path) -> None:
    inner = scalar(7, 7, "inner")
    wrapped = framed(event(1, 1.0, simple("a", 1)) + b"\xaa\x06" + bytes([len(inner)]) + inner)  # field 101, unknown
    (tmp_path / NAME).write_bytes(wrapped + scalar(2, 2))
    assert sorted(read(tmp_path).scalars()) == ["a", "loss"]
