"""A list of values on the real command line: one run a value, all faults first, and how it is stopped."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from recformer.config import parse, preset
from recformer.run.job_records import read_status
from recformer.run.paths import Root, has_checkpoint, known_run
from recformer.sweep.grid import variants
from tests.builders import dataset_in, sequences, write_ml1m
from tests.training_helpers import (
    SMALL_SET,
    assert_clear_failure,
    run_cli,
    run_here,
    save_untrained,
    signal_at_step,
    started_cli,
)
from tests.waiting import DEADLINE_S, wait_until

SMALL = ["train", "--preset", "soft_penalty", "--device", "cpu", "--set", "batch_size=64", "num_epochs=1", *SMALL_SET]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_ml1m(tmp_path / "small", sequences())


def run_folders(root: Root) -> list[str]:
    return sorted(path.name for path in root.runs.glob("[a-z]*")) if root.runs.exists() else []


def penalty_and_name(root: Root, run_id: str) -> tuple[float, str]:
    text = (root.run(run_id) / "run.yaml").read_text(encoding="utf-8")
    penalty, name = re.search(r"penalty: (\S+)", text), re.search(r"^  name: (.+)$", text, re.MULTILINE)
    assert penalty
    assert name
    return float(penalty[1]), name[1]


def test_a_list_of_penalties_trains_one_run_a_value(root: Root, data: Path) -> None:
    result = run_cli(root.path, *SMALL, "loss.penalty=[0.1,2]", "--run-id", "sweep", "--data", data)
    assert result.returncode == 0, result.stderr
    assert run_folders(root) == ["sweep-0.1", "sweep-2"]
    assert penalty_and_name(root, "sweep-0.1") == (0.1, "soft penalty λ=0.1")
    assert penalty_and_name(root, "sweep-2") == (2.0, "soft penalty λ=2")
    assert all(known_run(root, run_id) and has_checkpoint(root, run_id) for run_id in run_folders(root))
    endings = [line for line in result.stdout.splitlines() if line.endswith(": finished")]
    assert endings == ["sweep-0.1: finished", "sweep-2: finished"]


def test_a_list_of_seeds_trains_one_run_a_seed_with_ids_made_of_their_names(root: Root, data: Path) -> None:
    result = run_cli(root.path, *SMALL, "--data", data, "--set", "seed=[3,4]", "name=try")
    assert result.returncode == 0, result.stderr
    assert run_folders(root) == ["try-seed-3", "try-seed-4"]


def test_two_lists_give_every_pair_in_order() -> None:
    mapping = preset("unlikelihood") | {"seed": [0, 1]}
    mapping["loss"] = mapping["loss"] | {"penalty": [0.5, "1e-3"]}
    found = variants(mapping, "preset")
    assert [variant.suffix for variant in found] == ["0.5-0", "0.5-1", "0.001-0", "0.001-1"]
    assert found[3].config.name == "unlikelihood λ=0.001 seed 1"
    assert (found[3].config.loss.model_dump()["penalty"], found[3].config.seed) == (0.001, 1)
    assert found[0].config == parse(found[0].config.model_dump())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["loss.penalty=[0.1,-1,much]"], ["loss.penalty = -1", "loss.penalty = 'much'", "2 faults", "at least 0"]),
        (["loss.penalty=[0.1,-1]", "seed=[yes,1]", "num_epoch=3"], ["penalty = -1", "seed = True", "num_epochs?"]),
        (["loss.penalty=[]"], ["loss.penalty = []", "at least one value"]),
        (["loss.penalty=[1,2,1.0]"], ["1 is given twice"]),
        (["loss.penalty=[[1,2],3]"], ["loss.penalty = [1, 2]"]),
        (["loss=cross_entropy", "loss.penalty=[1,2]"], ["loss.penalty: unknown key"]),
        (["num_epochs=[1,2]"], ["num_epochs = [1, 2]"]),
        (["model.dropout=[0.1,0.2]"], ["model.dropout = [0.1, 0.2]"]),
    ],
)
def test_all_that_is_wrong_is_told_before_the_first_run(
    changes: list[str], words: list[str], root: Root, data: Path
) -> None:
    result = run_here(root.path, *SMALL, *changes, "--run-id", "sweep", "--data", data)
    assert_clear_failure(result, 2, *words)
    assert run_folders(root) == []


def test_ids_that_are_taken_are_told_before_the_first_run(root: Root, data: Path, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path)
    for run_id in ("sweep-2", "sweep-3"):
        save_untrained(root, run_id, dataset)
    result = run_here(root.path, *SMALL, "loss.penalty=[1,2,3]", "--run-id", "sweep", "--data", data)
    assert_clear_failure(result, 2, "'sweep-2' exists already", "'sweep-3' exists already")
    assert run_folders(root) == []


def test_data_that_cannot_be_read_is_told_before_the_first_run(root: Root, tmp_path: Path) -> None:
    result = run_here(root.path, *SMALL, "loss.penalty=[1,2]", "--data", tmp_path / "nowhere")
    assert_clear_failure(result, 1, "nowhere")
    assert run_folders(root) == []


def test_a_run_that_fails_is_told_and_ends_the_sweep(root: Root, data: Path) -> None:
    root.runs.mkdir(parents=True)
    (root.runs / "sweep-2").touch()  # its folder cannot be made
    result = run_cli(root.path, *SMALL, "loss.penalty=[1,2,3]", "--run-id", "sweep", "--data", data)
    assert result.returncode == 1
    assert "sweep-1: finished" in result.stdout
    assert "error: the sweep ends with run 'sweep-2': could not write" in result.stderr
    assert "; not begun: sweep-3" in result.stderr
    assert "Traceback" not in result.stderr
    assert run_folders(root) == ["sweep-1", "sweep-2"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_saves_the_run_that_trains_and_begins_no_other(number: int, root: Root, data: Path) -> None:
    long = [*SMALL, "batch_size=4", "num_epochs=1000", "name=long", "loss.penalty=[1,2]", "--data", data]
    process: subprocess.Popen[str]
    with started_cli(root.path, *long) as process:
        said = signal_at_step(process, root.run("long-1"), 2, number)
    assert process.returncode == 0
    assert "long-1: stopped" in said
    assert "the sweep was stopped; not begun: long-2" in said
    status = read_status(root.run("long-1"))
    assert status is not None
    assert status.state == "stopped"
    assert (root.model("long-1") / "last.pt").is_file()
    assert run_folders(root) == ["long-1"]


def test_each_run_of_a_sweep_waits_for_the_device(root: Root, data: Path) -> None:
    long = ["batch_size=4", "num_epochs=1000", "--run-id", "first", "--data", data]
    sweep = ["loss.penalty=[1,2]", "--run-id", "sweep", "--data", data]
    with started_cli(root.path, *SMALL, *long) as first:
        wait_until(lambda: read_status(root.run("first")), "the first to train")
        with started_cli(root.path, *SMALL, *sweep) as process:
            assert process.stderr
            assert process.stderr.readline() == "sweep-1: waits for its turn, place 1; ahead: first\n"
            first.terminate()
            first.communicate(timeout=DEADLINE_S)
            said, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    assert [line for line in said.splitlines() if line.endswith("finished")] == [
        "sweep-1: finished",
        "sweep-2: finished",
    ]
