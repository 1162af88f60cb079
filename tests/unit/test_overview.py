"""The list of runs, as the disk tells it."""

import errno
import json
import os
import time
from pathlib import Path

import pytest

from recformer.errors import StoreError, UsageError
from recformer.run import job_records
from recformer.run.job_records import JobRecord, Status
from recformer.run.labels import archive, rename, tag
from recformer.run.overview import find_run, list_runs, shown_name
from recformer.run.paths import Root
from recformer.run.printed import BLOCK_BYTES, tail
from recformer.run.process import birth

CONFIG = "name: penalty λ=0.2\nnum_epochs: 10\nmodel: {name: movie_transformer, embedding_dim: 32}\n"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def add_run(root: Root, run_id: str, queued_at: float, state: str = "running", alive: bool = True) -> None:
    folder = root.run(run_id)
    folder.mkdir(parents=True)
    job = JobRecord(
        command=["python"],
        device="cpu",
        queued_at=queued_at,
        started_at=queued_at,
        pid=os.getpid() if alive else 4_000_000,
        birth=birth(os.getpid()) if alive else "long ago",
    )
    heartbeat = Status.model_validate(
        {
            "state": state,
            "epoch": 1,
            "num_epochs": 10,
            "step": 5,
            "steps": 50,
            "device": "cpu",
            "time": time.time(),
            "progress_time": time.time(),
        }
    )
    job_records.write_job(folder, job)
    job_records.write_status(folder, heartbeat)
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")


def test_without_folders_there_are_no_runs(root: Root) -> None:
    assert list_runs(root) == ([], [])


def test_runs_are_listed_newest_first_with_what_they_have(root: Root) -> None:
    add_run(root, "old", 100.0, state="finished", alive=False)
    add_run(root, "new", 200.0)
    (root.run("new") / "events.out.tfevents.150.host.1.0").touch()
    root.model("new").mkdir(parents=True)
    (root.model("new") / "best.safetensors").touch()
    (root.model("new") / "best.json").write_text('{"epoch": 3}')
    runs, damaged = list_runs(root)
    assert damaged == []
    assert [(run.run_id, run.state.name) for run in runs] == [("new", "running"), ("old", "finished")]
    new, old = runs
    assert new.name == "penalty λ=0.2"
    assert new.config["num_epochs"] == 10
    assert new.checkpoints == ["best"]
    assert new.best == {"epoch": 3}
    assert new.created == 200.0
    assert (old.checkpoints, old.best) == ([], None)


def test_a_process_that_is_gone_is_lost(root: Root) -> None:
    add_run(root, "gone", 100.0, alive=False)
    assert find_run(root, "gone").state.name == "lost"


def test_an_imported_run_needs_no_records(root: Root) -> None:
    root.model("article").mkdir(parents=True)
    (root.model("article") / "best.json").write_text('{"imported": true}')
    (root.model("article") / "last.pt").touch()
    root.run("article").mkdir(parents=True)
    (root.run("article") / "events.out.tfevents.1725245582.host.1.0").touch()
    run = find_run(root, "article")
    assert (run.state.name, run.imported) == ("imported", True)
    assert (run.name, run.config, run.checkpoints) == ("article", {}, ["last"])
    assert run.created == 1725245582.0


def test_a_label_names_a_run_before_its_configuration_does_and_archived_runs_are_listed(root: Root) -> None:
    add_run(root, "run", 100.0, alive=False)
    assert (find_run(root, "run").name, shown_name(root.run("run"), "run")) == ("penalty λ=0.2", "penalty λ=0.2")
    rename(root, "run", "the good one")
    tag(root, "run", ["paper", "λ"])
    archive(root, "run")
    ((run,), _) = list_runs(root)
    assert run.name == shown_name(root.run("run"), "run") == "the good one"
    assert (run.labels.tags, run.labels.archived) == (["paper", "λ"], True)


