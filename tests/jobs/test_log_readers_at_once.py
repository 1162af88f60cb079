"""A process that writes, and many threads and processes that read, all at once: everyone sees a growing prefix."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.event_files import scalar_records, version
from recformer.logs.reader import RunLog
from tests.log_files import NAME

POINTS, PIECE_BYTES, THREADS, DEADLINE_S = 30_000, 9973, 10, 120.0
SPAWN = multiprocessing.get_context("spawn")


def write(folder: Path, index: Path | None) -> None:
    """The log in pieces that end anywhere; now and then they rest, so that readers come to look."""
    step = np.arange(1, POINTS + 1)
    data = version(1.0) + b"".join(scalar_records("loss", step, 100.0 + step, step * 2))
    with (folder / NAME).open("ab", buffering=0) as file:
        for begin in range(0, len(data), PIECE_BYTES):
            file.write(data[begin : begin + PIECE_BYTES])
            time.sleep(0.005)


def follow(look: Callable[[], RunLog]) -> None:
    """See the log grow until it is whole; each look may be at another RunLog."""
    seen, deadline = 0, time.monotonic() + DEADLINE_S
    while seen < POINTS:
        assert time.monotonic() < deadline, f"{seen} points were seen in {DEADLINE_S} s"
        log = look()
        log.refresh()
        curve = log.scalars().get("loss")
        assert log.damaged == []
        if curve is None:
            assert seen == 0
            continue
        assert len(curve) >= seen, "the log became shorter"
        seen = len(curve)
        np.testing.assert_array_equal(curve.step, np.arange(1, seen + 1))
        np.testing.assert_array_equal(curve.value, curve.step * 2)
        np.testing.assert_array_equal(curve.wall_time, curve.step + 100.0)


def follow_anew(folder: Path, index: Path) -> None:
    """With a new RunLog at each look, as processes that come and go."""
    follow(lambda: RunLog(folder, index))


def follow_on(folder: Path, index: Path) -> None:
    log = RunLog(folder, index)
    follow(lambda: log)


def spoil(index: Path, done: threading.Event) -> None:
    """Cuts off and overwrites the index in place, as a crash or another program might."""
    turn = 0
    while not done.is_set():
        turn += 1
        with suppress(FileNotFoundError), index.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if turn % 2:
                file.truncate(size * (turn % 7) // 7)
            else:
                file.seek(size * (turn % 5) // 5)
                file.write(b"\xa5" * 100)
        done.wait(0.02)


def run_at_once(processes: list[BaseProcess], threads: list[Callable[[], None]]) -> None:
    """All of them to their ends; the test fails where one of them did."""
    faults: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as fault:
            faults.append(fault)

    running = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in threads]
    for one in (*processes, *running):
        one.start()
    for one in (*running, *processes):
        one.join(DEADLINE_S + 30)
    for process in processes:
        process.kill()
    assert faults == []
    assert [process.exitcode for process in processes] == [0] * len(processes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def process(work: Callable[[Path, Path], None], folder: Path, index: Path | None = None) -> BaseProcess:
    return SPAWN.Process(target=work, args=(folder, index))


def test_many_threads_share_one_log_while_it_grows(folder: Path) -> None:
    log = RunLog(folder)
    run_at_once([process(write, folder)], [lambda: follow(lambda: log)] * THREADS)


def test_many_logs_share_one_index_while_the_log_grows(folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    readers = [lambda: follow_anew(folder, index), lambda: follow_on(folder, index)] * (THREADS // 2)
    run_at_once([process(write, folder)], readers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "run"]


def test_processes_share_one_index_while_the_log_grows(folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    readers = [process(follow_anew, folder, index), process(follow_on, folder, index)]
    run_at_once([process(write, folder), *readers], [lambda: follow_anew(folder, index)] * 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "run"]


def test_an_index_that_is_spoiled_all_the_while_is_never_believed(folder: Path, tmp_path: Path) -> None:
    index, done = tmp_path / "index", threading.Event()
    spoiler = threading.Thread(target=spoil, args=(index, done))
    spoiler.start()
    try:
        run_at_once([process(write, folder)], [lambda: follow_anew(folder, index)] * 2)
    finally:
        done.set()
        spoiler.join()


def test_a_reader_that_is_killed_leaves_an_index_that_is_right(folder: Path, tmp_path: Path) -> None:
    """Killed at many moments of its work, of which writing the index is a large part."""
    write(folder, None)
    index = tmp_path / "index"
    for turn in range(6):
        reader = process(read_on_and_on, folder, index)
        reader.start()
        reader.join(0.5 + turn * 0.13)
        reader.kill()
        reader.join()
        follow_anew(folder, index)


def read_on_and_on(folder: Path, index: Path) -> None:
    while True:
        index.unlink(missing_ok=True)
        RunLog(folder, index).refresh()
