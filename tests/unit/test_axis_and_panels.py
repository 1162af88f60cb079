"""Where points stand on each axis, which tags share a chart, and when a run is said to overfit."""

import time
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.logs.axis import Clock, clock_of, relative_unit
from recformer.logs.best import Overfitting, overfitting
from recformer.logs.panels import panels, part_of
from recformer.logs.series import Curve


def curve(values: list[float], first: int = 1) -> Curve:
    n = len(values)
    return Curve(np.arange(first, first + n), 1e9 + 60.0 * np.arange(n), np.array(values, dtype=np.float64))


def test_a_log_that_counts_epochs_is_placed_by_epoch_and_by_step() -> None:
    clock = Clock(began=0.0, steps_per_epoch=185)
    step, wall = np.array([1, 2]), np.array([60.0, 120.0])
    assert clock.places(step, wall, "epoch").tolist() == [1, 2]
    assert clock.places(step, wall, "step").tolist() == [185, 370]


def test_a_log_that_counts_steps_is_placed_by_the_epochs_it_tells_of() -> None:
    clock = Clock(0.0, epochs=Curve(np.array([0, 100]), np.array([0.0, 1.0]), np.array([0.0, 2.0])))
    step = np.array([0, 25, 100])
    assert clock.places(step, step.astype(float), "epoch").tolist() == [0, 0.5, 2]
    assert clock.places(step, step.astype(float), "step").tolist() == [0, 25, 100]


def test_a_log_that_tells_nothing_of_epochs_keeps_its_steps() -> None:
    clock = Clock(0.0)
    assert not clock.knows_epochs
    for axis in ("epoch", "step"):
        assert clock.places(np.array([7]), np.array([1.0]), axis).tolist() == [7]


def test_time_since_the_beginning_is_in_the_units_asked_for() -> None:
    wall = np.array([1000.0, 4600.0])
    assert Clock(1000.0).places(np.array([1, 2]), wall, "relative").tolist() == [0, 1]
    assert Clock(1000.0, unit_s=60).places(np.array([1, 2]), wall, "relative").tolist() == [0, 60]
    assert (relative_unit(1800), Clock(0.0, unit_s=60).unit_name) == (60, "minutes")
    assert (relative_unit(3 * 3600), Clock(0.0, unit_s=3600).unit_name) == (3600, "hours")


def test_dates_are_local_ones() -> None:
    now = float(round(time.time()))
    [place] = Clock(now).places(np.array([1]), np.array([now]), "wall")
    assert place.astype("datetime64[s]").item() == datetime.fromtimestamp(now)


def test_a_run_begins_with_the_first_point_of_any_tag() -> None:
    late, early = curve([1, 2]), Curve(np.array([5]), np.array([12.0]), np.array([0.0]))
    assert clock_of({"late": late, "early": early}, None).began == 12.0
    assert clock_of({"epoch": late}, None).epochs is late
    assert clock_of({"epoch": late}, 10.0).epochs is None


def test_the_projects_own_tags_come_first_in_their_order() -> None:
    tags = ["lr", "throughput/samples_per_s", "metric/mrr@10", "loss/validation", "loss/train", "metric/ndcg@10"]
    assert list(panels(tags).items()) == [
        ("Loss", ["loss/train", "loss/validation"]),
        ("Ranking on validation, history masked", ["metric/ndcg@10", "metric/mrr@10"]),
        ("Learning rate", ["lr"]),
        ("Windows per second", ["throughput/samples_per_s"]),
    ]


@pytest.mark.parametrize(
    ("tags", "title"),
    [
        (["train/acc", "val/acc"], "acc"),
        (["train_loss", "val_loss"], "loss"),
        (["epoch_loss/train", "epoch_loss/validation"], "epoch_loss"),
        (["Train/Loss", "Eval/Loss"], "Loss"),
    ],
)
def test_training_and_validation_of_one_thing_share_a_chart(tags: list[str], title: str) -> None:
    assert panels(tags) == {title: tags}
    assert [part_of(tag) for tag in tags] == ["train", "validation"]


@pytest.mark.parametrize("tag", ["trainable_parameters", "retrain", "value", "evaluations", "contest"])
def test_a_word_within_another_says_nothing(tag: str) -> None:
    assert part_of(tag) == ""


@given(st.sets(st.text("abtrainvl/_. é", max_size=12) | st.sampled_from(["loss/train", "lr", "train", "val", "test"])))
def test_each_tag_is_in_one_chart(tags: set[str]) -> None:
    shown = [tag for group in panels(tags).values() for tag in group]
    assert sorted(shown) == sorted(tags)


def test_validation_that_rises_while_training_falls_is_overfitting() -> None:
    found = overfitting(curve([5, 4, 3, 2, 1]), curve([5, 4, 4.2, 4.4, 4.5]))
    assert found == Overfitting(since=2, rise=pytest.approx(0.1))


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ([5, 4, 3, 2, 1], [5, 4, 3, 2, 1]),  # both fall
        ([5, 4, 5, 6, 7], [5, 4, 4.2, 4.4, 4.5]),  # both rise: something else is wrong
        ([5, 4, 3, 2, 1], [5, 4, 4.01, 4.02, 4.01]),  # noise
        ([5, 4, 3, 2, 1], [5, 4.5, 4.2, 4, 9]),  # one bad epoch
        ([5], [5]),
        ([], []),
        ([1, 2], [float("nan"), float("nan")]),
    ],
)
def test_what_is_no_overfitting(train: list[float], validation: list[float]) -> None:
    assert overfitting(curve(train), curve(validation)) is None
