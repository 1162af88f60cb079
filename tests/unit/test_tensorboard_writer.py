"""The trainer's own log: what TensorBoard reads of it, and a disk that refuses."""

import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recformer.errors import StoreError
from recformer.logs.reader import RunLog
from recformer.training.tensorboard import TensorBoardWriter


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """Whatever would make a file longer than `size` bytes is refused, as on a full disk, but for the words."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def steps_of(folder: Path) -> list[int]:
    log = RunLog(folder)
    log.refresh()
    assert log.damaged == []
    return log.scalars()["loss"].step.tolist()


def test_tensorboard_reads_its_scalars_and_its_note(tmp_path: Path) -> None:
    with TensorBoardWriter(tmp_path, 0) as writer:
        writer.note("config", "name: small")
        for epoch in (1, 2):
            writer.write(epoch, {"loss": 1 / epoch, "lr": 0.5})
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(point.step, point.value) for point in events.Scalars("loss")] == [(1, 1.0), (2, 0.5)]
    (note,) = events.Tensors("config/text_summary")
    assert note.tensor_proto.string_val == [b"```\nname: small\n```"]


def test_a_resumed_log_takes_back_what_was_not_saved(tmp_path: Path) -> None:
    with TensorBoardWriter(tmp_path, 0) as writer:
        for epoch in (1, 2, 3):
            writer.write(epoch, {"loss": float(epoch)})
    with TensorBoardWriter(tmp_path, 1) as writer:
        writer.write(2, {"loss": 0.0})
    assert steps_of(tmp_path) == [1, 2]
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(point.step, point.value) for point in events.Scalars("loss")] == [(1, 1.0), (2, 0.0)]


def test_an_epoch_that_the_disk_refuses_is_a_clear_error_and_leaves_no_half_record(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with TensorBoardWriter(tmp_path, 0) as writer:
        writer.write(1, {"loss": 1.0})
        (path,) = tmp_path.iterdir()
        size = path.stat().st_size
        with files_of_at_most(size + 50), pytest.raises(StoreError, match=r"could not write the log .*File too large"):
            writer.write(2, {"loss": 1.0, "lr": 0.5})
        assert path.stat().st_size == size
        writer.write(2, {"loss": 0.5, "lr": 0.5})
    assert steps_of(tmp_path) == [1, 2]
    assert capfd.readouterr().err == ""


def test_a_folder_that_is_gone_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="could not write the log .*No such file"):
        TensorBoardWriter(tmp_path / "deleted", 0)
    assert not (tmp_path / "deleted").exists()


def test_a_clock_set_back_before_a_resume_does_not_bring_void_epochs_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TensorBoardWriter(tmp_path, 0) as writer:
        for epoch in (1, 2, 3):
            writer.write(epoch, {"loss": 1.0})
    monkeypatch.setattr("time.time", lambda: 1e9)
    with TensorBoardWriter(tmp_path, 1) as writer:
        writer.write(2, {"loss": 2.0})
    monkeypatch.undo()
    log = RunLog(tmp_path)
    log.refresh()
    curve = log.scalars()["loss"]
    assert (curve.step.tolist(), curve.value.tolist()) == ([1, 2], [1.0, 2.0])
