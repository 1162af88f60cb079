"""A leading ~ is the home folder wherever a path is given, whether or not a shell has seen it."""

import shutil
from pathlib import Path

import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from recformer.data.dataset import Dataset
from recformer.errors import UsageError
from recformer.files.names import PROJECT, expanded
from recformer.run.model_ref import find_model
from recformer.run.paths import Root
from tests.builders import dataset_in
from tests.training_helpers import (
    assert_clear_failure,
    json_of,
    run_cli,
    run_here,
    save_untrained,
    sizes_for,
    small_config,
    small_model,
    train_here,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a root in it, and the working folder elsewhere: no `~` may come to lie there."""
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    return home


@pytest.fixture
def data(home: Path) -> Dataset:
    return dataset_in(home / "small")


def assert_no_tilde(home: Path) -> None:
    assert list((home.parent / "here").iterdir()) == []


def test_the_root_on_the_command_line(home: Path, data: Dataset) -> None:
    save_untrained(Root(home / "root"), "run", data)
    found = json_of(run_here(Path("~/root"), "runs", "--json"))
    assert [run["run_id"] for run in found] == ["run"]
    assert_no_tilde(home)


def test_the_root_in_the_environment(home: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECFORMER_ROOT", "~/root")
    assert Root.default().path == home / "root"
    save_untrained(Root(home / "root"), "run", data)
    found = json_of(run_cli(Path("~/root"), "runs", "--json"))
    assert [run["run_id"] for run in found] == ["run"]
    assert not (PROJECT / "~").exists()


def test_data_of_a_question_and_of_a_training(home: Path, data: Dataset) -> None:
    root = Root(home / "root")
    save_untrained(root, "run", data)
    assert run_here(root.path, "evaluate", "run", "--data", "~/small", "--k", 3).returncode == 0
    assert json_of(run_here(root.path, "data", "info", "~/small", "--json"))["fingerprint"] == data.fingerprint
    assert_no_tilde(home)


def test_configuration_and_data_of_a_training(home: Path, data: Dataset) -> None:
    root = Root(home / "root")
    train_here(root, "first", data, small_config())
    shutil.copy(root.run("first") / "run.yaml", home / "mine.yaml")
    arguments = ["--config", "~/mine.yaml", "--data", "~/small", "--run-id", "second", "--device", "cpu"]
    result = run_here(root.path, "train", *arguments)
    assert result.returncode == 0, result.stderr
    assert_no_tilde(home)


def test_a_checkpoint_and_event_files(home: Path, data: Dataset) -> None:
    root = Root(home / "root")
    torch.save(small_model(sizes_for(data)).state_dict(), home / "model.pth")
    with SummaryWriter(home / "log") as writer:
        writer.add_scalar("loss/train", 1.0, 1)
    (file,) = (home / "log").iterdir()
    arguments = ["~/model.pth", "--name", "new", "--events", f"~/log/{file.name}", "--set", "model.num_heads=2"]
    result = run_here(root.path, "import", *arguments, "--data", "~/small")
    assert result.returncode == 0, result.stderr
    assert (root.run("new") / file.name).is_file()
    assert find_model(root, "~/model.pth").path == home / "model.pth"
    file_given = run_here(root.path, "evaluate", "~/model.pth", "--data", "~/small", "--k", 3)
    assert file_given.returncode == 0, file_given.stderr
    assert_no_tilde(home)


def test_the_home_of_nobody_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="no user of this machine is called so; write the whole path"):
        expanded("~nobody-is-called-so/root")
    result = run_here(Path("~nobody-is-called-so/root"), "runs")
    assert_clear_failure(result, 2, "~nobody-is-called-so/root", "write the whole path")
    assert_no_tilde(home)
