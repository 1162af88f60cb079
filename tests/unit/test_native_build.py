"""Compiling: once, alone, within a time, ended whole, and said in one sentence where it fails."""

import multiprocessing
from pathlib import Path

import psutil
import pytest

from recformer.model.native import build
from recformer.model.native.build import BuildError, is_built, library
from tests.waiting import wait_until

SOURCE = "evaluation.cpp"
CONSTANTS = {"MAX_K": 20}
# A compiler that starts a child, as g++ does, and notes both.
COMPILER = """#!/bin/sh
case "$*" in *-dM*) echo target; exit;; esac
echo $$ >> {folder}/started
{body}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "recformer"


def compiler_that(body: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the compiler; where it notes the processes it starts."""
    script = folder / "stand-in"
    script.write_text(COMPILER.format(folder=folder, body=body.format(folder=folder)))
    script.chmod(0o700)
    monkeypatch.setenv("CXX", str(script))
    return folder / "started"


def test_a_library_is_built_once(cache: Path) -> None:
    assert not is_built(SOURCE, CONSTANTS)
    library(SOURCE, CONSTANTS)
    assert is_built(SOURCE, CONSTANTS)
    (built,) = cache.glob("*.so")
    made = built.stat().st_mtime_ns
    library(SOURCE, CONSTANTS)
    assert built.stat().st_mtime_ns == made
    assert cache.stat().st_mode & 0o077 == 0, "others could put a library there"


def test_processes_that_want_the_same_library_build_it_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each build notes itself; the library that it leaves is none, which ends the process with an error of its own.
    copied = 'for word; do :; done; sleep 0.5; cp /bin/true "$word"'
    started = compiler_that(copied, tmp_path, monkeypatch)
    processes = [multiprocessing.get_context("spawn").Process(target=_build_only) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(started.read_text().splitlines()) == 1


def _build_only() -> None:
    place = build._place(build._compiler(), SOURCE, CONSTANTS)  # pyright: ignore[reportPrivateUsage]
    build._build_alone(build._compiler(), build.FOLDER / SOURCE, CONSTANTS, place)  # pyright: ignore[reportPrivateUsage]


def test_a_compiler_that_takes_too_long_ends_with_all_its_children(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = compiler_that("sleep 600 & echo $! >> {folder}/started; wait", tmp_path, monkeypatch)
    monkeypatch.setattr(build, "BUILD_S", 2.0)
    with pytest.raises(BuildError, match=r"^stand-in was not finished after 2 s$"):
        library(SOURCE, CONSTANTS)
    pids = [int(line) for line in started.read_text().split()]
    assert len(pids) == 2, "the compiler and its child"
    wait_until(lambda: not any(map(_lives, pids)), "both to be gone")
    assert not [path.name for path in cache.iterdir() if path.suffix in (".so", ".unfinished")]


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_a_killed_build_left_is_removed_by_the_next(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "evaluation-0123.unfinished").write_bytes(b"")
    library(SOURCE, CONSTANTS)
    assert not list(cache.glob("*.unfinished"))


def test_who_waits_too_long_for_another_build_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True)
    monkeypatch.setattr(build, "WAIT_S", 0.1)
    with build.FileLock(cache / "build.lock"), pytest.raises(BuildError, match="another process has been building"):
        library(SOURCE, CONSTANTS)


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(build, "COMPILERS", ("no-such-compiler",))
    with pytest.raises(BuildError, match=r"no C\+\+ compiler found \(looked for no-such-compiler\)"):
        library(SOURCE, {})


def test_a_compiler_that_fails_says_one_sentence_and_keeps_its_words_for_who_wants_them(cache: Path) -> None:
    with pytest.raises(BuildError, match=r"^\S+ failed; what it printed is in \S+build\.log$"):
        library("movie_transformer.cpp", {"TOKENS": -1})
    assert "error" in (cache / "build.log").read_text()
    assert not [path.name for path in cache.iterdir() if path.suffix in (".so", ".unfinished")]
