"""Bootstrap intervals over users."""

from dataclasses import dataclass

import numpy as np
import pytest

from recformer.statistics.bootstrap import bootstrap as bootstrap_sums
from recformer.statistics.users import user_sums


@dataclass(frozen=True)
class Interval:
    mean: float
    low: float
    high: float


def bootstrap(values: np.ndarray, users: np.ndarray) -> list[Interval]:
    sums = user_sums(values, users)
    ends = zip(sums.mean.tolist(), *(end.tolist() for end in bootstrap_sums(sums, [95])[0]), strict=True)
    return [Interval(*one) for one in ends]


def cases(num_users: int, per_user: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) values in [0, 1] and (N,) users."""
    draw = np.random.default_rng(seed)
    return draw.random((num_users * per_user, 2)), np.repeat(np.arange(num_users), per_user)


def test_the_mean_is_the_mean_over_cases() -> None:
    values, users = cases(40)
    assert [interval.mean for interval in bootstrap(values, users)] == pytest.approx(values.mean(axis=0).tolist())


def test_users_with_more_cases_weigh_more() -> None:
    (interval,) = bootstrap(np.array([[1.0], [0.0], [0.0], [0.0]]), np.array([5, 9, 9, 9]))
    assert interval.mean == 0.25


def test_the_interval_contains_the_mean_and_has_a_width() -> None:
    for interval in bootstrap(*cases(40)):
        assert interval.low < interval.mean < interval.high


def test_the_difference_of_equal_models_is_exactly_zero() -> None:
    values, users = cases(40)
    for interval in bootstrap(values - values.copy(), users):
        assert (interval.mean, interval.low, interval.high) == (0, 0, 0)


def test_a_constant_difference_has_no_width() -> None:
    (interval,) = bootstrap(np.full((30, 1), 0.25), np.repeat(np.arange(10), 3))
    assert (interval.low, interval.high) == pytest.approx((0.25, 0.25))


def test_more_users_make_the_interval_narrower() -> None:
    widths = [bootstrap(*cases(count))[0] for count in (20, 200, 2000)]
    sizes = [interval.high - interval.low for interval in widths]
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2]


def test_the_interval_is_that_of_the_normal_law_for_many_users() -> None:
    values, users = cases(2000, per_user=1)
    (interval, _) = bootstrap(values, users)
    half = 1.96 * values[:, 0].std() / 2000**0.5
    assert interval.high - interval.mean == pytest.approx(half, rel=0.1)
    assert interval.mean - interval.low == pytest.approx(half, rel=0.1)


def test_cases_of_one_user_are_drawn_together() -> None:
    draw = np.random.default_rng(0)
    by_user = draw.random(50)
    many = np.repeat(by_user, 20)[:, None]  # twenty cases a user that say the same twenty times
    (copied,) = bootstrap(many, np.repeat(np.arange(50), 20))
    (single,) = bootstrap(by_user[:, None], np.arange(50))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))


def test_the_same_values_give_the_same_interval_each_time() -> None:
    values, users = cases(40)
    assert bootstrap(values, users) == bootstrap(values, users)


def test_numbers_of_users_need_not_be_consecutive_nor_sorted() -> None:
    values, users = cases(40)
    order = np.random.default_rng(1).permutation(len(users))
    shuffled = bootstrap(values[order], users[order] * 17 + 3)
    for one, other in zip(bootstrap(values, users), shuffled, strict=True):
        assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high))


def test_a_single_user_has_no_interval_but_the_mean() -> None:
    (interval,) = bootstrap(np.array([[0.0], [1.0]]), np.array([4, 4]))
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.5, 0.5)
