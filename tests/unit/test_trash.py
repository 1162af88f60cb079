"""Deleting runs and restoring them: nothing is lost, whatever refuses or is cut off, and nothing alive is moved."""

import errno
import itertools
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from filelock import FileLock

from recformer.errors import JobError, RecformerError, StoreError, UsageError
from recformer.jobs.launch import claim
from recformer.run import trash
from recformer.run.job_records import JobRecord, Status, write_job, write_status
from recformer.run.labels import read_labels, rename
from recformer.run.locks import record_lock, train_lock
from recformer.run.overview import list_runs
from recformer.run.paths import Root
from recformer.run.process import birth
from recformer.run.trash import discard, discarded, empty, restore

JOB = JobRecord(command=["python"], device="cpu", queued_at=1.0)
HERE = JOB.model_copy(update={"pid": os.getpid(), "birth": birth(os.getpid()), "started_at": 1.0})


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = Root(tmp_path)
    add_run(root, "one")
    add_run(root, "other")
    return root


def add_run(root: Root, run_id: str) -> None:
    (root.run(run_id) / "eval").mkdir(parents=True)
    root.model(run_id).mkdir(parents=True)
    (root.run(run_id) / "config.yaml").write_text(f"name: Run {run_id}\n")
    (root.run(run_id) / "eval" / "best.parquet").write_bytes(b"ranks of " + run_id.encode())
    (root.model(run_id) / "last.pt").write_bytes(b"weights of " + run_id.encode())


def status(state: str) -> Status:
    numbers = {"epoch": 1, "num_epochs": 1, "step": 1, "steps": 1}
    return Status.model_validate({"state": state, "device": "cpu", "time": 1, "progress_time": 1} | numbers)


