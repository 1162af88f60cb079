"""What is computed is shown, even where the disk keeps nothing of it; what cannot be computed says of which model."""

from pathlib import Path

import pytest

from recformer.data.dataset import Dataset
from recformer.errors import EvaluationError
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.run.job_records import read_status
from recformer.run.paths import Root
from tests.builders import dataset_in
from tests.training_helpers import run_here, save_untrained, small_config, spoil, train_here


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_in(tmp_path / "small")


def refuse_ranks(root: Root, run_id: str) -> None:
    """Let nothing be written where a run's ranks are kept: a file stands in the folder's place."""
    root.run(run_id).mkdir(parents=True, exist_ok=True)
    (root.run(run_id) / "eval").write_text("")


def test_an_evaluation_that_cannot_be_stored_is_given_all_the_same(root: Root, dataset: Dataset) -> None:
    checkpoint, task = save_untrained(root, "run", dataset), Task(dataset, split_of("leave_last_out"))
    refuse_ranks(root, "run")
    found = evaluate(root, checkpoint, task)
    assert len(found.ranks) == 30
    assert "could not write" in found.not_kept
    (root.run("run") / "eval").unlink()
    assert evaluate(root, checkpoint, task).not_kept == ""


def test_the_command_line_shows_it_and_says_that_it_is_not_kept(root: Root, dataset: Dataset) -> None:
    save_untrained(root, "run", dataset)
    refuse_ranks(root, "run")
    result = run_here(root.path, "evaluate", "run", "--data", dataset.source)
    assert result.returncode == 0, result.stderr
    assert "ndcg@10" in result.stdout
    assert "warning: the figures of run are not kept: could not write" in result.stderr


def test_a_model_that_gives_no_numbers_is_named(root: Root, dataset: Dataset) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    spoil(root, "run")
    with pytest.raises(EvaluationError, match="^run/best gives scores that are not numbers.*Leave it out"):
        evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out")))


def test_a_finished_run_says_that_its_figures_are_not_kept(root: Root, dataset: Dataset) -> None:
    refuse_ranks(root, "run")
    assert train_here(root, "run", dataset, small_config()) == "finished"
    status = read_status(root.run("run"))
    assert status is not None and status.message is not None  # Monitor shows it
    assert status.message.startswith("Its figures on the validation part are not kept: could not write")
