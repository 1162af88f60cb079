"""Several seeds' curves as mean and band."""

import numpy as np

from recformer.logs.curves import spread_of
from recformer.logs.series import Curve


def curve(steps: list[int], values: list[float]) -> Curve:
    return Curve(np.array(steps), np.array(steps, dtype=float), np.array(values))


def test_two_curves_give_their_mean_and_what_lies_around_it() -> None:
    spread = spread_of([curve([1, 2], [1, 3]), curve([1, 2], [2, 5])])
    assert spread.mean.value.tolist() == [1.5, 4]
    assert (spread.low.tolist(), spread.high.tolist()) == ([1, 3], [2, 5])


def test_a_run_that_is_still_training_shortens_the_mean_to_what_all_have() -> None:
    spread = spread_of([curve([1, 2, 3], [1, 2, 3]), curve([2, 3, 4], [4, 5, 6]), curve([2, 3], [0, 1])])
    assert spread.mean.step.tolist() == [2, 3]
    assert spread.mean.value.tolist() == [2, 3]
    assert spread.mean.wall_time.tolist() == [2, 3]


def test_one_curve_is_its_own_mean() -> None:
    alone = curve([1, 5], [0.5, 0.25])
    spread = spread_of([alone])
    assert spread.mean.value.tolist() == spread.low.tolist() == spread.high.tolist() == alone.value.tolist()
