"""Event files in subfolders, where TensorBoard's writer puts the curves of `add_scalars`, come under the folder's name."""

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from benchmarks.event_files import framed
from recformer.logs.reader import RunLog
from tests.log_files import NAME, assert_curves, read, scalar, start


def test_tags_in_a_subfolder_come_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "validation").mkdir()
    (tmp_path / NAME).write_bytes(scalar(1, 1))
    (tmp_path / "validation" / NAME).write_bytes(scalar(1, 2) + scalar(1, 3, "ndcg/10"))
    assert_curves(
        read(tmp_path).scalars(),
        {"loss": [(1, 101.0, 1.0)], "validation/loss": [(1, 101.0, 2.0)], "validation/ndcg/10": [(1, 101.0, 3.0)]},
    )


def test_curves_that_torch_put_side_by_side(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(20):
            writer.add_scalars("loss", {"train": step, "validation": 2 * step}, step)
            writer.add_scalar("rate", 1, step)
    curves = read(tmp_path).scalars()
    assert sorted(curves) == ["loss_train/loss", "loss_validation/loss", "rate"]
    assert curves["loss_validation/loss"].value.tolist() == [2.0 * step for step in range(20)]


def test_a_subfolder_that_comes_grows_and_goes_is_followed(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    assert log.refresh() is False
    (tmp_path / "sub").mkdir()
    assert log.refresh() is False
    for step in (1, 2):
        with (tmp_path / "sub" / NAME).open("ab") as file:
            file.write(scalar(step, step))
        assert log.refresh() is True
        assert log.scalars()["sub/loss"].step.tolist() == list(range(1, step + 1))
        assert log.refresh() is False
    shutil.rmtree(tmp_path / "sub")
    assert log.refresh() is True
    assert log.scalars() == {}


def test_damage_in_a_subfolder_is_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / NAME).write_bytes(scalar(1, 1) + b"rubbish" * 4 + scalar(2, 2))
    log = read(tmp_path)
    assert log.damaged == [(tmp_path / "sub" / NAME, len(scalar(1, 1)))]
    assert log.scalars()["sub/loss"].step.tolist() == [1, 2]


def test_a_session_takes_back_only_what_is_in_its_own_folder(tmp_path: Path) -> None:
    """To TensorBoard each folder is a run of its own."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.tfevents.1").write_bytes(scalar(1, 1) + scalar(5, 5))
    (tmp_path / "sub" / "a.tfevents.1").write_bytes(scalar(1, 1) + scalar(5, 5))
    (tmp_path / "b.tfevents.2").write_bytes(framed(start(3, 900.0)))
    curves = read(tmp_path).scalars()
    assert curves["loss"].step.tolist() == [1]
    assert curves["sub/loss"].step.tolist() == [1, 5]


def test_other_subfolders_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "best.json").write_text("{}")
    (tmp_path / NAME).write_bytes(scalar(1, 1))
    assert sorted(read(tmp_path).scalars()) == ["loss"]


def test_the_index_knows_subfolders(tmp_path: Path) -> None:
    (tmp_path / "run" / "sub").mkdir(parents=True)
    path = tmp_path / "run" / "sub" / NAME
    path.write_bytes(b"".join(scalar(step, step) for step in range(1000)))
    for steps in (1000, 1001):
        for _ in range(2):
            log = read(tmp_path / "run", tmp_path / "index")
            assert log.scalars()["sub/loss"].step.tolist() == list(range(steps))
        with path.open("ab") as file:
            file.write(scalar(steps, steps))
