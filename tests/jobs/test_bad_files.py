"""Files and names nobody should trust, given to every command that takes one; within this process, so that it is quick."""

import pickle
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from recformer.checkpoint.weights import read_state
from recformer.run.paths import Root
from tests.builders import dataset_in
from tests.training_helpers import assert_clear_failure, run_here, save_untrained, small_config, train_here

RunHere = Callable[..., subprocess.CompletedProcess[str]]
USER = 101


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with a dataset, a trained run `first` and an untrained one `second`; tests leave it as it is."""
    root = Root(tmp_path_factory.mktemp("root"))
    dataset = dataset_in(root.data / "small")
    train_here(root, "first", dataset, small_config())
    # Its record names this process, which lives on: nothing here may stop it.
    (root.run("first") / "job.json").unlink()
    save_untrained(root, "second", dataset)
    return root


@pytest.fixture
def data(root: Root) -> Path:
    return root.data / "small"


@pytest.fixture
def here(root: Root) -> RunHere:
    return partial(run_here, root.path)


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def commands_on(checkpoint: Path, data: Path) -> list[list[object]]:
    """Every command that opens a checkpoint file."""
    return [
        ["evaluate", checkpoint, "--data", data, "--json"],
        ["compare", "first", checkpoint, "--data", data],
        ["recommend", checkpoint, "--user", USER, "--data", data, "--json"],
        ["import", checkpoint, "--name", "new"],
        ["train", "--init-from", checkpoint, "--data", data],
        ["train", "--preset", "baseline", "--init-from", checkpoint, "--data", data],  # fails as a run of its own
    ]


class RunsCode:
    """A pickle of it makes a file where it is loaded without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("form", ["archive", "plain pickle"])
def test_a_pickle_that_would_run_code_runs_under_no_command(
    here: RunHere, data: Path, tmp_path: Path, form: str
) -> None:
    evil, mark = tmp_path / "evil.pth", tmp_path / "it-ran"
    if form == "archive":
        torch.save({"weights": RunsCode(mark)}, evil)
    else:
        evil.write_bytes(pickle.dumps(RunsCode(mark), protocol=2))
    for arguments in commands_on(evil, data):
        result = here(*arguments)
        assert not mark.exists(), arguments
        assert_clear_failure(result, 1, str(evil), "could run code")
    torch.load(evil, weights_only=False) if form == "archive" else pickle.loads(evil.read_bytes())  # noqa: S301
    assert mark.exists(), "the file would have run nothing in any case"


@pytest.mark.parametrize("name", ["best.safetensors", "last.pt"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_told_by_every_command(
    here: RunHere, root: Root, data: Path, tmp_path: Path, name: str, share: float
) -> None:
    content = (root.model("first") / name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(content[: int(len(content) * share)])
    for arguments in commands_on(cut, data):
        assert_clear_failure(here(*arguments), 1, str(cut))


def test_a_run_whose_checkpoint_is_cut_does_not_resume_and_keeps_its_files(
    here: RunHere, root: Root, tmp_path: Path
) -> None:
    last = root.model("first") / "last.pt"
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    try:
        best = (root.model("first") / "best.safetensors").read_bytes()
        result = here("train", "--resume", "first", "--set", "num_epochs=2", "--device", "cpu")
        assert_clear_failure(result, 1, str(last), "cut off or damaged")
        assert (root.model("first") / "best.safetensors").read_bytes() == best
        assert last.read_bytes() == whole[: len(whole) // 2]
    finally:
        last.write_bytes(whole)
        (root.run("first") / "job.json").unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["../evil", "..", "a/../../evil", "/tmp/evil", "a\0b", "first/../second"])
def test_a_name_that_leads_out_of_the_root_is_refused_everywhere(
    here: RunHere, root: Root, data: Path, tmp_path: Path, name: str
) -> None:
    torch.save(read_state(root.model("second") / "best.safetensors"), tmp_path / "good.pth")
    before = files_below(root.path)
    for arguments in (
        ["train", "--preset", "baseline", "--data", data, "--run-id", name],
        ["train", "--resume", name],
        ["import", tmp_path / "good.pth", "--name", name],
        ["runs", "show", name],
        ["runs", "stop", name],
    ):
        assert_clear_failure(here(*arguments), 2, "is not allowed", "a-z, 0-9")
    for arguments in (["evaluate", name], ["recommend", name, "--user", USER], ["compare", "first", name]):
        assert_clear_failure(here(*arguments), 2, "is neither a run with a checkpoint nor a file")
    assert files_below(root.path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs", "show", "frist"], ["there is no run 'frist'; did you mean 'first'"]),
        (["evaluate", "frist"], ["'frist' is neither a run", "runs of nearly that name: first"]),
        (["compare", "first", "--baseline", "secnd"], ["'secnd' is neither a run", "second"]),
        (["evaluate", "first/middle"], ["'first/middle'"]),
        (["train", "--resume", "frist"], ["there is no run 'frist'; did you mean 'first'"]),
        (["recommend", "first", "--user", "9" * 30], ["is not in small"]),
        (["recommend", "first", "--user", "-5"], ["user -5 is not in small"]),
        (["recommend", "first", "--user", USER, "--k", "101"], ["k = 101", "1 to 100"]),
        (["evaluate", "first", "--k", ""], ["whole numbers"]),
        (["evaluate", "first", "--k", "9" * 5000], ["--k"]),
    ],
)
def test_a_name_or_number_that_is_not_there_is_wrong_usage(
    here: RunHere, arguments: list[object], words: list[str]
) -> None:
    assert_clear_failure(here(*arguments), 2, *words)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"- a\n- list\n", b"a: [1, 2\n", b"model: 3\nname: {}\n"])
def test_a_configuration_file_that_is_no_configuration_is_named(
    here: RunHere, data: Path, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    assert_clear_failure(here("train", "--config", file, "--data", data), 2, str(file))


def test_resuming_to_no_more_epochs_than_there_are_is_refused_and_changes_nothing(here: RunHere, root: Root) -> None:
    before = (root.run("first") / "status.json").read_bytes()
    result = here("train", "--resume", "first", "--set", "num_epochs=1", "--device", "cpu")
    assert_clear_failure(result, 2, "num_epochs = 1", "has trained 1 epoch already", "num_epochs=2")
    assert (root.run("first") / "status.json").read_bytes() == before


def test_weights_that_do_not_fit_the_options_are_told_before_a_run_is_made(here: RunHere, root: Root) -> None:
    before = sorted(path.name for path in root.runs.iterdir())
    data = root.data / "small"
    result = here("train", "--init-from", "first", "--data", data, "--set", "model.width=64", "--device", "cpu")
    assert_clear_failure(result, 2, "model.width = 64 does not fit the weights (16)")
    assert sorted(path.name for path in root.runs.iterdir()) == before


def test_stopping_a_run_that_is_not_there_names_those_that_come_near(here: RunHere) -> None:
    assert_clear_failure(here("runs", "stop", "frist"), 2, "there is no run 'frist'", "first")
