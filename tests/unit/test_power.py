"""The minimum detectable difference and equivalence: do simulations find what the definitions promise?"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.config import parse_section
from recformer.data.assemble import read_dataset
from recformer.evaluation.evaluate import Task, evaluate
from recformer.evaluation.power import Power, power_of
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root
from recformer.statistics.bootstrap import bootstrap
from recformer.statistics.paired import detectable, sign_flip_p, standard_error
from recformer.statistics.users import UserSums, user_sums
from tests.builders import dataset_in, dataset_of
from tests.training_helpers import run_here, save_untrained

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
    low, high = bootstrap(of_users(noise(400, 600, seed=7) + margin), [90])[0]
    claimed = (low > -margin) & (high < margin)
    assert 0.02 <= float(claimed.mean()) <= 0.08
    low, high = bootstrap(of_users(noise(400, 600, seed=7)), [90])[0]
    assert float(((low > -margin) & (high < margin)).mean()) > 0.6  # of equal models it usually is found


def test_levels_are_nested_and_the_95_percent_interval_is_the_one_that_is_shown() -> None:
    sums = of_users(noise(60, 20, seed=3))
    (low, high), (low_90, high_90) = bootstrap(sums, [95, 90])
    assert [ends.tolist() for ends in bootstrap(sums, [95])[0]] == [low.tolist(), high.tolist()]
    assert (low <= low_90).all() and (low_90 <= sums.mean).all()
    assert (sums.mean <= high_90).all() and (high_90 <= high).all()


def of_ml_100k(comparisons: int = 45) -> Power:
    """As an audit measured it, by itself and after 45 comparisons."""
    return Power(users=943, spread=0.2477, value=0.1066, comparisons=comparisons)


def test_a_dataset_shows_what_its_users_and_comparisons_allow() -> None:
    power = of_ml_100k()
    assert (power.alone, power.corrected) == (pytest.approx(0.0226, abs=5e-5), pytest.approx(0.033, abs=5e-4))
    assert power.users_for(power.small) == pytest.approx(17_000, rel=0.01)
    assert "943 test users show differences in NDCG@10 from 0.0226 on, from 0.0331 on among 45 comparisons" in str(
        power
    )
    assert "0.0053, 5% of 0.107, would take 17,000 users" in str(power)


@given(st.integers(2, 10**6), st.floats(1e-3, 1), st.integers(1, 100))
def test_as_many_users_as_there_are_show_what_they_show(users: int, spread: float, comparisons: int) -> None:
    power = Power(users, spread, 0.1, comparisons)
    assert power.users_for(power.alone) == pytest.approx(users, abs=1)
    assert power.corrected >= power.alone
    assert power.users_for(power.alone / 2) == pytest.approx(4 * users, abs=4)


def test_the_spread_is_that_of_popularity_and_a_markov_chain_whatever_else_is_there(tmp_path: Path) -> None:
    root, dataset = Root(tmp_path / "root"), dataset_in(tmp_path / "small")
    task = Task(dataset, parse_section("split", "leave_last_out"))
    before = power_of(dataset)
    for seed, run_id in enumerate(("first", "second", "third")):
        evaluate(root, save_untrained(root, run_id, dataset, seed=seed), task)
    models = map(ModelRef, ("popularity", "markov"))
    ranks = {model.name: evaluate(root, model, task).ranks.rank_history for model in models}
    power = power_of(dataset)
    assert power == before, "seeds that lie there say nothing of two recommenders"
    assert power.as_dict()["measured_on"] == ["baseline:popularity", "baseline:markov"]
    one, other = (np.where(rank <= 10, 1 / np.log2(rank + 1), 0) for rank in ranks.values())
    assert power.spread == pytest.approx((one - other).std(ddof=1))
    assert power.value == pytest.approx(max(one.mean(), other.mean()))


def test_a_single_user_shows_nothing_and_that_is_said() -> None:
    power = power_of(dataset_of([[0, 1, 2, 3]], 4))
    assert (
        str(power)
        == "The models that were measured are equally good for each of 1 test user: what these can show is not known."
    )
    assert power.as_dict()["detectable"] is None and power.as_dict()["users_for_it"] is None


def test_ml_100k_shows_differences_of_a_fifth_of_what_models_have(tmp_path: Path) -> None:
    assert run_here(tmp_path, "data", "fetch", "ml-100k").returncode == 0
    power = power_of(read_dataset(tmp_path / "data" / "ml-100k"))
    assert power.users == 943 and 0.017 < power.alone < 0.026  # 0.0226 between unlike models, less between like ones
    assert 10_000 < power.users_for(power.small) < 30_000