def files(folder: Path) -> dict[str, bytes]:
    """All files below, by their names, but for locks."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def listed(root: Root) -> list[str]:
    runs, damaged = list_runs(root)
    return sorted(run.run_id for run in [*runs, *damaged])


class Crash(BaseException):
    """The process ends here."""


@contextmanager
def failing_rename(number: int, error: BaseException) -> Generator[None]:
    """Renaming fails once, at the `number`-th time; after a crash there is no more of it."""
    real, calls = Path.rename, itertools.count(1)

    def rename(self: Path, target: Path) -> Path:
        call = next(calls)
        if call == number or (call > number and isinstance(error, Crash)):
            raise error
        return real(self, target)

    with patch.object(Path, "rename", rename):
        yield


def test_a_deleted_run_is_in_the_bin_and_in_no_list_and_comes_back_as_it_was(root: Root) -> None:
    rename(root, "one", "The good one")
    before = files(root.path)
    entry = discard(root, "one")
    assert listed(root) == ["other"]
    (found,) = discarded(root)
    assert (found.entry, found.run_id, found.name) == (entry, "one", "The good one")
    assert abs(found.discarded_at - time.time()) < 60
    assert found.bytes >= len(b"weights of one") + len(b"ranks of one")
    assert entry == f"one~{found.discarded_at:.0f}"
    assert restore(root, entry) == "one"
    assert files(root.path) == before
    assert (discarded(root), listed(root)) == ([], ["one", "other"])


def test_a_run_with_one_folder_alone_can_be_deleted_and_restored(root: Root) -> None:
    root.model("weights").mkdir()
    (root.model("weights") / "best.json").write_text("{}")
    root.run("records").mkdir()
    before = files(root.path)
    entries = [discard(root, "weights"), discard(root, "records")]
    assert listed(root) == ["one", "other"]
    assert [restore(root, entry) for entry in entries] == ["weights", "records"]
    assert files(root.path) == before


def add_logs(root: Root) -> None:
    (root.run("one") / "fold").mkdir()
    for name in ("events.out.tfevents.1.host.2.0", "x" * 240 + ".tfevents.1", "fold/events.out.tfevents.2"):
        (root.run("one") / name).write_bytes(name.encode())


def in_tensorboard(root: Root) -> set[str]:
    """Runs that TensorBoard would show: every folder at any depth with a file called so."""
    return {str(path.parent.relative_to(root.runs)) for path in root.runs.rglob("*tfevents*")}


def discarded_by_an_older_version(root: Root) -> str:
    """Run `one` in the bin, its logs called as ever."""
    with patch.object(trash, "_hide_logs"):
        return discard(root, "one")


def test_tensorboard_does_not_show_what_is_in_the_bin_and_shows_what_is_restored(root: Root) -> None:
    add_logs(root)
    before = files(root.path)
    assert in_tensorboard(root) == {"one", "one/fold"}
    entry = discard(root, "one")
    assert in_tensorboard(root) == set()
    assert sorted(files(root.path).values()) == sorted(before.values())
    restore(root, entry)
    assert files(root.path) == before


def test_an_entry_of_an_older_version_is_hidden_with_the_next_and_restored_as_it_was(root: Root) -> None:
    add_logs(root)
    before = files(root.path)
    entry = discarded_by_an_older_version(root)
    assert in_tensorboard(root) == {f".bin/{entry}", f".bin/{entry}/fold"}
    assert restore(root, entry) == "one"
    assert files(root.path) == before
    entry = discarded_by_an_older_version(root)
    other = discard(root, "other")
    assert in_tensorboard(root) == set()
    assert [restore(root, found) for found in (entry, other)] == ["one", "other"]
    assert files(root.path) == before


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("during", [discard, restore])
def test_a_crash_at_any_rename_loses_no_log_and_no_name(
    root: Root, during: Callable[[Root, str], str], number: int
) -> None:
    add_logs(root)
    runs, models = files(root.run("one")), files(root.model("one"))
    name = "one" if during is discard else discard(root, "one")
    with failing_rename(number, Crash()), pytest.raises(Crash):
        during(root, name)
    discard(root, "other")  # whatever comes next hides what was left to see
    assert not [run for run in in_tensorboard(root) if run.startswith(".bin")]
    run_id = "one"
    for cut in discarded(root):
        if cut.run_id == "one":
            run_id = restore(root, cut.entry)
    assert (files(root.run(run_id)), files(root.model(run_id))) == (runs, models)


@pytest.mark.parametrize("number", [1, 3])
def test_a_log_that_cannot_get_its_name_back_stays_in_the_bin_hidden(root: Root, number: int) -> None:
    add_logs(root)
    before = files(root.path)
    entry = discard(root, "one")
    inside = files(root.path)
    refusal = OSError(errno.EROFS, os.strerror(errno.EROFS))
    with failing_rename(number, refusal), pytest.raises(StoreError, match="nothing of it was lost"):
        restore(root, entry)
    assert files(root.path) == inside
    restore(root, entry)
    assert files(root.path) == before


def test_logs_that_cannot_be_hidden_are_deleted_all_the_same(root: Root) -> None:
    add_logs(root)
    before = files(root.path)
    with failing_rename(3, OSError(errno.EACCES, "Permission denied")):  # after the two folders
        entry = discard(root, "one")
    assert len(in_tensorboard(root)) == 1
    restore(root, entry)
    assert files(root.path) == before


def test_runs_of_the_same_id_lie_side_by_side_in_the_bin_the_newest_first(root: Root) -> None:
    entries = [discard(root, "one")]
    for _ in range(2):
        add_run(root, "one")
        entries.append(discard(root, "one"))
    assert [one.entry for one in discarded(root)] == entries[::-1]


def test_a_run_whose_id_is_taken_now_comes_back_under_a_free_one(root: Root) -> None:
    entry = discard(root, "one")
    add_run(root, "one")
    (root.run("one") / "new").touch()
    assert restore(root, entry) == "one-2"
    assert (root.run("one") / "new").exists()
    assert (root.model("one-2") / "last.pt").read_bytes() == b"weights of one"
    assert not (root.run("one-2") / "new").exists()
    assert listed(root) == ["one", "one-2", "other"]


@pytest.mark.parametrize("side", ["runs", "models"])
def test_an_id_is_taken_where_either_folder_is_there(root: Root, side: str) -> None:
    entry = discard(root, "one")
    (root.path / side / "one").mkdir()
    assert restore(root, entry) == "one-2"


@pytest.mark.parametrize("run_id", ["a-", "a__.", "x" * 80])
def test_any_id_can_be_deleted_and_restored(root: Root, run_id: str) -> None:
    add_run(root, run_id)
    entry = discard(root, run_id)
    assert restore(root, entry) == run_id


def test_emptying_removes_one_entry_or_all_and_nothing_else(root: Root) -> None:
    entry = discard(root, "one")
    add_run(root, "one")
    discard(root, "one")
    empty(root, entry)
    assert len(discarded(root)) == 1
    assert not (root.models / ".bin" / entry).exists()
    empty(root)
    assert (discarded(root), listed(root)) == ([], ["other"])
    empty(root)
    assert files(root.model("other")) == {"last.pt": b"weights of other"}


def test_emptying_removes_a_link_and_not_what_it_leads_to(root: Root, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    root.model("one").rename(elsewhere)
    root.model("one").symlink_to(elsewhere)
    discard(root, "one")
    empty(root)
    assert (elsewhere / "last.pt").read_bytes() == b"weights of one"
    assert discarded(root) == []


def test_what_a_removed_link_leads_to_has_its_logs_under_their_names(root: Root, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    add_logs(root)
    before = files(root.run("one"))
    root.run("one").rename(elsewhere)
    root.run("one").symlink_to(elsewhere)
    empty(root, discard(root, "one"))
    assert files(elsewhere) == before


def test_a_run_that_works_is_not_deleted(root: Root) -> None:
    for job, state, told in [
        (HERE, "running", "is running, so it cannot be deleted; stop it first"),
        (HERE.model_copy(update={"started_at": None}), None, "is queued"),
        (HERE, None, "is starting"),
        (HERE.model_copy(update={"stop_requested_at": 2.0}), "running", "is stopping"),
        (JOB.model_copy(update={"queued_at": time.time()}), None, "is queued"),
    ]:
        write_job(root.run("one"), job)
        (root.run("one") / "status.json").unlink(missing_ok=True)
        if state is not None:
            write_status(root.run("one"), status(state))
        before = files(root.path)
        with pytest.raises(JobError, match=told):
            discard(root, "one")
        assert files(root.path) == before


def test_a_run_that_works_is_not_deleted_though_its_status_is_damaged(root: Root) -> None:
    write_job(root.run("one"), HERE)
    (root.run("one") / "status.json").write_text("{")
    with pytest.raises(JobError, match="cannot be deleted"):
        discard(root, "one")


@pytest.mark.parametrize("job", [JOB, HERE], ids=["process gone", "process goes on, as a notebook's does"])
def test_a_run_that_has_ended_is_deleted(root: Root, job: JobRecord) -> None:
    write_job(root.run("one"), job)
    write_status(root.run("one"), status("finished"))
    discard(root, "one")
    assert listed(root) == ["other"]


def test_a_run_whose_keeper_still_writes_how_it_ended_is_not_deleted(root: Root) -> None:
    write_job(root.run("one"), JOB.model_copy(update={"supervisor_pid": HERE.pid, "supervisor_birth": HERE.birth}))
    write_status(root.run("one"), status("finished"))
    with pytest.raises(JobError, match="is just ending"):
        discard(root, "one")


def test_a_run_that_is_just_being_launched_is_not_deleted(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recformer.run.locks.RECORD_TIMEOUT_S", 0.05)
    with record_lock(root.run("one")), pytest.raises(JobError, match="is being started or changed by another process"):
        discard(root, "one")
    assert listed(root) == ["one", "other"]


def test_who_waits_to_launch_a_run_while_it_is_deleted_does_not_make_it_anew(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def wait_to_launch() -> None:
        try:
            with record_lock(root.run("one")):
                told.append("launched")
        except RecformerError as error:
            told.append(str(error))

    waiter = threading.Thread(target=wait_to_launch)

    def lock_later(folder: Path) -> FileLock:
        waiter.start()
        time.sleep(0.2)  # the waiter looks every 0.05 s
        return train_lock(folder)

    monkeypatch.setattr(trash, "train_lock", lock_later)
    discard(root, "one")
    waiter.join()
    assert len(told) == 1
    assert "launched" not in told
    assert not root.run("one").exists()


def test_a_run_with_a_damaged_record_is_deleted_where_nothing_trains_it(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recformer.run.locks.TRAIN_TIMEOUT_S", 0.05)
    (root.run("one") / "job.json").write_bytes(b"\xff")
    with train_lock(root.run("one")), pytest.raises(JobError, match="is being trained"):
        discard(root, "one")
    entry = discard(root, "one")
    assert [one.name for one in discarded(root)] == ["Run one"]
    assert restore(root, entry) == "one"


def test_a_claimed_run_is_not_deleted_and_a_deleted_one_is_claimed_as_a_new_one(root: Root) -> None:
    with claim(root, "one", ["train"], "cpu"), pytest.raises(JobError):
        discard(root, "one")
    write_status(root.run("one"), status("stopped"))
    (root.run("one") / "job.json").unlink()
    discard(root, "one")
    with claim(root, "one", ["train"], "cpu"):
        assert not (root.run("one") / "config.yaml").exists()


@pytest.mark.parametrize("run_id", ["on", "../one", "", ".bin", "One", "one~1"])
def test_what_is_no_run_cannot_be_deleted(root: Root, run_id: str) -> None:
    before = files(root.path)
    with pytest.raises(UsageError):
        discard(root, run_id)
    assert files(root.path) == before
    assert not (root.runs / "on").exists()


@pytest.mark.parametrize("use", [restore, empty])
@pytest.mark.parametrize(
    "entry",
    ["", "one", "one~", "one~x", "../one~1", "one~1/../../runs/other", "~1", ".~1", "one~1\n", "one~٣", "one~1"],
)
def test_what_is_no_entry_of_the_bin_is_refused(root: Root, use: Callable[[Root, str], object], entry: str) -> None:
    discard(root, "other")
    before = files(root.path)
    with pytest.raises(UsageError, match="bin"):
        use(root, entry)
    assert files(root.path) == before


def test_foreign_things_in_the_bin_are_no_entries(root: Root) -> None:
    (root.runs / ".bin").mkdir()
    (root.runs / ".bin" / "notes.txt").touch()
    assert discarded(root) == []
    empty(root)
    assert (root.runs / ".bin" / "notes.txt").exists()


def test_what_a_crash_between_the_two_folders_left_is_listed_and_can_be_put_together(root: Root) -> None:
    before = files(root.path)
    with failing_rename(2, Crash()), pytest.raises(Crash):
        discard(root, "one")
    (half,) = discarded(root)
    assert (half.run_id, half.name, half.bytes) == ("one", "one", len(b"weights of one"))
    assert listed(root) == ["one", "other"]
    assert restore(root, half.entry) == "one"
    assert files(root.path) == before


def test_a_restore_that_was_cut_off_can_be_gone_on_with(root: Root) -> None:
    before = files(root.path)
    entry = discard(root, "one")
    with failing_rename(2, Crash()), pytest.raises(Crash):
        restore(root, entry)
    assert [one.entry for one in discarded(root)] == [entry]
    assert restore(root, entry) == "one"
    assert files(root.path) == before


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_is_told_in_words_and_nothing_is_lost(root: Root, number: int, code: int) -> None:
    before = files(root.path)
    refusal = OSError(code, os.strerror(code))
    told = f"{os.strerror(code)}; nothing of it was lost"
    with failing_rename(number, refusal), pytest.raises(StoreError, match=told):
        discard(root, "one")
    assert files(root.path) == before
    entry = discard(root, "one")
    inside = files(root.path)
    with failing_rename(number, refusal), pytest.raises(StoreError, match=told):
        restore(root, entry)
    assert files(root.path) == inside
    assert listed(root) == ["other"]
    assert restore(root, entry) == "one"
    assert files(root.path) == before


def test_a_lock_that_cannot_be_written_is_told_in_words(root: Root) -> None:
    (root.run("one") / ".train.lock").mkdir()
    with pytest.raises(StoreError, match="Is a directory; nothing of it was lost"):
        discard(root, "one")
    assert listed(root) == ["one", "other"]


def test_what_cannot_be_removed_is_told_and_stays_in_the_bin(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = discard(root, "one")

    def refuse(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(trash.shutil, "rmtree", refuse)
    with pytest.raises(StoreError, match="Permission denied; what is left of it stays in the bin"):
        empty(root)
    assert [one.entry for one in discarded(root)] == [entry]


def test_a_label_is_not_written_into_a_run_that_is_deleted(root: Root) -> None:
    entry = discard(root, "one")
    with pytest.raises(UsageError, match="there is no run 'one'"):
        rename(root, "one", "late")
    assert not root.run("one").exists()
    assert read_labels(root.runs / ".bin" / entry).name is None


def test_a_file_where_the_bin_should_be_is_told(root: Root) -> None:
    (root.runs / ".bin").touch()
    with pytest.raises(RecformerError, match="nothing of it was lost"):
        discard(root, "one")
    assert (discarded(root), listed(root)) == ([], ["one", "other"])


def test_a_deleted_run_can_be_named_by_its_id_while_only_one_has_it(root: Root) -> None:
    for _ in range(2):
        root.run("mine").mkdir(parents=True)
        (root.run("mine") / "config.yaml").write_text("name: mine\n")
        discard(root, "mine")
        if len(discarded(root)) == 1:
            assert restore(root, "mine") == "mine"
            discard(root, "mine")
    with pytest.raises(UsageError):
        restore(root, "mine")  # which of the two?