RECORDS = ["job.json", "status.json", "run.yaml", "config.yaml", "best.json", "labels.json"]
DAMAGES: dict[str, tuple[bytes | None, str]] = {
    "cut": (b'{"a": [1, ', "it is cut off or no "),
    "empty": (b"", "it is empty"),
    "zeros": (bytes(300), ""),  # what a power cut may leave
    "binary": (b"\x80\x03PK\xff\xfe\x00\x01", "it holds bytes that are no text"),
    "list": (b"[1, 2]", "it holds a list"),
    "text": (b'"words"', "it holds a"),
    "number": (b"12", "it holds a"),
    "deep": (b"[" * 3000 + b"]" * 3000, ""),
    "folder": (None, "it is a folder, not a file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", RECORDS)
def test_a_damaged_record_is_named_with_what_is_wrong_and_a_remedy_and_hides_no_other_run(
    root: Root, file: str, damage: str
) -> None:
    content, words = DAMAGES[damage]
    add_run(root, "good", 100.0)
    add_run(root, "bad", 200.0)
    path = (root.model("bad") if file == "best.json" else root.run("bad")) / file
    path.parent.mkdir(exist_ok=True, parents=True)
    path.unlink(missing_ok=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    runs, damaged = list_runs(root)
    assert [run.run_id for run in runs] == ["good"]
    assert [run.run_id for run in damaged] == ["bad"]
    reason = damaged[0].reason
    assert reason.startswith(f"{path} is damaged: {words}"[: len(str(path)) + 13])
    assert words in reason
    assert "remove" in reason.lower()
    assert not any(jargon in reason for jargon in ("<byte", "Errno", "Error", "NoneType", "codec", "Expecting"))
    assert len(reason.splitlines()) == 1
    with pytest.raises(StoreError, match="damaged"):
        find_run(root, "bad")


WRONG_VALUES = [
    ("job.json", '{"command": [], "device": "cpu", "queued_at": "never"}', "queued_at: "),
    ("job.json", '{"command": [], "device": "cpu"}', "queued_at: field required"),
    ("job.json", '{"command": [], "device": "cpu", "queued_at": 1, "pid": -5, "birth": "x"}', "pid"),
    ("status.json", '{"state": "dancing"}', "state: "),
    ("labels.json", '{"name": 3}', "name: "),
    ("labels.json", '{"name": " "}', "an empty name is not allowed"),
    ("labels.json", '{"tags": "a"}', "tags: "),
    ("labels.json", '{"tags": [1]}', "tags"),
    ("labels.json", '{"archived": "yes"}', "archived: "),
    ("config.yaml", "name: 2024-01-01", "no setting has"),
    ("config.yaml", "name: 2024-99-01", "no setting has"),
    ("config.yaml", "name: !!bool x", "no setting has"),
    ("config.yaml", "name: !!int ''", "no setting has"),
    ("run.yaml", "config: {}", "commit: field required"),
    ("run.yaml", "{config: {name: [1]}, commit: a}", "name"),
    ("run.yaml", "config: [", "it is cut off or no YAML (line "),
    ("config.yaml", "a: [", "it is cut off or no YAML (line "),
]


@pytest.mark.parametrize(
    ("file", "text", "words"), WRONG_VALUES, ids=[f"{file} {text}" for file, text, _ in WRONG_VALUES]
)
def test_a_record_with_a_wrong_value_says_which(root: Root, file: str, text: str, words: str) -> None:
    add_run(root, "bad", 200.0)
    (root.run("bad") / file).write_text(text)
    runs, damaged = list_runs(root)
    assert (runs, [run.run_id for run in damaged]) == ([], ["bad"])
    assert damaged[0].reason.startswith(f"{root.run('bad') / file} is damaged: ")
    assert words in damaged[0].reason


def test_a_folder_that_may_not_be_read_is_told_and_hides_no_other_run(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_run(root, "good", 100.0)
    add_run(root, "bad", 200.0)
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "bad":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    runs, damaged = list_runs(root)
    assert [run.run_id for run in runs] == ["good"]
    assert "cannot be read: Permission denied. Check its permissions" in damaged[0].reason


def test_who_changes_a_configuration_that_was_read_changes_no_later_one(root: Root) -> None:
    add_run(root, "run", 100.0)
    find_run(root, "run").config["model"]["name"] = "another"
    assert find_run(root, "run").config["model"]["name"] == "movie_transformer"


def test_what_is_not_a_run_is_left_out(root: Root) -> None:
    add_run(root, "a", 100.0)
    (root.runs / ".gitkeep").touch()
    (root.runs / "notes.txt").touch()
    (root.runs / ".hidden").mkdir()
    (root.runs / "With Spaces").mkdir()
    (root.runs / "to-itself").symlink_to("to-itself")
    (root.runs / ".bin" / "b~1").mkdir(parents=True)
    runs, left_out = list_runs(root)
    assert [run.run_id for run in runs] == ["a"]
    # The others are ours, or no folders; of this one somebody would wonder where it is.
    assert [run.run_id for run in left_out] == ["With Spaces"]
    assert left_out[0].reason.endswith("Rename it, to with-spaces perhaps")


def test_an_unknown_run_names_similar_ones(root: Root) -> None:
    with pytest.raises(UsageError, match="no runs yet"):
        find_run(root, "x")
    add_run(root, "penalty-0.2", 100.0)
    with pytest.raises(UsageError, match=r"did you mean 'penalty-0\.2'"):
        find_run(root, "penalty-02")
    with pytest.raises(UsageError, match=r"there are: penalty-0\.2"):
        find_run(root, "zzz")
    with pytest.raises(UsageError, match="there is no run"):
        find_run(root, "../../etc")


def test_two_hundred_runs_list_quickly_though_some_are_damaged(root: Root) -> None:
    for index in range(220):
        add_run(root, f"run-{index}", float(index))
        root.model(f"run-{index}").mkdir(parents=True)
        (root.model(f"run-{index}") / "best.json").write_text(json.dumps({"epoch": 1}))
        if index >= 200:
            (root.run(f"run-{index}") / RECORDS[index % 3]).write_bytes(b"\xff")
    best = min(_seconds_to_list(root) for _ in range(3))
    print(f"220 runs: {best * 1000:.0f} ms")
    assert best < 0.5  # about 0.06 s when nothing else runs; CI machines are busy


def _seconds_to_list(root: Root) -> float:
    start = time.perf_counter()
    runs, damaged = list_runs(root)
    assert (len(runs), len(damaged)) == (200, 20)
    return time.perf_counter() - start


def test_tail_of_a_missing_or_empty_file_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "no.log") == ""
    (tmp_path / "empty.log").touch()
    assert tail(tmp_path / "empty.log") == ""


@pytest.mark.parametrize("width", [1, 80, BLOCK_BYTES // 2 + 7])
@pytest.mark.parametrize("lines", [1, 2, 5, 100])
@pytest.mark.parametrize("ending", ["", "\n"])
def test_tail_is_the_last_lines(tmp_path: Path, width: int, lines: int, ending: str) -> None:
    rows = [f"{index}".rjust(width, "é") for index in range(9)]
    (tmp_path / "train.log").write_text("\n".join(rows) + ending, encoding="utf-8")
    assert tail(tmp_path / "train.log", lines) == "\n".join(rows[-lines:])


def test_tail_keeps_the_last_version_of_a_progress_line(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(b"start\r\n 10%\r 50%\r100%\r\nend 1\rend 2\r")
    assert tail(tmp_path / "train.log") == "start\n100%\nend 2"


def test_tail_tolerates_bytes_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_bytes(b"ok\n\xff\xfe\x80\n")
    assert tail(tmp_path / "train.log") == "ok\n\ufffd\ufffd\ufffd"


def test_tail_of_no_lines_is_empty(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("a\n")
    assert tail(tmp_path / "train.log", 0) == ""
