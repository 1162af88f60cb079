"""How many epochs are trained: patience that ends early, and a refit for as many as validation chose."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from recformer.checkpoint.load import read_info
from recformer.checkpoint.weights import read_archive, read_state
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.evaluation.cases import Known
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.run.model_ref import find_model
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.training import loop
from recformer.training.resume_state import TrainState
from tests.builders import dataset_in
from tests.training_helpers import (
    SMALL_SET,
    assert_clear_failure,
    assert_same_state,
    curves,
    run_cli,
    run_here,
    small_config,
    train_here,
)

SMALL_RUN = ["--preset", "baseline", "--set", "batch_size=64", "engine=native", *SMALL_SET, "--device", "cpu"]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def dataset(root: Root) -> Dataset:
    return dataset_in(root.data / "small")


def train_with(root: Root, dataset: Dataset, values: list[float], **changes: Any) -> None:
    """A run whose validations find NDCG@10 of these `values`, one after the other."""
    found = iter(values)

    def validated(*_: object) -> tuple[float, dict[str, float]]:
        figures = dict.fromkeys(("metric/hr@10", "metric/mrr@10", "duplication/window@10"), 0.0)
        return 1.0, {"metric/ndcg@10": next(found), **figures}

    with patch.object(loop, "validate", validated):
        train_here(root, "run", dataset, small_config(num_epochs=len(values), **changes))


@pytest.mark.parametrize(
    ("patience", "values", "epochs"),
    [
        (2, [0.1, 0.3, 0.2, 0.2, 0.4, 0.5], 4),
        (3, [0.1, 0.3, 0.2, 0.2, 0.4, 0.5], 6),
        (1, [0.1, 0.1, 0.2, 0.2, 0.4, 0.5], 2),
        (0, [0.5, 0.4, 0.3, 0.2, 0.1, 0.0], 6),
    ],
)
def test_patience_ends_after_so_many_epochs_without_a_better_one(
    root: Root, dataset: Dataset, patience: int, values: list[float], epochs: int
) -> None:
    train_with(root, dataset, values, patience=patience)
    assert curves(root.run("run"))["loss/train"][0] == list(range(1, epochs + 1))
    run = find_run(root, "run")
    assert run.state.name == "finished"
    early = epochs < len(values)
    assert run.state.words == (f"Finished after {epochs} of 6 epochs." if early else "Finished 6 epochs.")
    assert (f"It ended after {epochs} epochs" in (root.run("run") / "train.log").read_text()) == early


def test_a_refit_trains_on_validation_too_for_as_many_epochs_as_were_best(root: Root, dataset: Dataset) -> None:
    train_with(root, dataset, [0.1, 0.3, 0.2])
    result = run_cli(root.path, "train", "--refit", "run", "--run-id", "again", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    found = curves(root.run("again"))
    assert set(found) == {"loss/train", "lr", "throughput/samples_per_s"}  # nothing was validated
    assert found["loss/train"][0] == [1, 2]
    assert_same_state(
        read_state(root.model("again") / "best.safetensors"), read_archive(root.model("again") / "last.pt")["model"]
    )
    info = read_info(root.model("again") / "best.safetensors")
    assert (info.train_on, info.epoch, info.metrics) == (
        "train_and_validation",
        2,
        pytest.approx({"loss/train": found["loss/train"][1][1], "lr": 5e-4}),
    )
    model, split = find_model(root, "again"), split_of("leave_last_out")
    on_test, on_validation = (evaluate(root, model, Task(dataset, split, part)) for part in ("test", "validation"))
    assert on_test.known == Known(0, 0)
    cases = len(on_validation.ranks.places("history"))
    assert on_validation.known == Known(cases, cases)
    assert on_test.protocol == evaluate(root, find_model(root, "run"), Task(dataset, split, "test")).protocol


def test_what_begins_with_a_refit_has_seen_validation(root: Root, dataset: Dataset) -> None:
    train_here(root, "refit", dataset, small_config(train_on="train_and_validation"))
    train_here(root, "child", dataset, small_config(), init_from="refit")
    found = evaluate(root, find_model(root, "child"), Task(dataset, split_of("leave_last_out"))).known
    assert found.trained_on == len(prepare(dataset, split_of("leave_last_out")).split.validation)


def test_a_refit_trains_the_targets_of_training_and_of_validation(dataset: Dataset) -> None:
    usual, refit = (prepare(dataset, split_of("leave_last_out"), part) for part in ("train", "train_and_validation"))
    before, after = set(usual.split.train.ends.tolist()), set(refit.split.train.ends.tolist())
    assert after == before | set(usual.split.validation.ends.tolist())
    assert not after & set(refit.split.test.ends.tolist())
    assert refit.split.test.fingerprint == usual.split.test.fingerprint


def test_what_has_no_validation_cannot_be_refitted(root: Root, dataset: Dataset) -> None:
    train_here(root, "refit", dataset, small_config(train_on="train_and_validation"))
    result = run_here(root.path, "train", "--refit", "refit")
    assert_clear_failure(result, 2, "'refit' has no validation that chose its epochs")
    result = run_here(root.path, "train", "--refit", "refit", "--preset", "fast")
    assert_clear_failure(result, 2, "exclude each other")
    result = run_here(root.path, "train", *SMALL_RUN, "train_on=train_and_validation", "patience=3")
    assert_clear_failure(result, 2, "set patience = 0")


def test_a_running_mean_keeps_its_share_of_the_weights() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    state = TrainState(model, torch.optim.Adam(model.parameters()), torch.device("cpu"))
    expected = model.weight.item()
    for steps, value in enumerate([2.0, -1.0, 4.0] * 20, 1):
        with torch.no_grad():
            model.weight.fill_(value)
        state.average(0.8, steps)
        share = min(0.8, (1 + steps) / (10 + steps))
        expected = value if steps == 1 else share * expected + (1 - share) * value
    assert float(next(state.judged.parameters())) == pytest.approx(expected)
