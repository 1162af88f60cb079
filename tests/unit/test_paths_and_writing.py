"""Names that may be joined to a path, checkpoints by name, and atomic writes."""

import errno
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.errors import StoreError, UsageError
from recformer.files.gate import BEST, read_object
from recformer.files.names import RUN_ID, checked_run_id, run_id_from
from recformer.files.writing import remove_leftovers, write_atomically, write_json, write_text
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root, can_resume, has_checkpoint, reserve_run_id

BAD_IDS = [
    "",
    ".",
    "..",
    "../x",
    "a/../b",
    "a/b",
    "/etc/passwd",
    "Run",
    "läuft",
    "a b",
    "-a",
    ".a",
    "_a",
    "a" * 81,
    "a\n",
    "a\x00",
    "a\\b",
    "~",
    "con:",
]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def add_files(root: Root, run_id: str, *names: str) -> None:
    root.model(run_id).mkdir(parents=True)
    for name in names:
        (root.model(run_id) / name).write_bytes(b"weights")


@pytest.mark.parametrize("run_id", BAD_IDS)
def test_a_name_that_may_not_be_joined_to_a_path_is_refused_everywhere(root: Root, run_id: str) -> None:
    for use in (checked_run_id, root.run, root.model):
        with pytest.raises(UsageError, match=re.escape(repr(run_id))):
            use(run_id)


@pytest.mark.parametrize("run_id", ["a", "0", "penalty-0.2", "a..b", "a" * 80, "x_1"])
def test_a_good_run_id_is_joined_below_its_folder(root: Root, run_id: str) -> None:
    assert checked_run_id(run_id) == run_id
    assert root.run(run_id).resolve().parent == root.runs.resolve()
    assert root.model(run_id).resolve().parent == root.models.resolve()


@pytest.mark.parametrize(
    ("name", "run_id"),
    [
        ("penalty λ=0.2", "penalty-0.2"),
        ("Baseline", "baseline"),
        ("../../etc", "etc"),
        ("???", "run"),
        ("", "run"),
        ("a" * 200, "a" * 60),
        ("  two  words ", "two-words"),
    ],
)
def test_a_run_id_made_of_a_name(name: str, run_id: str) -> None:
    assert run_id_from(name) == run_id


@given(st.text())
def test_any_name_gives_a_run_id_that_is_allowed(name: str) -> None:
    assert RUN_ID.fullmatch(run_id_from(name))


def test_reserving_one_name_again_and_again_gives_different_ids(root: Root) -> None:
    assert [reserve_run_id(root, "My run") for _ in range(3)] == ["my-run", "my-run-2", "my-run-3"]
    assert root.run("my-run-3").is_dir()


def test_a_run_that_has_only_checkpoints_keeps_its_id(root: Root) -> None:
    add_files(root, "run", "best.safetensors")
    assert reserve_run_id(root, "run") == "run-2"


def test_many_that_reserve_at_once_get_different_ids(root: Root) -> None:
    barrier, found = threading.Barrier(8), []

    def reserve() -> None:
        barrier.wait()
        found.append(reserve_run_id(root, "run"))

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="could not make"):
        reserve_run_id(Root(tmp_path), "run")


def test_a_run_names_its_best_checkpoint_and_its_last_where_there_is_no_best(root: Root) -> None:
    add_files(root, "both", "best.safetensors", "last.pt")
    add_files(root, "early", "last.pt")
    assert find_model(root, "both") == ModelRef("best", "both", root.model("both") / "best.safetensors")
    assert find_model(root, "both/best").name == "best"
    assert find_model(root, "both/last") == ModelRef("last", "both", root.model("both") / "last.pt")
    assert find_model(root, "early").name == "last"
    assert str(find_model(root, "both/last")) == "both/last"


def test_a_file_of_a_run_named_by_its_path_is_that_runs(root: Root) -> None:
    add_files(root, "run", "best.safetensors", "other.pth")
    found = find_model(root, str(root.model("run") / "best.safetensors"))
    assert (found.run_id, found.name) == ("run", "best")
    other = find_model(root, str(root.model("run") / "other.pth"))
    assert (other.run_id, other.name) == (None, "other.pth")


def test_a_file_anywhere_is_a_checkpoint_of_no_run(root: Root, tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"weights")
    found = find_model(root, str(tmp_path / "best.safetensors"))
    assert (found.run_id, found.name) == (None, "best.safetensors")


@pytest.mark.parametrize("name", ["run", "run/best", "run/last"])
def test_a_run_without_a_checkpoint_is_told(root: Root, name: str) -> None:
    root.model("run").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"'run' has no (saved|best|last) checkpoint yet"):
        find_model(root, name)


def test_a_misspelt_run_is_answered_with_what_comes_near(root: Root) -> None:
    for run_id in ("baseline", "penalty"):
        add_files(root, run_id, "best.safetensors")
    with pytest.raises(UsageError, match=r"'baselin' is neither a run.*runs of nearly that name: baseline$"):
        find_model(root, "baselin")
    with pytest.raises(UsageError, match=r"known runs: baseline, penalty$"):
        find_model(root, "zzz")


@pytest.mark.parametrize(
    "text", ["", ".", "..", "/", "../run", "run/third", "x" * 300, "x/" * 3000, "a\x00b", "/root/nothing"]
)
def test_what_is_neither_run_nor_file_is_a_usage_error(root: Root, text: str) -> None:
    add_files(root, "run", "best.safetensors")
    with pytest.raises(UsageError, match="neither a run with a checkpoint nor a file"):
        find_model(root, text)


