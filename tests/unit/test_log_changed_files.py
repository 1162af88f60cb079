"""A log that is no longer the one that was read is read anew, by who knew it and by who has it from an index."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.event_files import framed, version
from tests.log_files import POINTS, check_index, log_of, read, scalar, steps_of


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 3)


def cut_and_grown_past_its_size(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size // 2)
    with path.open("ab") as file:
        file.write(b"".join(map(framed, steps_of(5000, 5000 + POINTS))))


def replaced_by_one_of_equal_size(path: Path) -> None:
    """In its first record equal as well."""
    log_of(path.parent.parent / "other", times=3).replace(path)


def overwritten_at_equal_size(path: Path) -> None:
    """In the same file, whose first record stays."""
    data = log_of(path.parent.parent / "other", times=3).read_bytes()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))


def replaced_by_a_longer_one(path: Path) -> None:
    log_of(path.parent.parent / "other", POINTS * 2, times=3).replace(path)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def deleted(path: Path) -> None:
    path.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_name("other.tfevents.5"))


CHANGES = [
    cut,
    cut_and_grown_past_its_size,
    replaced_by_one_of_equal_size,
    overwritten_at_equal_size,
    replaced_by_a_longer_one,
    emptied,
    deleted,
    renamed,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_log_that_is_another_now_is_read_anew(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path, index = log_of(tmp_path / "run"), tmp_path / "index"
    (tmp_path / "run" / "second.tfevents.2").write_bytes(version(9.0) + scalar(1, 1, "other"))
    read(tmp_path / "run", index)
    change(path)
    check_index(tmp_path / "run", index)
    check_index(tmp_path / "run", index)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_log_that_is_another_now_is_read_anew_by_who_knew_it(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """The same without an index."""
    path = log_of(tmp_path / "run")
    log = read(tmp_path / "run")
    change(path)
    assert log.refresh() is True or change is renamed
    expected = read(tmp_path / "run").scalars()
    assert sorted(log.scalars()) == sorted(expected)
    for tag, curve in log.scalars().items():
        np.testing.assert_array_equal(curve.value, expected[tag].value)
