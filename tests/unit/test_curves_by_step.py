"""Curves by step among those by epoch."""

import numpy as np

from recformer.logs.by_step import by_epoch, by_step, in_epochs
from recformer.logs.series import Curve


def curve(points: dict[int, float]) -> Curve:
    steps, values = np.array(list(points), np.int64), np.array(list(points.values()), np.float64)
    return Curve(steps, 1e9 + steps.astype(np.float64), values)


def points(found: Curve) -> dict[float, float]:
    return dict(zip(found.step.tolist(), found.value.tolist(), strict=True))


def test_the_curves_by_step_are_known_by_their_folder_and_tag() -> None:
    logged = {"lr": curve({1: 0.5}), "by_step/lr_step": curve({1: 0.1}), "theirs/lr_step": curve({1: 0.2})}
    assert list(by_epoch(logged)) == ["lr", "theirs/lr_step"]
    assert {tag: points(found) for tag, found in by_step(logged).items()} == {"lr": {1: 0.1}}


def test_validation_within_epochs_stands_between_that_at_their_ends() -> None:
    logged = {"loss/validation": curve({1: 5.0, 2: 4.0}), "by_step/loss/validation_step": curve({5: 6.0, 15: 4.5})}
    found, scattered = in_epochs(logged, 10)
    assert points(found["loss/validation"]) == {0.5: 6.0, 1: 5.0, 1.5: 4.5, 2: 4.0}
    assert scattered == {}


def test_of_a_step_and_an_epoch_that_end_together_the_step_holds() -> None:
    found, _ = in_epochs({"lr": curve({1: 5.0, 2: 4.0}), "by_step/lr_step": curve({10: 1.0, 15: 2.0})}, 10)
    assert points(found["lr"]) == {1: 1.0, 1.5: 2.0, 2: 4.0}


def test_epochs_of_a_run_that_did_not_log_steps_yet_stay_in_sight() -> None:
    found, _ = in_epochs({"lr": curve({1: 5.0, 2: 4.0, 3: 3.0}), "by_step/lr_step": curve({25: 3.5, 30: 3.0})}, 10)
    assert points(found["lr"]) == {1: 5.0, 2: 4.0, 2.5: 3.5, 3: 3.0}


def test_the_training_loss_by_step_is_the_curve_until_two_epochs_have_ended() -> None:
    steps = {"by_step/loss/train_step": curve({1: 9.0, 10: 5.0})}
    for logged in (steps, steps | {"loss/train": curve({1: 6.0})}):
        found, scattered = in_epochs(logged, 10)
        assert points(found["loss/train"]) == {0.1: 9.0, 1: 5.0}
        assert scattered == {}
    found, scattered = in_epochs(steps | {"loss/train": curve({1: 6.0, 2: 5.0})}, 10)
    assert points(found["loss/train"]) == {1: 6.0, 2: 5.0}
    assert points(scattered["loss/train"]) == {0.1: 9.0, 1: 5.0}