def test_a_write_replaces_the_whole_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    for text in ("one, which is longer", "two"):
        write_text(path, text)
        assert path.read_text() == text
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.write_text", "pathlib.Path.replace", "tempfile.mkstemp"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    broken: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "file.txt"
    write_text(path, "old")
    monkeypatch.setattr(broken, fail)
    with pytest.raises(StoreError, match=os.strerror(number)):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_writer_that_breaks_down_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(old=st.binary(max_size=50), new=st.binary(max_size=50), place=st.integers(0, 50), keep=st.booleans())
def test_wherever_a_write_breaks_off_the_file_before_is_intact_and_nothing_else_is_left(
    old: bytes, new: bytes, place: int, keep: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "file"
        kept = Path(name) / "kept" if keep else None

        def write(temporary: Path) -> None:
            temporary.write_bytes(new[:place])
            if place < len(new):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        path.write_bytes(old)
        if place < len(new):
            with pytest.raises(StoreError, match="No space left"):
                write_atomically(path, write, kept)
            assert files_in(Path(name)) == {"file": old}
        else:
            write_atomically(path, write, kept)
            assert files_in(Path(name)) == {"file": new} | ({"kept": old} if keep else {})


def write_kept(folder: Path, content: str) -> None:
    """Write `folder`/file, keeping the one before as `folder`/kept."""

    def write(temporary: Path) -> None:
        temporary.write_text(content)

    write_atomically(folder / "file", write, folder / "kept")


def test_a_write_can_keep_the_file_before_it(tmp_path: Path) -> None:
    for content in ("one", "two", "three"):
        write_kept(tmp_path, content)
    assert files_in(tmp_path) == {"file": b"three", "kept": b"two"}


def test_a_kill_at_any_moment_of_a_write_leaves_a_whole_file_in_place_and_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in ("one", "two"):
        write_kept(tmp_path, content)
    seen: list[tuple[bytes, bytes]] = []

    def watched(real: Any) -> Any:
        def look_then_do(*arguments: Any, **options: Any) -> Any:
            files = files_in(tmp_path)
            seen.append((files["file"], files["kept"]))
            return real(*arguments, **options)

        return look_then_do

    for name in ("os.link", "os.fsync", "os.replace", "os.unlink", "os.close"):
        monkeypatch.setattr(name, watched(getattr(os, name.removeprefix("os."))))
    write_kept(tmp_path, "three")
    monkeypatch.undo()
    assert dict.fromkeys(seen) == dict.fromkeys([(b"two", b"one"), (b"two", b"two"), (b"three", b"two")])


def test_a_write_after_one_killed_between_its_renames_keeps_the_file_before_it(tmp_path: Path) -> None:
    write_kept(tmp_path, "one")
    os.link(tmp_path / "file", tmp_path / "kept")
    write_kept(tmp_path, "two")
    assert files_in(tmp_path) == {"file": b"two", "kept": b"one"}


def test_a_filesystem_without_hard_links_keeps_the_file_before_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.link", refuse)
    for content in ("one", "two", "three"):
        write_kept(tmp_path, content)
    assert files_in(tmp_path) == {"file": b"three", "kept": b"two"}


def test_a_write_flushes_the_file_and_then_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        flushed.append(os.path.realpath(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr("os.fsync", fsync)
    write_text(tmp_path / "file.txt", "text")
    assert Path(flushed[0]).name.startswith(".file.txt.")
    assert flushed[1:] == [str(tmp_path.resolve())]


def test_a_disk_that_turns_read_only_in_the_middle_of_a_write_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("os.fsync", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError, match="Read-only file system; what was there before is unchanged"):
        write_text(tmp_path / "file.txt", "text")


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("last.pt", "previous.pt", "notes.tmp", ".hidden", ".last.pt.ab12.tmp", ".previous.pt.link.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert set(files_in(tmp_path)) == {"last.pt", "previous.pt", "notes.tmp", ".hidden"}
    remove_leftovers(tmp_path / "none")


@pytest.mark.parametrize(
    ("names", "resumable", "trained"),
    [
        ([], False, False),
        ([".last.pt.ab12.tmp", "best.json"], False, False),
        (["best.safetensors"], False, True),
        (["last.pt"], True, True),
        (["previous.pt"], True, True),
    ],
)
def test_what_a_run_has_saved(root: Root, names: list[str], resumable: bool, trained: bool) -> None:
    add_files(root, "run", *names)
    assert (can_resume(root, "run"), has_checkpoint(root, "run")) == (resumable, trained)
    assert not has_checkpoint(root, "other")


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"value": "0" * 100_000})
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            value = read_object(path, BEST)
            assert value is not None
            seen.append(len(set(value["value"])))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        write_json(path, {"value": str(number % 10) * 100_000})
    done.set()
    reader.join()
    assert set(seen) == {1}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_without_a_meaning_is_not_written(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"a": value})
    assert not (tmp_path / "file.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"a": 1'])
def test_a_damaged_record_is_a_store_error_naming_it(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"file\.json is damaged"):
        read_object(tmp_path / "file.json", BEST)


def test_a_record_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_object(tmp_path / "none.json", BEST) is None


def test_the_root_is_what_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    assert Root.default().path == tmp_path.resolve()
    monkeypatch.setenv("RECFORMER_ROOT", "")
    assert (Root.default().path / "recformer" / "run" / "paths.py").is_file()
