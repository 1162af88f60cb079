"""An index that is damaged, foreign or malicious, or cannot be written, changes nothing of what is read."""

import os
import pickle
import random
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.event_files import framed, scalar_records, version
from tests.effort import examples
from tests.log_files import POINTS, assert_curves, check_index, log_of, read, rows_of, scalar, start, steps_of


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A folder of logs, and what its index holds."""
    folder = tmp_path_factory.mktemp("indexed") / "run"
    steps = np.arange(1, 400)
    log_of(folder, 3000)  # a smaller log has no index
    more = scalar_records("é", steps, steps + 0.5, steps / 3)
    (folder / "b.tfevents.2").write_bytes(version(500.0) + framed(start(250, 500.0)) + b"rubbish" * 5 + b"".join(more))
    read(folder, folder.parent / "index")
    return folder, (folder.parent / "index").read_bytes()


def believe_nothing_wrong(folder: Path, index: bytes) -> None:
    with tempfile.TemporaryDirectory() as beside:
        (Path(beside) / "index").write_bytes(index)
        check_index(folder, Path(beside) / "index")
        check_index(folder, Path(beside) / "index")


@settings(max_examples=examples(300))
@given(st.data())
def test_flipped_bits_never_change_what_is_read(indexed: tuple[Path, bytes], data: st.DataObject) -> None:
    changed = bytearray(indexed[1])
    edge = st.integers(0, min(400, len(changed) - 1))  # where what describes the rest may lie
    places = edge | edge.map(lambda place: len(changed) - 1 - place) | st.integers(0, len(changed) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=3)):
        changed[place] ^= 1 << data.draw(st.integers(0, 7))
    believe_nothing_wrong(indexed[0], bytes(changed))


@pytest.mark.parametrize("size", [0, 1, 7, 64, 4096, 100_000])
def test_any_other_bytes_are_no_index(indexed: tuple[Path, bytes], size: int) -> None:
    folder, whole = indexed
    noise = random.Random(size).randbytes(size)
    for index in (
        noise,
        b"\0" * size,
        whole[:size],
        whole[size:],
        whole + noise,
        noise + whole,
        whole[: -1 - size % 50],
    ):
        believe_nothing_wrong(folder, index)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    log_of(tmp_path / "run", 50)
    index, sprung = tmp_path / "index", tmp_path / "sprung"
    trapped = np.array([Trap(sprung)], dtype=object)
    writers: list[Callable[[], object]] = [
        lambda: index.write_bytes(pickle.dumps(Trap(sprung))),
        lambda: np.save(index.open("wb"), trapped, allow_pickle=True),
        lambda: np.savez(index.open("wb"), files=trapped, header=trapped),
    ]
    for write in writers:
        write()
        check_index(tmp_path / "run", index)
        assert not sprung.exists()


@pytest.mark.parametrize("place", ["run/events.none/index", "none/index", "file/index", "folder"])
def test_where_no_index_can_be_written_the_log_is_read_all_the_same(tmp_path: Path, place: str) -> None:
    log_of(tmp_path / "run", 50)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    check_index(tmp_path / "run", tmp_path / place)
    assert (tmp_path / "folder").is_dir()
    assert not (tmp_path / "run/events.none").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_read(tmp_path: Path) -> None:
    log_of(tmp_path / "run", 50)
    (tmp_path / "run").chmod(0o555)
    check_index(tmp_path / "run", tmp_path / "run" / "index")
    (tmp_path / "run").chmod(0o755)


def test_a_full_disk_leaves_the_old_index_and_no_scraps(tmp_path: Path) -> None:
    path, index = log_of(tmp_path / "run"), tmp_path / "index"
    read(tmp_path / "run", index)
    with path.open("ab") as file:
        file.write(b"".join(map(framed, steps_of(POINTS, 2 * POINTS))))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # every longer write fails
    try:
        log = read(tmp_path / "run", index)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_curves(log.scalars(), rows_of(steps_of(1, 2 * POINTS)))
    assert {path.name for path in tmp_path.iterdir()} <= {"index", "run"}
    check_index(tmp_path / "run", index)


def test_a_deleted_folder_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    path = log_of(folder, 50)
    log = read(folder, folder / "index")
    with path.open("ab") as file:
        file.write(scalar(60, 60))
    shutil.rmtree(folder)
    assert log.refresh() is True
    assert log.scalars() == {}
    assert read(folder, folder / "index").scalars() == {}
    assert not folder.exists()
