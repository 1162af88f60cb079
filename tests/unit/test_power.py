"""The minimum detectable difference and equivalence: do simulations find what the definitions promise?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.statistics.bootstrap import bootstrap, bootstrap_levels
from recformer.statistics.paired import detectable, sign_flip_p, standard_error
from recformer.statistics.users import UserSums, user_sums

COMPARISONS = st.integers(1, 200)
ERRORS = st.floats(1e-6, 1e3)


def of_users(differences: np.ndarray) -> UserSums:
    """One case a user; one column a quantity."""
    return UserSums(np.ones((len(differences), 1)), differences)


def noise(num_users: int, simulations: int, seed: int) -> np.ndarray:
    """(U, S) differences of NDCG's kind: most are 0, the others of either sign; mean 0."""
    draw = np.random.default_rng(seed)
    shape = (num_users, simulations)
    return (draw.random(shape) < 0.3) * draw.choice([-1.0, 1.0], size=shape) * draw.choice([0.3, 0.5, 1.0], size=shape)


def test_the_examples_of_the_docstrings() -> None:
    assert standard_error(of_users(np.array([[0.1], [0.3]])))[0] == pytest.approx(0.1)
    assert detectable(0.1) == pytest.approx(0.280, abs=5e-4)


@pytest.mark.parametrize("comparisons", [1, 4])
def test_a_true_difference_of_the_detectable_size_is_found_80_times_of_100(comparisons: int) -> None:
    values = noise(400, 600, seed=comparisons)
    size = detectable(float(np.median(standard_error(of_users(values)))), comparisons)
    found = sign_flip_p(of_users(values + size)) < 0.05 / comparisons
    assert 0.75 <= float(found.mean()) <= 0.85
    half = sign_flip_p(of_users(values + size / 2)) < 0.05 / comparisons
    assert float(half.mean()) < 0.5


def test_the_error_is_that_of_means_over_users_with_different_numbers_of_cases() -> None:
    draw, simulations = np.random.default_rng(0), 500
    users = np.repeat(np.arange(150), draw.integers(1, 9, 150))
    values = draw.normal(size=(150, simulations))[users] + draw.normal(size=(len(users), simulations))
    sums = user_sums(values, users)
    assert float(np.mean(standard_error(sums))) == pytest.approx(float(sums.mean.std()), rel=0.1)
    naive = values.std(axis=0, ddof=1).mean() / len(users) ** 0.5
    assert naive < 0.7 * sums.mean.std()  # cases of one user are not independent


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=50), st.floats(-1, 1))
def test_the_error_is_sd_over_root_n_and_a_shift_does_not_change_it(values: list[float], shift: float) -> None:
    column = np.array(values)[:, None]
    expected = column.std(ddof=1) / len(column) ** 0.5
    assert standard_error(of_users(column))[0] == pytest.approx(expected, abs=1e-12)
    assert standard_error(of_users(column + shift))[0] == pytest.approx(expected, abs=1e-7)


def test_of_a_single_user_nothing_is_detectable() -> None:
    assert standard_error(of_users(np.ones((1, 2)))).tolist() == [np.inf, np.inf]


@given(ERRORS, COMPARISONS)
def test_more_comparisons_and_larger_errors_need_larger_differences(error: float, comparisons: int) -> None:
    assert detectable(error, comparisons) < detectable(error, comparisons + 1)
    assert detectable(2 * error, comparisons) == pytest.approx(2 * detectable(error, comparisons))
    assert detectable(error, comparisons) > 2.8 * error


def test_models_that_differ_by_the_margin_are_called_equivalent_once_in_twenty_at_most() -> None:
    margin = 0.05
    low, high = bootstrap_levels(of_users(noise(400, 600, seed=7) + margin), [90])[0]
    claimed = (low > -margin) & (high < margin)
    assert 0.02 <= float(claimed.mean()) <= 0.08
    low, high = bootstrap_levels(of_users(noise(400, 600, seed=7)), [90])[0]
    assert float(((low > -margin) & (high < margin)).mean()) > 0.6  # of equal models it usually is found


def test_levels_are_nested_and_the_95_percent_interval_is_the_one_that_is_shown() -> None:
    sums = of_users(noise(60, 20, seed=3))
    (low, high), (low_90, high_90) = bootstrap_levels(sums, [95, 90])
    assert [ends.tolist() for ends in bootstrap(sums)] == [low.tolist(), high.tolist()]
    assert (low <= low_90).all() and (low_90 <= sums.mean).all()
    assert (sums.mean <= high_90).all() and (high_90 <= high).all()
