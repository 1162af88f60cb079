"""The index spares a new process the reading of the logs, and is believed only as far as it is true."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.event_files import framed, version
from tests.log_files import assert_curves, check_index, log_of, read, rows_of, scalar, start, steps_of

OVERHEAD_BYTES = 65_536  # more than heads and tails of the logs that a reader may look at


def bytes_read_by(action: Callable[[], Any]) -> int:
    """How many bytes this process asked the system for meanwhile."""

    def count() -> int:
        return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])

    before = count()
    action()
    return count() - before


needs_linux = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts bytes by Linux' /proc")


@needs_linux
def test_a_new_log_reads_the_index_instead_of_the_logs(tmp_path: Path) -> None:
    path, index = log_of(tmp_path / "run", 40_000), tmp_path / "index"
    first = bytes_read_by(lambda: read(tmp_path / "run", index))
    again = bytes_read_by(lambda: read(tmp_path / "run", index).scalars())
    assert first >= path.stat().st_size
    assert again <= index.stat().st_size + OVERHEAD_BYTES < path.stat().st_size
    assert_curves(check_index(tmp_path / "run", index).scalars(), rows_of(steps_of(1, 40_000)))


@needs_linux
def test_a_log_that_grew_is_read_on_from_where_it_was(tmp_path: Path) -> None:
    path, index = log_of(tmp_path / "run", 40_000), tmp_path / "index"
    read(tmp_path / "run", index)
    for begin in (40_000, 40_100):
        with path.open("ab") as file:
            file.write(b"".join(map(framed, steps_of(begin, begin + 100))))
        size = index.stat().st_size
        assert bytes_read_by(lambda: read(tmp_path / "run", index)) <= size + OVERHEAD_BYTES
        assert_curves(check_index(tmp_path / "run", index).scalars(), rows_of(steps_of(1, begin + 100)))


def test_the_index_is_left_alone_when_nothing_is_new(tmp_path: Path) -> None:
    log_of(tmp_path / "run")
    index = tmp_path / "index"
    log = read(tmp_path / "run", index)
    before = (index.read_bytes(), index.stat().st_mtime_ns, index.stat().st_ino)
    assert log.refresh() is False
    read(tmp_path / "run", index)
    assert (index.read_bytes(), index.stat().st_mtime_ns, index.stat().st_ino) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "run"]


def test_the_index_may_lie_beside_the_logs(tmp_path: Path) -> None:
    log_of(tmp_path)
    read(tmp_path, tmp_path / ".logs.index")
    check_index(tmp_path, tmp_path / ".logs.index")


def test_sessions_damage_and_half_records_outlive_the_process(tmp_path: Path) -> None:
    path, index = log_of(tmp_path / "run", 200), tmp_path / "index"
    half = scalar(301, 1)
    bad = bytearray(scalar(300, 1))
    bad[20] ^= 1
    pieces = [bad, framed(start(150, 900.0)), scalar(151, 7), b"rubbish" * 9, scalar(152, 8), half[:20], half[20:]]
    read(tmp_path / "run", index)
    for piece in [*pieces, scalar(400, 1), framed(start(2, 950.0)), bytes(bad), b"\0" * 30]:
        with path.open("ab") as file:
            file.write(piece)
        log = check_index(tmp_path / "run", index)
        assert log.refresh() is False
    with (tmp_path / "run" / "later.tfevents.2").open("wb") as file:
        file.write(version(1000.0) + framed(start(1, 1000.0)) + scalar(5, 5))
    log = check_index(tmp_path / "run", index)
    assert log.scalars()["loss"].step.tolist() == [5]


def test_the_index_of_another_folder_is_not_believed(tmp_path: Path) -> None:
    log_of(tmp_path / "one")
    log_of(tmp_path / "two", times=2)
    read(tmp_path / "one", tmp_path / "index")
    check_index(tmp_path / "two", tmp_path / "index")
    shutil.copytree(tmp_path / "two", tmp_path / "three")
    check_index(tmp_path / "three", tmp_path / "index")
