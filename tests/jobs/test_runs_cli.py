"""The commands on runs: what they print and leave on disk, in real processes where those matter."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
from torch.utils.tensorboard import SummaryWriter

from recformer.files.names import PROJECT
from recformer.run.job_records import JobRecord, write_job
from recformer.run.labels import Labels, read_labels
from recformer.run.paths import Root
from recformer.run.process import birth
from recformer.run.trash import discarded
from tests.training_helpers import (
    assert_clear_failure,
    command,
    environment,
    json_of,
    run_cli,
    run_here,
    started_cli,
)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = Root(tmp_path / "root")
    for run_id in ("one", "other"):
        root.run(run_id).mkdir(parents=True)
        root.model(run_id).mkdir(parents=True)
        (root.run(run_id) / "config.yaml").write_text(f"name: Run {run_id}\n")
        (root.model(run_id) / "last.pt").write_bytes(b"weights")
    return root


def said(root: Root, *arguments: str) -> str:
    """What a command that did its work prints."""
    result = run_here(root.path, "runs", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def ids(root: Root, *arguments: str) -> list[str]:
    return sorted(run["run_id"] for run in json_of(run_here(root.path, "runs", "--json", *arguments)))


def test_what_people_say_of_a_run_is_kept_and_listed(root: Root) -> None:
    assert said(root, "rename", "one", "The good one") == "one: is called The good one\n"
    assert said(root, "tag", "one", "paper", "λ=0.2") == "one: #paper #λ=0.2\n"
    assert said(root, "note", "one", "two\nlines") == "one: note saved\n"
    assert read_labels(root.run("one")) == Labels(name="The good one", tags=["paper", "λ=0.2"], note="two\nlines")
    shown = json_of(run_here(root.path, "runs", "show", "one", "--json"))
    assert (shown["name"], shown["tags"], shown["note"], shown["archived"]) == (
        "The good one",
        ["paper", "λ=0.2"],
        "two\nlines",
        False,
    )
    line = next(line for line in said(root).splitlines() if line.startswith("one"))
    assert line.split("  ")[-2:] == ["“The good one”", "#paper #λ=0.2"]
    assert said(root, "tag", "one", "--remove", "paper", "λ=0.2") == "one: no tags\n"
    assert said(root, "note", "one", "") == "one: no note\n"


def test_archived_runs_are_listed_with_all_only(root: Root) -> None:
    assert said(root, "archive", "one") == "one: archived\n"
    assert (ids(root), ids(root, "--all")) == (["other"], ["one", "other"])
    assert "one" not in said(root)
    assert "archived" in said(root, "--all")
    said(root, "archive", "other")
    assert "all runs are archived; list them with: python -m recformer runs --all" in said(root)
    assert said(root, "unarchive", "one") == "one: back in the list\n"
    assert ids(root) == ["one"]


def test_a_run_goes_to_the_bin_and_back(root: Root) -> None:
    told = said(root, "delete", "one", "--yes")
    ((entry,), words) = ([one.entry for one in discarded(root)], told.split())
    assert words[-1] == entry
    assert "restore it with: python -m recformer runs restore" in told
    assert ids(root) == ["other"]
    (listed,) = json_of(run_here(root.path, "runs", "bin", "--json"))
    assert set(listed) == {"entry", "run_id", "name", "discarded_at", "bytes"}
    assert (listed["entry"], listed["name"]) == (entry, "Run one")
    assert entry in said(root, "bin")
    assert said(root, "restore", entry) == f"{entry}: restored as run one\n"
    assert ids(root) == ["one", "other"]
    assert said(root, "bin") == said(root, "empty-bin") == "the bin is empty\n"


def test_the_bin_is_emptied_for_good(root: Root) -> None:
    said(root, "delete", "one", "--yes")
    assert said(root, "empty-bin", "--yes").startswith("1 deleted run (0.0 MB) removed for good")
    assert json_of(run_here(root.path, "runs", "bin", "--json")) == []
    assert ids(root) == ["other"]


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_deleting_asks_first(root: Root, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    with open(ours, "w") as terminal:  # noqa: PTH123  a descriptor is no path
        terminal.write(f"{answer}\n")
        terminal.flush()
        result = subprocess.run(
            command("runs", "delete", "one"),
            env=environment(root.path),
            cwd=PROJECT,
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    os.close(theirs)
    assert result.returncode == code, result.stderr
    assert "Move run one with its checkpoints to the bin?" in result.stderr
    assert "Traceback" not in result.stderr
    assert ids(root) == (["other"] if code == 0 else ["one", "other"])


def test_where_nobody_can_be_asked_nothing_is_deleted(root: Root) -> None:
    assert_clear_failure(run_cli(root.path, "runs", "delete", "one"), 2, "add --yes")
    said(root, "delete", "one", "--yes")
    assert_clear_failure(run_cli(root.path, "runs", "empty-bin"), 2, "add --yes")
    assert len(discarded(root)) == 1


def test_a_run_that_works_is_not_deleted(root: Root) -> None:
    job = JobRecord(command=[], device="cpu", queued_at=1.0, pid=os.getpid(), birth=birth(os.getpid()))
    write_job(root.run("one"), job)
    result = run_here(root.path, "runs", "delete", "one", "--yes")
    assert_clear_failure(result, 1, "run 'one' is queued, so it cannot be deleted; stop it first")
    assert ids(root) == ["one", "other"]


WRONG: list[tuple[list[str], int, str]] = [
    (["rename", "one", ""], 2, "an empty name is not allowed"),
    (["rename", "on", "x"], 2, "there is no run 'on'; did you mean 'one'?"),
    (["rename", "one", "x" * 81], 2, "use 1 to 80"),
    (["tag", "one", "a\nb"], 2, "on one line"),
    (["tag", "nothing", "x"], 2, "there is no run 'nothing'"),
    (["note", "one", "x" * 10_001], 2, "at most 10,000"),
    (["archive", "../one"], 2, "there is no run '../one'"),
    (["unarchive", "nothing"], 2, "there is no run"),
    (["delete", "nothing", "--yes"], 2, "there is no run 'nothing'"),
    (["delete", "../one", "--yes"], 2, "run id '../one' is not allowed"),
    (["restore", "one"], 2, "'one' is no entry of the bin"),
    (["restore", "one~1"], 2, "there is no 'one~1' in the bin; it holds nothing"),
]


@pytest.mark.parametrize(("arguments", "code", "told"), WRONG, ids=[" ".join(words)[:30] for words, _, _ in WRONG])
def test_a_mistake_is_one_clear_message(root: Root, arguments: list[str], code: int, told: str) -> None:
    assert_clear_failure(run_here(root.path, "runs", *arguments), code, told)
    assert ids(root, "--all") == ["one", "other"]


def test_a_damaged_record_is_named_and_labels_can_still_be_changed_and_the_run_deleted(root: Root) -> None:
    (root.run("one") / "job.json").write_bytes(b"")
    result = run_here(root.path, "runs", "--json")
    assert [run["run_id"] for run in json_of(result)] == ["other"]
    assert result.stderr.startswith(f"one: {root.run('one') / 'job.json'} is damaged: it is empty. ")
    said(root, "rename", "one", "broken")
    said(root, "delete", "one", "--yes")
    assert [one.name for one in discarded(root)] == ["broken"]


@pytest.mark.parametrize("arguments", [["runs", "--json"], ["runs"], ["runs", "show", "one"], ["runs", "bin"]])
def test_a_reader_that_has_seen_enough_is_no_error(root: Root, arguments: list[str]) -> None:
    with started_cli(root.path, *arguments) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0


def test_the_first_line_of_a_long_list_can_be_taken(root: Root) -> None:
    (root.run("one") / "config.yaml").write_text(json.dumps({f"key {number}": number for number in range(10_000)}))
    line = " ".join(map(str, command("runs", "--json")))
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{line} | head -1"],
        env=environment(root.path),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "[\n", "")


def test_settings_that_are_not_allowed_are_told_all_at_once_with_what_is(tmp_path: Path) -> None:
    result = run_here(tmp_path, "runs", "settings", "jobs_per_device=0", "grace_s=-1", "foo=2")
    assert_clear_failure(result, 2, "jobs_per_device = '0'", "grace_s = '-1'", "foo", "from 1 to 16", "from 0 to 3600")


def add_run(root: Root, run_id: str, config: dict[str, Any], figures: dict[str, float], **labels: Any) -> None:
    for folder in (root.run(run_id), root.model(run_id)):
        folder.mkdir(parents=True)
    (root.run(run_id) / "config.yaml").write_text(json.dumps(config))
    (root.run(run_id) / "labels.json").write_text(json.dumps(labels))
    (root.model(run_id) / "best.json").write_text(json.dumps({"epoch": 1, "metrics": figures}))


def test_a_filter_lists_the_runs_that_it_asks_for(root: Root) -> None:
    add_run(root, "low", {"loss": {"penalty": 0.1}}, {"metric/ndcg@10": 0.04}, tags=["sweep"])
    add_run(root, "high", {"loss": {"penalty": 0.5}}, {"metric/ndcg@10": 0.06}, tags=["sweep"])
    add_run(root, "old", {"loss": {"penalty": 0.9}}, {"metric/ndcg@10": 0.08}, tags=["sweep"], archived=True)
    assert ids(root, "--filter", "tag:sweep") == ["high", "low"]
    assert ids(root, "--filter", "-tag:sweep") == ["one", "other"]
    assert ids(root, "--filter", "penalty>0.2", "--all") == ["high", "old"]
    assert ids(root, "--filter", "ndcg@10>0.05") == ["high"]
    assert ids(root, "--filter", "state:finished") == []
    assert said(root, "--filter", "high").startswith("high ")
    assert said(root, "--filter", "zzz") == "none of 5 runs is what --filter 'zzz' asks for\n"
    assert "all runs that it asks for are archived" in said(root, "--filter", "old")
    (run,) = json_of(run_here(root.path, "runs", "--json", "--filter", "high"))
    assert run["best"] == {"metric/ndcg@10": 0.06}


def test_a_filter_knows_the_figures_of_a_log_without_a_checkpoint(root: Root) -> None:
    with SummaryWriter(str(root.run("one"))) as writer:
        for step, loss in enumerate([3.0, 1.0, 2.0]):
            writer.add_scalar("their loss", loss, step)
            writer.add_scalar("accuracy", 0.1 * step, step)
    assert ids(root, "--filter", '"their loss"=1 accuracy<0.15') == ["one"]


def test_a_fault_in_a_filter_is_one_clear_message(root: Root) -> None:
    assert_clear_failure(run_here(root.path, "runs", "--filter", "nam=x"), 2, "search 'nam=x'", "did you mean name?")
    assert_clear_failure(run_here(root.path, "runs", "--filter", "state:runing", "--json"), 2, "did you mean running?")
    assert_clear_failure(run_here(root.path, "runs", "--filter", "x", "bin"), 2, "not for: runs bin")
