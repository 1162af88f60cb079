"""What chance gives: families corrected together, recipes with several seeds, means of few hits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from recformer.statistics.max_t import floor, max_t
from recformer.statistics.paired import holm, sign_flip_p
from recformer.statistics.recipes import recipe_difference
from recformer.statistics.score_interval import score_interval
from recformer.statistics.users import UserSums


def sums_of(values: NDArray[np.float64]) -> UserSums:
    return UserSums(np.ones((len(values), 1)), values)


def drawn(users: int, means: list[float], shared: float, seed: int = 0) -> UserSums:
    """Differences of some models, whose users' luck is shared to some degree."""
    draw = np.random.default_rng(seed)
    common = draw.normal(size=(users, 1))
    own = draw.normal(size=(users, len(means)))
    return sums_of(np.array(means) + shared * common + (1 - shared**2) ** 0.5 * own)


def test_a_family_of_one_has_the_p_of_its_sign_flips() -> None:
    one = drawn(200, [0.15], 0)
    assert max_t(one) == pytest.approx(sign_flip_p(one))


def test_differences_that_hang_together_cost_less_than_holm_takes() -> None:
    family = drawn(300, [0.0, 0.05, 0.1, 0.13, 0.14, 0.15], 0.95)
    together, apart = max_t(family), holm(sign_flip_p(family))
    assert (together <= apart + 1e-3).all()
    assert together[3] < 0.7 * apart[3]


def test_copies_of_one_difference_cost_nothing() -> None:
    one = drawn(150, [0.12], 0)
    copies = sums_of(np.repeat(one.sums, 20, axis=1))
    assert max_t(copies) == pytest.approx(np.repeat(sign_flip_p(one), 20), abs=2e-4)


def test_the_order_of_a_family_says_nothing() -> None:
    family = drawn(120, [0.3, 0.0, 0.2, 0.1], 0.3)
    order = np.array([2, 0, 3, 1])
    assert max_t(sums_of(family.sums[:, order])) == pytest.approx(max_t(family)[order])


def test_a_family_gives_a_false_alarm_in_one_of_twenty() -> None:
    alarms = [max_t(drawn(60, [0.0] * 5, 0.7, seed)).min() < 0.05 for seed in range(200)]
    assert 0.01 < np.mean(alarms) < 0.09


def test_no_difference_at_all_is_p_1_and_no_p_is_below_the_floor() -> None:
    family = sums_of(np.stack([np.zeros(500), np.full(500, 0.1)], axis=1))
    assert max_t(family).tolist() == [1.0, floor(500)]


def test_one_recipe_against_itself_with_other_seeds_differs_in_one_of_twenty() -> None:
    def alarm(draw: np.random.Generator, by_recipe: bool) -> bool:
        users, seeds = 400, 4
        luck = draw.normal(0, 0.05, size=(2, seeds, 1))  # of a seed, for all users alike
        noise = draw.normal(0, 0.5, size=(2, seeds, users))
        values = luck + noise
        means = sums_of((values[0].mean(axis=0) - values[1].mean(axis=0))[:, None])
        if not by_recipe:
            return bool(sign_flip_p(means)[0] < 0.05)
        recipes = [[sums_of(seed[:, None]) for seed in recipe] for recipe in values]
        return bool(recipe_difference(means, recipes).p < 0.05)

    naive = np.mean([alarm(np.random.default_rng(seed), False) for seed in range(150)])
    honest = np.mean([alarm(np.random.default_rng(seed), True) for seed in range(1500)])
    assert naive > 0.2, "testing users alone would do: this test says nothing"
    assert 0.03 < honest < 0.08


def alike(means: NDArray[np.float64], users: int) -> list[UserSums]:
    """Seeds with these means (S, M), each the same for all users."""
    return [sums_of(np.tile(row, (users, 1))) for row in means]


def test_users_who_like_one_seed_and_not_another_are_counted_once() -> None:
    draw = np.random.default_rng(3)
    seeds = draw.normal(0.3, 0.5, size=(4, 100_000))  # no seed is better than another: all that differs is users
    mean = sums_of(seeds.mean(axis=0)[:, None])
    found = recipe_difference(mean, [[sums_of(seed[:, None]) for seed in seeds]])
    assert found.error[0] == pytest.approx(0.5 / (4 * 100_000) ** 0.5, rel=0.75)
    assert found.error[0] >= 0.99 * 0.5 / (4 * 100_000) ** 0.5


def test_satterthwaites_freedom_lies_between_the_least_and_the_sum() -> None:
    draw = np.random.default_rng(1)
    users = sums_of(draw.normal(0.1, 1, size=(50, 3)))
    seeds = [alike(draw.normal(size=(count, 3)), 50) for count in (4, 6)]
    found = recipe_difference(users, seeds)
    assert ((found.freedom >= 3) & (found.freedom <= 49 + 3 + 5)).all()
    low, high = found.interval(users.mean, 95)
    assert ((found.p < 0.05) == ((low > 0) | (high < 0))).all()


