"""Which files belong to a log: folders at any sane depth, links that lead elsewhere, and nothing twice."""

import os
import time
from pathlib import Path

import pytest

from recformer.logs import files
from recformer.logs.files import find_event_files, newest
from recformer.logs.reader import RunLog
from recformer.training.import_run import parts_of
from tests.log_files import NAME, read, scalar


def log_in(folder: Path, value: float = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(scalar(1, value))
    return folder


def test_a_log_lies_as_deep_as_it_likes_within_reason(tmp_path: Path) -> None:
    log_in(tmp_path / "a/b/c/d/e")
    deep = "/".join("x" * 20)
    log_in(tmp_path / deep)
    log = read(tmp_path)
    assert sorted(log.scalars()) == ["a/b/c/d/e/loss"]
    assert log.left_out == [f"its folder {deep[:25]} lies too deep: 12 folders within each other are read"]


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    elsewhere, run = log_in(tmp_path / "elsewhere"), tmp_path / "run"
    (run / "validation").mkdir(parents=True)
    (run / "train").symlink_to(elsewhere)
    (run / "validation" / "events.out.tfevents.7").symlink_to(log_in(tmp_path / "other") / NAME)
    log = read(run)
    assert sorted(log.scalars()) == ["train/loss", "validation/loss"]
    with (elsewhere / NAME).open("ab") as file:
        file.write(scalar(2, 2))
    assert log.refresh() is True
    assert log.scalars()["train/loss"].step.tolist() == [1, 2]
    (tmp_path / "link").symlink_to(run)
    assert sorted(read(tmp_path / "link").scalars()) == ["train/loss", "validation/loss"]


def test_no_link_leads_in_a_circle_or_brings_a_file_twice(tmp_path: Path) -> None:
    run = log_in(tmp_path / "runs/run/train").parent
    (run / "again").symlink_to(run / "train")
    (run / "self").symlink_to(run)
    (run / "up").symlink_to(tmp_path / "runs")
    (run / "loop").symlink_to(run / "loop")
    (run / "nowhere").symlink_to(tmp_path / "nothing")
    (run / "a.tfevents.0").symlink_to(run / "train" / NAME)
    os.link(run / "train" / NAME, run / "train" / "b.tfevents.0")
    log = read(run)
    assert sorted(log.scalars()) == ["train/loss"]
    assert log.scalars()["train/loss"].repeated == 0


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "zero.tfevents.1").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.tfevents.1")
    (tmp_path / "folder.tfevents.1").mkdir()
    (tmp_path / ".hidden").mkdir()
    log_in(tmp_path / ".hidden")
    (tmp_path / "nowhere.tfevents.1").symlink_to(tmp_path / "nothing")
    log = read(tmp_path)
    assert log.scalars() == {}
    assert sorted(log.left_out) == [
        "pipe.tfevents.1 is no regular file, so it is not read",
        "the link nowhere.tfevents.1 leads to no file",
        "zero.tfevents.1 is no regular file, so it is not read",
    ]


def test_a_whole_disk_behind_a_link_is_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FOLDERS", 5)
    for number in range(9):
        log_in(tmp_path / "disk" / str(number))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(tmp_path / "disk")
    found = find_event_files(tmp_path / "run")
    assert len(found.folders) == 3
    assert found.left_out == ["it has more than 5 folders; the others are not read"]


def test_a_folder_that_nobody_may_read_takes_no_other_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(tmp_path / "a")
    log_in(tmp_path / "b")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    log = read(tmp_path)
    assert sorted(log.scalars()) == ["b/loss"]
    assert log.left_out == ["its folder a could not be read: Permission denied"]


def test_a_log_that_grows_in_a_subfolder_is_seen_to_grow(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    log_in(tmp_path / "train")
    assert abs((newest(tmp_path) or 0) - time.time()) < 3600
    os.utime(tmp_path / "train" / NAME, (1e9, 1e9))
    assert newest(tmp_path) == 1e9


def test_names_of_folders_that_are_no_text_can_be_shown(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/part\xff"))
    log_in(folder)
    index = tmp_path.parent / f"{tmp_path.name}.index"
    for _ in range(2):
        log = RunLog(tmp_path, index)
        log.refresh()
        assert sorted(log.scalars()) == ["part�/loss"]


def test_a_folder_and_a_tag_of_one_name_are_two_curves(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(scalar(1, 1, "train/loss"))
    log_in(tmp_path / "train", 2)
    curves = read(tmp_path).scalars()
    assert {tag: curve.value.tolist() for tag, curve in curves.items()} == {"train/loss": [1], "train/loss (2)": [2]}


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        (["a/train/ev", "b/validation/ev"], ["train", "validation"]),
        (["a/ev1", "a/ev2"], ["", ""]),
        (["a/ev", "a/train/ev"], ["", "train"]),
        (["x/train/ev", "y/train/ev"], ["x/train", "y/train"]),
        (["a/.hidden/ev", "b/ev"], ["hidden", "b"]),
        (["a/ev", "a/../a/ev"], [""]),
        ([], []),
    ],
)
def test_event_files_from_several_folders_are_parts_called_as_these(events: list[str], parts: list[str]) -> None:
    assert list(parts_of([Path(file) for file in events]).values()) == parts
