"""A run's figures at its best epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.logs.best import best_values, loss_tag
from recformer.logs.bounds import LARGEST
from recformer.logs.series import Curve

NAN = float("nan")


def curve(*values: float, steps: list[int] | None = None) -> Curve:
    step = np.array(steps or range(1, len(values) + 1), dtype=np.int64)
    return Curve(step, step.astype(np.float64), np.array(values, dtype=np.float64))


def test_without_a_record_the_greatest_ndcg_says_which_epoch() -> None:
    curves = {"metric/ndcg@10": curve(0.1, 0.3, 0.2), "loss/validation": curve(5, 4, 3), "lr": curve(7, 8, 9)}
    assert best_values(curves, None) == {"metric/ndcg@10": 0.3, "loss/validation": 4, "lr": 8}


def test_without_ndcg_the_least_validation_loss_says_it() -> None:
    curves = {"loss/train": curve(5, 4, 3), "loss/validation": curve(5, 4, 6)}
    assert best_values(curves, {"metrics": {}, "epoch": 3}) == {"loss/train": 4, "loss/validation": 4}


def test_foreign_logs_are_judged_by_any_loss_a_validation_loss_first() -> None:
    assert best_values({"Loss": curve(3, 2, 4), "acc": curve(1, 2, 3)}, None) == {"Loss": 2, "acc": 2}
    assert loss_tag(["train_loss", "val_loss", "lr"]) == "val_loss"
    assert loss_tag(["val_loss", "loss/validation"]) == "loss/validation"
    assert loss_tag(["b loss", "A Loss"]) == "A Loss"
    assert loss_tag(["lr"]) is None


def test_the_record_of_the_best_checkpoint_holds() -> None:
    curves = {"metric/ndcg@10": curve(0.1, 0.3, 0.2), "throughput": curve(10, 20, 30)}
    record = {"epoch": 3, "metrics": {"metric/ndcg@10": 0.25, "loss/validation": 9.0}}
    assert best_values(curves, record) == {"metric/ndcg@10": 0.25, "loss/validation": 9.0, "throughput": 30}
    assert best_values({}, record) == record["metrics"]


@pytest.mark.parametrize(
    "record", [{}, {"metrics": None}, {"metrics": [1]}, {"metrics": {"x": None, "y": "z", "b": True}}]
)
def test_a_record_without_figures_is_as_none(record: dict[str, object]) -> None:
    assert best_values({"loss": curve(2, 1)}, record) == {"loss": 1}


@pytest.mark.parametrize("epoch", [None, "3", NAN, [3]])
def test_a_record_that_does_not_say_its_epoch_gives_what_it_has(epoch: object) -> None:
    assert best_values({"lr": curve(1, 2)}, {"metrics": {"loss": 3}, "epoch": epoch}) == {"loss": 3}
    assert best_values({}, {"metrics": {"loss": 10**400, "a": 1}}) == {"a": 1}


def test_what_is_no_number_is_never_best_and_never_shown() -> None:
    curves = {"metric/ndcg@10": curve(NAN, 0.1, NAN), "loss/validation": curve(1, NAN, 0)}
    assert best_values(curves, None) == {"metric/ndcg@10": 0.1}
    judged = {"metric/ndcg@10": curve(NAN, NAN), "loss": curve(NAN, 2, float("-inf")), "lr": curve(7, 8, 9)}
    assert best_values(judged, None)["lr"] == 8
    assert best_values({"metric/ndcg@10": curve(NAN), "loss": curve(NAN)}, None) == {}


def test_empty_curves_have_no_best() -> None:
    assert best_values({}, None) == {}
    assert best_values({"loss": curve(), "lr": curve()}, None) == {}


def test_a_tag_logged_at_other_steps_gives_the_last_value_up_to_the_best_epoch() -> None:
    curves = {
        "loss": curve(3, 1, 2, steps=[10, 20, 30]),
        "fine": curve(1, 2, 3, steps=[15, 19, 21]),
        "late": curve(1, steps=[25]),
    }
    assert best_values(curves, None) == {"loss": 1, "fine": 2}


@given(st.lists(st.floats(), min_size=1), st.lists(st.floats(), min_size=1))
def test_no_epoch_is_better_than_the_best(ndcg: list[float], loss: list[float]) -> None:
    finite = [value for value in ndcg if abs(value) <= LARGEST]
    curves = {"metric/ndcg@10": curve(*ndcg), "loss/validation": curve(*loss)}
    if finite:
        assert best_values(curves, None)["metric/ndcg@10"] == max(finite)
    finite = [value for value in loss if abs(value) <= LARGEST]
    if finite:
        assert best_values({"loss/validation": curve(*loss)}, None)["loss/validation"] == min(finite)