def test_what_is_counted_has_no_seeds_and_only_the_users_error() -> None:
    users = sums_of(np.random.default_rng(2).normal(0.2, 1, size=(80, 1)))
    expected = stats.ttest_1samp(users.sums[:, 0], 0)
    found = recipe_difference(users, [])
    assert found.p[0] == pytest.approx(expected.pvalue)
    assert found.freedom[0] == pytest.approx(79)


def test_where_users_do_not_differ_it_is_welchs_test_of_the_seeds() -> None:
    one, other = np.array([0.10, 0.14, 0.12]), np.array([0.07, 0.09])
    expected = stats.ttest_ind(one, other, equal_var=False)
    users = sums_of(np.full((40, 1), one.mean() - other.mean()))
    found = recipe_difference(users, [alike(one[:, None], 40), alike(other[:, None], 40)])
    assert found.p[0] == pytest.approx(expected.pvalue)
    assert found.freedom[0] == pytest.approx(expected.df)
    low, high = found.interval(users.mean, 95)
    assert (low[0], high[0]) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_users_and_seeds_of_an_example_by_hand() -> None:
    users = sums_of(np.array([[0.1], [0.3], [0.2], [0.2]]))  # mean .2, variance .02/3, of the mean .005/3
    seeds = [alike(np.array(means)[:, None], 4) for means in ([0.5, 0.6], [0.30, 0.36, 0.33])]  # variances .005, .0009
    parts, freedoms = np.array([0.005 / 3, 0.005 / 2, 0.0009 / 3]), np.array([3, 1, 2])
    freedom = parts.sum() ** 2 / (parts**2 / freedoms).sum()
    found = recipe_difference(users, seeds)
    assert found.error[0] == pytest.approx(parts.sum() ** 0.5)
    assert found.freedom[0] == pytest.approx(freedom)
    assert found.p[0] == pytest.approx(2 * stats.t.sf(0.2 / parts.sum() ** 0.5, freedom))
    low, high = found.interval(users.mean, 95)
    assert (low[0], high[0]) == pytest.approx(stats.t.interval(0.95, freedom, 0.2, parts.sum() ** 0.5))


def test_recipes_without_any_variance() -> None:
    same = recipe_difference(sums_of(np.zeros((10, 1))), [alike(np.zeros((2, 1)), 10)])
    assert same.p.tolist() == [1.0]
    always = recipe_difference(sums_of(np.full((10, 1), 0.3)), [alike(np.full((2, 1), 0.5), 10)])
    assert always.p[0] < 1e-100


@pytest.mark.parametrize(("hits", "cases"), [(0, 30), (3, 30), (30, 30), (12, 200)])
def test_a_hit_rates_interval_is_nearly_wilsons_and_holds_it(hits: int, cases: int) -> None:
    wilson = stats.binomtest(hits, cases).proportion_ci(method="wilson")
    mean = np.array([hits / cases])
    low, high = score_interval(mean, mean, np.array([cases]))
    assert low[0] == pytest.approx(wilson.low, abs=1e-9)
    assert high[0] == pytest.approx(wilson.high, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=60).map(np.array), st.sampled_from([0.0, 0.3, 0.9]))
def test_an_interval_holds_the_mean_lies_in_0_to_1_and_narrows_with_cases(
    values: NDArray[np.float64], zeros: float
) -> None:
    kept = values * (np.arange(len(values)) >= zeros * len(values))
    few, many = (
        score_interval(np.array([kept.mean()]), np.array([(kept**2).mean()]), np.array([count]))
        for count in (len(kept), 100 * len(kept))
    )
    for low, high in (few, many):
        assert 0 <= low[0] <= kept.mean() + 1e-12
        assert kept.mean() - 1e-12 <= high[0] <= 1
    assert many[1][0] - many[0][0] <= few[1][0] - few[0][0]


@pytest.mark.parametrize("cases", [30, 100])
@pytest.mark.parametrize("rate", [0.03, 0.1, 0.3])
def test_intervals_of_small_groups_hold_the_truth_as_often_as_they_say(cases: int, rate: float) -> None:
    draw = np.random.default_rng(round(1000 * rate) + cases)
    gains = 1 / np.log2(np.arange(1, 11) + 1)
    values = np.where(draw.random((2000, cases)) < rate, draw.choice(gains, size=(2000, cases)), 0.0)
    low, high = score_interval(values.mean(axis=1), (values**2).mean(axis=1), np.full(2000, cases))
    truth = rate * gains.mean()
    assert np.mean((low <= truth) & (truth <= high)) >= 0.92
