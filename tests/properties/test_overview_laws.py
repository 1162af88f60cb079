"""Laws of the list of runs: whatever happens to the files, what is remembered of them is what reading them anew gives."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from recformer.errors import RecformerError
from recformer.files import gate, stamps
from recformer.files.writing import write_text
from recformer.run import overview
from recformer.run import trash as run_bin
from recformer.run.job_records import JobRecord, Status, write_job, write_status
from recformer.run.overview import DamagedRun, RunSummary, active_runs, list_runs
from recformer.run.paths import Root
from recformer.run.process import birth
from tests.effort import examples

TICK_NS = 20_000_000
SETTLED_NS = 2 * TICK_NS
RUNS = ["a", "b"]
JOB = JobRecord(command=["python"], device="cpu", queued_at=100.0, started_at=100.0, pid=4_000_000, birth="gone")
STATUS = {"epoch": 1, "num_epochs": 9, "step": 1, "steps": 9, "device": "cpu", "time": 1.0, "progress_time": 1.0}
# Pairs of one size: a stamp without a time tells nothing of their change.
TEXTS = {
    "run.yaml": [
        "{config: {name: x1}, commit: a}",
        "{config: {name: x2}, commit: a}",
        "{config: {name: [}, commit: a}",
    ],
    "config.yaml": ["name: x1\n", "name: x2\n", "name: [\n"],
    "labels.json": ['{"note": "1"}', '{"note": "2"}', '{"note": 12 }'],
    "best.json": ['{"epoch": 1}', '{"epoch": 2}', '{"epoch": }'],
}
runs, files = st.sampled_from(RUNS), st.sampled_from(list(TEXTS))


@contextmanager
def coarse_clock() -> Iterator[None]:
    """A file system whose clock ticks rarely, so that several changes often come within one tick."""
    stamp_of, age = stamps.stamp_of, stamps.SETTLED_NS

    def coarse(found: os.stat_result) -> stamps.Stamp:
        content, state, size, inode = stamp_of(found)
        return content - content % TICK_NS, state - state % TICK_NS, size, inode

    stamps.stamp_of, stamps.SETTLED_NS = coarse, SETTLED_NS
    try:
        yield
    finally:
        stamps.stamp_of, stamps.SETTLED_NS = stamp_of, age


def wait_till_settled() -> None:
    end = time.time_ns() + SETTLED_NS + TICK_NS
    while time.time_ns() <= end:
        time.sleep(0.001)


def comparable(found: tuple[list[RunSummary], list[DamagedRun]]) -> Any:
    """All but the words of what is at work, which tell seconds."""
    return [replace(run, state=run.state.name) if run.state.active else run for run in found[0]], found[1]


class AnyChanges(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._clock = coarse_clock()
        self._clock.__enter__()
        self.folder = Path(tempfile.mkdtemp())
        self.root = Root(self.folder)
        self.renamed = True
        """Whether all changes since the last list show in the folders' stamps."""

    def teardown(self) -> None:
        self._clock.__exit__(None, None, None)
        overview._overview.cache_clear()
        shutil.rmtree(self.folder)

    def path(self, run_id: str, file: str) -> Path:
        folder = self.root.model(run_id) if file == "best.json" else self.root.run(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / file

    @rule(run_id=runs, file=files, which=st.integers(0, 2))
    def write_in_place(self, run_id: str, file: str, which: int) -> None:
        self.path(run_id, file).write_text(TEXTS[file][which])
        self.renamed = False  # the folder does not show it

    @rule(run_id=runs, file=files, which=st.integers(0, 2))
    def write_as_we_do(self, run_id: str, file: str, which: int) -> None:
        write_text(self.path(run_id, file), TEXTS[file][which])

    @rule(run_id=runs, file=files, which=st.integers(0, 2))
    def put_back_from_a_copy_with_its_times(self, run_id: str, file: str, which: int) -> None:
        copy = self.folder / "copy"
        copy.write_text(TEXTS[file][which])
        os.utime(copy, (1_000_000_000, 1_000_000_000))
        shutil.copy2(copy, self.path(run_id, file))
        self.renamed = False

    @rule(run_id=runs, alive=st.booleans())
    def launch(self, run_id: str, alive: bool) -> None:
        own = {"pid": os.getpid(), "birth": birth(os.getpid())} if alive else {}
        write_job(self.path(run_id, "job.json").parent, JOB.model_copy(update=own))

    @rule(run_id=runs, state=st.sampled_from(["running", "finished", "failed"]))
    def report(self, run_id: str, state: str) -> None:
        write_status(self.path(run_id, "status.json").parent, Status.model_validate({"state": state, **STATUS}))

    @rule(run_id=runs, file=st.sampled_from([*TEXTS, "job.json", "status.json", "last.pt", "x.tfevents.5"]))
    def remove(self, run_id: str, file: str) -> None:
        self.path(run_id, file).unlink(missing_ok=True)

    @rule(run_id=runs, name=st.sampled_from(["last.pt", "best.safetensors", "previous.pt"]))
    def save(self, run_id: str, name: str) -> None:
        write_text(self.path(run_id, "best.json").with_name(name), "weights")

    @rule(run_id=runs, second=st.integers(1, 9))
    def log(self, run_id: str, second: int) -> None:
        self.path(run_id, f"x.tfevents.{second}").write_text("points")

    @rule(run_id=runs, folder=st.sampled_from(["train", "train/host"]), second=st.integers(1, 9))
    def log_below(self, run_id: str, folder: str, second: int) -> None:
        path = self.path(run_id, folder) / f"x.tfevents.{second}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("points")

    @rule(run_id=runs)
    def discard(self, run_id: str) -> None:
        with suppress(RecformerError):
            run_bin.discard(self.root, run_id)

    @rule()
    def restore(self) -> None:
        with suppress(RecformerError):
            run_bin.restore(self.root, run_bin.discarded(self.root)[-1].entry if run_bin.discarded(self.root) else "")

    @rule()
    def exchange(self) -> None:
        with suppress(OSError):
            self.root.run("a").rename(self.root.runs / ".between")
            self.root.run("b").rename(self.root.run("a"))
            (self.root.runs / ".between").rename(self.root.run("b"))

    @rule()
    def wait(self) -> None:
        wait_till_settled()

    @invariant()  # in the order of their names
    def active_ones_are_known_without_a_look_at_the_others_files(self) -> None:
        if self.renamed:
            expected = [run.run_id for run in overview._Overview(self.root).all()[0] if run.state.active]
            assert [run.run_id for run in active_runs(self.root)] == expected

    @invariant()
    def what_is_remembered_is_what_is_there(self) -> None:
        assert comparable(list_runs(self.root)) == comparable(overview._Overview(self.root).all())
        self.renamed = True


TestAnyChanges = AnyChanges.TestCase
TestAnyChanges.settings = settings(max_examples=examples(40), stateful_step_count=25)


@pytest.fixture
def two_at_rest(tmp_path: Path) -> Iterator[Root]:
    root = Root(tmp_path)
    for run_id in RUNS:
        write_status(root.run(run_id), Status.model_validate({"state": "finished", **STATUS}))
        write_text(root.model(run_id) / "best.json", TEXTS["best.json"][0])
    with coarse_clock():
        wait_till_settled()
        yield root


def test_what_has_not_changed_is_not_opened_again(two_at_rest: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    open_file = gate.open_file
    monkeypatch.setattr(gate, "open_file", lambda path, kind: opened.append(path) or open_file(path, kind))
    before, _ = list_runs(two_at_rest)
    assert opened
    opened.clear()
    assert all(now is then for now, then in zip(list_runs(two_at_rest)[0], before, strict=True))
    assert active_runs(two_at_rest) == []
    assert opened == []
    write_text(two_at_rest.run("b") / "config.yaml", "name: another\n")
    named = {run.run_id: run.name for run in list_runs(two_at_rest)[0]}
    assert named == {"a": "a", "b": "another"}
    assert {path.parent.name for path in opened} == {"b"}


def test_a_copy_of_the_same_size_and_time_is_seen(two_at_rest: Root, tmp_path: Path) -> None:
    for note in ("1", "2"):
        (tmp_path / "copy").write_text(f'{{"note": "{note}"}}')
        os.utime(tmp_path / "copy", (1_000_000_000, 1_000_000_000))
        shutil.copy2(tmp_path / "copy", two_at_rest.run("a") / "labels.json")
        wait_till_settled()
        assert {run.run_id: run.labels.note for run in list_runs(two_at_rest)[0]} == {"a": note, "b": ""}


def test_a_run_at_work_is_looked_at_each_time_and_one_that_begins_is_seen_by_its_folder(two_at_rest: Root) -> None:
    list_runs(two_at_rest)
    folder = two_at_rest.run("a")
    write_job(folder, JOB.model_copy(update={"pid": os.getpid(), "birth": birth(os.getpid()), "launch": "second"}))
    assert [run.run_id for run in active_runs(two_at_rest)] == ["a"]
    (folder / "status.json").write_text(
        Status.model_validate({"state": "failed", "launch": "second", **STATUS}).model_dump_json()
    )
    assert active_runs(two_at_rest) == []


def test_a_stamp_is_believed_only_when_no_later_change_could_have_the_same() -> None:
    now = 1_000 * stamps.SETTLED_NS
    young, old, future = (now - age for age in (stamps.SETTLED_NS // 2, 2 * stamps.SETTLED_NS, -stamps.SETTLED_NS))
    assert stamps.settled([(old, old, 1, 1), None], now)
    assert not stamps.settled([(old, young, 1, 1)], now)
    assert not stamps.settled([(young, old, 1, 1)], now)
    assert not stamps.settled([(old, old, 1, 1), (future, future, 1, 1)], now)
