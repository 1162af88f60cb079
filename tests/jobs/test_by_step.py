"""What is logged within epochs, and validation there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recformer.checkpoint.weights import read_archive
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.run.job_records import read_status
from recformer.run.overview import find_run
from recformer.run.paths import Root
from recformer.training import loop
from recformer.training.loop import DivergedError
from recformer.training.schedule import is_logged, learning_rate
from recformer.training.window_batches import training_cases
from recformer.ui.monitor.curves_view import best_epoch
from tests.builders import dataset_in
from tests.training_helpers import assert_same_state, curves, small_config, step_curves, train_here

EPOCHS = 3
CONFIG: dict[str, Any] = {"num_epochs": EPOCHS, "schedule": "one_cycle", "learning_rate": 0.01}
VALIDATED = {"loss/validation", "metric/ndcg@10", "metric/hr@10", "metric/mrr@10", "duplication/window@10"}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_in(tmp_path_factory.mktemp("data") / "small")


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Run `run`, validated at the end of its epochs, and run `within`, which is validated within them too."""
    root = Root(tmp_path_factory.mktemp("trained"))
    train_here(root, "run", dataset, small_config(**CONFIG))
    train_here(root, "within", dataset, small_config(**CONFIG, validate_every=0.25))
    return root


def steps_an_epoch(root: Root, run_id: str) -> int:
    status = read_status(root.run(run_id))
    assert status is not None
    return status.steps // EPOCHS


def test_training_is_logged_by_step_beside_the_curves_by_epoch(trained: Root) -> None:
    steps = steps_an_epoch(trained, "run")
    found = step_curves(trained.run("run"))
    assert set(found) == {"loss/train", "lr", "throughput/samples_per_s"}
    every = [epoch * steps + step for epoch in range(EPOCHS) for step in range(1, steps + 1)]
    assert all(is_logged(0, step, steps) for step in range(1, steps + 1)), "a short epoch has a point at each step"
    assert all(logged == every for logged, _ in found.values())
    assert min(found["throughput/samples_per_s"][1]) > 0


def test_the_losses_of_an_epochs_steps_have_the_epochs_mean(trained: Root, dataset: Dataset) -> None:
    steps, config = steps_an_epoch(trained, "run"), small_config(**CONFIG)
    cases = len(training_cases(config, prepare(dataset, config.split)))
    sizes = np.array([min(config.batch_size, cases - step * config.batch_size) for step in range(steps)])
    losses = np.array(step_curves(trained.run("run"))["loss/train"][1]).reshape(EPOCHS, steps)
    assert losses @ sizes / cases == pytest.approx(curves(trained.run("run"))["loss/train"][1], rel=1e-5)


def test_the_learning_rate_by_step_shows_the_peak_that_no_epochs_end_has(trained: Root) -> None:
    steps, config = steps_an_epoch(trained, "run"), small_config(**CONFIG)
    rates = step_curves(trained.run("run"))["lr"][1]
    expected = [learning_rate(config, epoch, step / steps) for epoch in range(EPOCHS) for step in range(steps)]
    assert rates == pytest.approx(expected)
    assert max(rates) > 1.2 * max(curves(trained.run("run"))["lr"][1])


def test_validation_within_epochs_is_logged_by_step_and_changes_nothing_of_the_training(trained: Root) -> None:
    steps = steps_an_epoch(trained, "within")
    found = step_curves(trained.run("within"))
    within = [epoch * steps + round(share * steps) for epoch in range(EPOCHS) for share in (0.25, 0.5, 0.75)]
    assert {tag: logged for tag, (logged, _) in found.items() if tag in VALIDATED} == dict.fromkeys(VALIDATED, within)
    timed = "throughput/samples_per_s"
    plain, validated = (curves(trained.run(run_id)) for run_id in ("run", "within"))
    assert {tag: plain[tag] for tag in plain if tag != timed} == {tag: validated[tag] for tag in plain if tag != timed}
    first, second = (read_archive(trained.model(run_id) / "last.pt") for run_id in ("run", "within"))
    assert_same_state(first["model"], second["model"])
    assert_same_state(first["random"], second["random"])


def test_the_best_checkpoint_may_come_from_within_an_epoch(
    root: Root, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([3.0, 1.0, 2.0, 4.0])

    def pretended(*arguments: Any) -> tuple[float, dict[str, float]] | None:
        validated = real(*arguments)
        return None if validated is None else (next(losses), validated[1])

    real = loop.validate
    monkeypatch.setattr(loop, "validate", pretended)
    config = small_config(num_epochs=2, validate_every=0.5, best_by="loss")
    assert train_here(root, "run", dataset, config) == "finished"
    record, status = find_run(root, "run").best, read_status(root.run("run"))
    assert record is not None and status is not None
    steps = status.steps // 2
    assert (record["epoch"], record["step"]) == (1, 0), "the second validation is that at the end of the first epoch"
    assert best_epoch(find_run(root, "run")) == 1
    losses = iter([3.0, 2.5, 1.0, 4.0])
    assert train_here(root, "other", dataset, config) == "finished"
    record, status = find_run(root, "other").best, read_status(root.run("other"))
    assert record is not None and status is not None
    assert (record["epoch"], record["step"]) == (1, round(steps / 2))
    assert best_epoch(find_run(root, "other")) == pytest.approx(1 + round(steps / 2) / steps)
    assert record["metrics"]["loss/validation"] == 1.0


def test_tensorboard_reads_both_logs_and_takes_back_what_was_not_saved(root: Root, dataset: Dataset) -> None:
    train_here(root, "run", dataset, small_config(num_epochs=1))
    train_here(root, "run", dataset, small_config(num_epochs=2), resume=True)
    steps = step_curves(root.run("run"))["loss/train"][0]
    by_step = EventAccumulator(str(root.run("run") / "by_step")).Reload()
    assert set(by_step.Tags()["scalars"]) == {"loss/train_step", "lr_step", "throughput/samples_per_s_step"}
    assert [point.step for point in by_step.Scalars("loss/train_step")] == steps == list(range(1, len(steps) + 1))
    by_epoch = EventAccumulator(str(root.run("run"))).Reload()
    assert [point.step for point in by_epoch.Scalars("loss/train")] == [1, 2]


def test_a_run_that_diverges_has_the_loss_that_was_no_number_in_its_log(
    root: Root, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recformer.training.loop.learning_rate", lambda *_: 1e20)  # no configuration may say so
    with pytest.raises(DivergedError):
        train_here(root, "run", dataset, small_config(num_epochs=3))
    assert not np.isfinite(step_curves(root.run("run"))["loss/train"][1]).all()
