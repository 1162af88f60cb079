"""Intervals, tests and corrections: do they keep the promises that their names make?"""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.evaluation.compare import join_seeds
from recformer.evaluation.ranks import Masking
from recformer.evaluation.significance import Question, correct, kind_of
from recformer.evaluation.table import (
    Evaluation,
    case_values,
    catalogue_names,
    masking_of,
    metric_names,
    summarise,
    summarise_view,
)
from recformer.statistics import paired
from recformer.statistics.bootstrap import bootstrap
from recformer.statistics.max_t import max_t
from recformer.statistics.paired import holm, paired_effect_size, sign_flip_p
from recformer.statistics.users import UserSums, user_sums
from tests.evaluation_builders import USERS, evaluation_of, made_up_ranks

# 1024ths are exact in binary, and so are their small multiples.
P_VALUES = st.lists(st.integers(1, 1024), min_size=1, max_size=12)


def of_users(differences: list[float] | np.ndarray) -> UserSums:
    """One case a user, one quantity."""
    column = np.asarray(differences, dtype=np.float64)[:, None]
    return UserSums(np.ones((len(column), 1)), column)


def simulated(simulations: int, num_users: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, S) values of mean 0 of which those of one user are alike, 1 to 8 cases a user; and (N,) users."""
    draw = np.random.default_rng(seed)
    users = np.repeat(np.arange(num_users), draw.integers(1, 9, num_users))
    tastes = draw.normal(size=(num_users, simulations))
    return tastes[users] + draw.normal(size=(len(users), simulations)), users


def coverage(values: np.ndarray, users: np.ndarray) -> float:
    """Share of the columns whose interval contains the true mean, 0."""
    low, high = bootstrap(user_sums(values, users), [95])[0]
    return float(np.mean((low <= 0) & (high >= 0)))


def test_95_of_100_intervals_contain_the_true_mean() -> None:
    assert 0.92 <= coverage(*simulated(1000, 200, seed=0)) <= 0.98


def test_intervals_that_forget_whose_cases_are_whose_contain_it_far_too_seldom() -> None:
    values, users = simulated(1000, 200, seed=0)
    assert coverage(values, np.arange(len(users))) < 0.85


def test_intervals_of_rare_hits_contain_the_true_mean_too() -> None:
    draw = np.random.default_rng(1)
    assert 0.92 <= coverage((draw.random((400, 1000)) < 0.1) - 0.1, np.arange(400)) <= 0.98


def test_of_models_that_are_alike_one_in_twenty_looks_different_at_five_percent() -> None:
    values, users = simulated(1000, 60, seed=2)
    found = sign_flip_p(user_sums(values, users))
    assert 0.03 <= float(np.mean(found <= 0.05)) <= 0.07
    assert 0.3 <= float(np.mean(found <= 0.4)) <= 0.5


def test_a_test_that_forgets_whose_cases_are_whose_sees_differences_far_too_often() -> None:
    values, users = simulated(200, 60, seed=2)
    assert float(np.mean(sign_flip_p(user_sums(values, np.arange(len(users)))) <= 0.05)) > 0.15


def test_a_clear_difference_has_a_small_p_and_a_slight_one_has_not() -> None:
    draw = np.random.default_rng(3)
    noise = draw.normal(size=100)
    noise -= noise.mean()
    clear, slight = (float(sign_flip_p(of_users(noise + shift))[0]) for shift in (0.6, 0.05))
    assert clear < 1e-3
    assert slight > 0.3


def test_p_is_never_zero_however_clear_the_difference() -> None:
    for num_users in (100, 20_000):
        p = float(sign_flip_p(of_users(np.ones(num_users)))[0])
        assert 0 < p <= 1.01e-4


def test_without_any_difference_p_is_one() -> None:
    assert sign_flip_p(of_users(np.zeros(50))).tolist() == [1]
    assert sign_flip_p(of_users([1, -1, 2, -2])).tolist() == [1]  # differences that cancel say nothing either


def test_of_a_single_user_nothing_can_be_told() -> None:
    assert sign_flip_p(of_users([0.7])).tolist() == [1]


def test_p_does_not_ask_which_model_is_the_better_one_nor_in_which_unit() -> None:
    values, users = simulated(20, 30, seed=4)
    p = sign_flip_p(user_sums(values + 0.3, users)).tolist()
    assert p == sign_flip_p(user_sums(-values - 0.3, users)).tolist()
    assert p == sign_flip_p(user_sums((values + 0.3) * 64, users)).tolist()
    assert len(set(p)) > 10


def test_p_is_the_same_each_time() -> None:
    differences = user_sums(*simulated(5, 30, seed=5))
    first = sign_flip_p(differences).tolist()
    paired._known.clear()  # pyright: ignore[reportPrivateUsage]
    assert sign_flip_p(differences).tolist() == first


def test_a_p_value_that_is_known_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    values, users = np.random.default_rng(5).normal(0.1, 1, (40, 4)), np.arange(40)
    compute, widths = paired._p_values, list[int]()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(paired, "_known", {})
    monkeypatch.setattr(paired, "_p_values", lambda sums: widths.append(sums.shape[1]) or compute(sums))
    few = sign_flip_p(user_sums(values[:, :2], users)).tolist()
    more = sign_flip_p(user_sums(values[:, [3, 0, 1, 3, 2]], users)).tolist()
    assert more[1:3] == few and more[0] == more[3]
    assert sign_flip_p(user_sums(values, users)).tolist() == [*few, more[4], more[3]]
    assert widths == [2, 2]
    monkeypatch.setattr(paired, "MOST_KNOWN", 3)
    assert sign_flip_p(user_sums(values[:, :1] + 1, users)).tolist() != few[:1]
    assert len(paired._known) == 1  # pyright: ignore[reportPrivateUsage]


def test_p_of_one_quantity_does_not_depend_on_what_is_tested_beside_it() -> None:
    values, users = simulated(6, 30, seed=6)
    alone = [float(sign_flip_p(user_sums(values[:, [place]], users))[0]) for place in range(6)]
    assert sign_flip_p(user_sums(values, users)).tolist() == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("num_users", [2, 3, 5, 8, 9, 11])
def test_p_is_that_of_all_choices_of_signs(num_users: int) -> None:
    draw = np.random.default_rng(num_users)
    differences = draw.integers(-6, 9, size=(num_users, 5)).astype(np.float64)  # whole numbers: ties are exact
    signs = np.array(list(product((-1, 1), repeat=num_users)))
    assert len(signs) == 2**num_users
    exact = np.mean(np.abs(signs @ differences) >= np.abs(differences.sum(axis=0)), axis=0)
    found = sign_flip_p(UserSums(np.ones((num_users, 1)), differences))
    np.testing.assert_allclose(found, exact, rtol=0, atol=0.006)  # 100,000 flips: four standard errors


def test_users_count_by_the_sum_of_their_cases_in_the_test_as_in_the_mean() -> None:
    values = np.array([1.0, 1, 1, 1, 2, -1])[:, None]  # sums 4, 2 and −1 give 5; others are 7, 3 and 1
    assert sign_flip_p(user_sums(values, np.array([7, 7, 7, 7, 2, 3])))[0] == pytest.approx(4 / 8, abs=0.006)


def test_holm_on_the_example_of_its_docstring() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_holm_of_one_is_itself_and_of_none_is_none() -> None:
    assert holm(np.array([0.2])).tolist() == [0.2]
    assert holm(np.array([])).tolist() == []


@given(P_VALUES)
def test_holm_lowers_no_p_keeps_their_order_and_stays_at_most_one(numbers: list[int]) -> None:
    p = np.array(numbers) / 1024
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (adjusted <= np.minimum(p * len(p), 1)).all()  # never harsher than Bonferroni
    assert adjusted.min() == min(p.min() * len(p), 1)
    for one, other in product(range(len(p)), repeat=2):
        if p[one] <= p[other]:
            assert adjusted[one] <= adjusted[other]


@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order(numbers: list[int], random: object) -> None:
    p = np.array(numbers) / 1024
    order = list(range(len(p)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert holm(p[order]).tolist() == holm(p)[order].tolist()


@given(P_VALUES, st.integers(1, 1024))
def test_holm_rejects_what_the_step_down_procedure_rejects(numbers: list[int], level: int) -> None:
    rejected: set[int] = set()
    for step, place in enumerate(sorted(range(len(numbers)), key=lambda place: numbers[place])):
        if numbers[place] * (len(numbers) - step) > level:
            break
        rejected.add(place)
    adjusted = holm(np.array(numbers) / 1024)
    assert set(np.flatnonzero(adjusted <= level / 1024).tolist()) == (
        rejected if level < 1024 else set(range(len(numbers)))
    )


def test_effect_size_on_the_example_of_its_docstring() -> None:
    assert paired_effect_size(of_users([0.1, 0.3]))[0] == pytest.approx(2**0.5)


def test_effect_size_weighs_users_by_their_cases_as_the_difference_does() -> None:
    values = np.array([1.0, 1, 1, 1, 2, 3])[:, None]
    found = paired_effect_size(user_sums(values, np.array([0, 0, 0, 0, 1, 2])))
    # Mean 1.5 of 6 cases, 2 a user: sums 4, 2, 3 lie -2, 0.5, 1.5 from 1.5 a case, in cases -1, 0.25, 0.75.
    assert found[0] == pytest.approx(1.5 / ((1 + 0.25**2 + 0.75**2) / 2) ** 0.5)
    equal = paired_effect_size(user_sums(np.array([1.0, 1, 2, 2, 3, 3])[:, None], np.array([0, 0, 1, 1, 2, 2])))
    assert equal[0] == pytest.approx(2.0)  # 1, 2, 3: mean 2, standard deviation 1


def test_effect_size_has_the_sign_of_the_difference_and_no_unit() -> None:
    differences = np.array([0.2, 0.5, -0.1, 0.4])
    size = float(paired_effect_size(of_users(differences))[0])
    assert size > 0
    assert paired_effect_size(of_users(-differences))[0] == pytest.approx(-size)
    assert paired_effect_size(of_users(differences * 1000))[0] == pytest.approx(size)
    assert paired_effect_size(of_users(np.tile(differences, 500)))[0] == pytest.approx(size, rel=0.2)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1 / 3, -0.7, 1e-9])
@pytest.mark.parametrize("num_users", [1, 2, 3, 10, 1000])
def test_effect_size_is_zero_where_no_user_differs_from_another_but_by_rounding(value: float, num_users: int) -> None:
    cases = 1 + np.arange(num_users) % 7
    differences = user_sums(np.full((cases.sum(), 1), value), np.repeat(np.arange(num_users), cases))
    assert paired_effect_size(differences).tolist() == [0]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(-8, 8)), min_size=2, max_size=12))
def test_effect_size_and_difference_have_one_sign_however_many_cases_a_user_has(users: list[tuple[int, int]]) -> None:
    counts, sums = (np.array(column, dtype=np.float64)[:, None] for column in zip(*users, strict=True))
    table = UserSums(counts, sums)
    size = paired_effect_size(table)[0]
    assert size == 0 or np.sign(size) == np.sign(table.mean[0])


def test_effect_size_follows_the_cases_where_most_users_say_the_opposite() -> None:
    table = UserSums(np.array([[50.0], [1], [1], [1]]), np.array([[-5.0], [1], [1], [1]]))
    assert np.mean(table.sums / table.counts) > 0 > table.mean[0]
    assert paired_effect_size(table)[0] < 0


def test_effect_size_of_small_but_real_spreads_is_told() -> None:
    differences = 1 + 1e-6 * np.random.default_rng(0).normal(size=500)
    assert paired_effect_size(of_users(differences))[0] == pytest.approx(1e6, rel=0.2)


def model(seed: int, shift: int = 0) -> Evaluation:
    return evaluation_of(made_up_ranks(seed, shift=shift), f"run-{seed}")


KINDS = ("accuracy", "duplication", "lists")
MODELS = [model(0), model(1, shift=4), model(2, shift=14)]


@pytest.fixture(scope="module")
def summary() -> dict:
    return summarise(MODELS, [5, 10], baseline=0)


def view(masking: Masking, names: list[str]) -> list[dict]:
    return summarise_view(MODELS, masking, names, 0)


def adjusted_of(
    results: list[dict], names: list[str], masking: Callable[[str], Masking]
) -> dict[tuple[str, str], float]:
    """max-T over the differences of NDCG@10, and over all others of each kind of metric at 3, 5 and 10, shown or not,
    by run and name, of those in `names`."""
    runs = {result["run"]: next(one for one in MODELS if one.model.run == result["run"]) for result in results[1:]}
    every = [name for name in metric_names([3, 5, 10], categories=["genre"]) if not name.startswith("map@")]
    found: dict[tuple[str, str], float] = {}
    for family in ({"ndcg@10"}, *({name for name in every if kind_of(name) == kind} - {"ndcg@10"} for kind in KINDS)):
        places = [(run, name) for run in runs for name in sorted(family)]
        values = [case_difference(runs[run], name, masking(name)) for run, name in places]
        found |= zip(places, max_t(user_sums(np.stack(values, axis=1), USERS)).tolist(), strict=True)
    return {place: p for place, p in found.items() if place[1] in names}


def case_difference(evaluation: Evaluation, name: str, masking: Masking) -> np.ndarray:
    one, reference = (case_values(each, masking, [name])[:, 0] for each in (evaluation, MODELS[0]))
    return one - reference


def shown_adjusted(results: list[dict], names: list[str]) -> dict[tuple[str, str], float]:
    return of_tests(results, names, "p_adjusted")


def of_tests(results: list[dict], names: list[str], key: str) -> dict[tuple[str, str], float]:
    """What is said under `key` of every tested difference, by run and name."""
    return {
        (result["run"], name): result["metrics"][name]["difference"][key]
        for result in results
        for name in names
        if "p" in result["metrics"][name].get("difference", {})
    }


@pytest.mark.parametrize("masking", ["none", "window", "history"])
def test_a_summary_corrects_the_primary_alone_and_all_else_of_a_masking_apart_and_counts_map_and_mrr_once(
    summary: dict, masking: Masking
) -> None:
    results = [result for result in summary["results"] if result["masking"] == masking]
    names = metric_names([5, 10], categories=["genre"])
    without_map = [name for name in names if not name.startswith("map@")]
    assert len(without_map) == len(names) - 2
    expected = adjusted_of(results, without_map, lambda _: masking)
    assert len(expected) == 2 * len(without_map)
    assert shown_adjusted(results, without_map) == pytest.approx(expected, abs=1e-4)
    assert set(of_tests(results, without_map, "correction").values()) == {"max-T"}
    sizes = {"accuracy": 2 * 8, "duplication": 2 * 6, "lists": 2 * 9}  # at 3, 5 and 10, MAP being MRR
    assert of_tests(results, without_map, "comparisons") == {
        (run, name): 2 if name == "ndcg@10" else sizes[kind_of(name)] for run, name in expected
    }
    assert len(set(expected.values())) > 3
    for result in results[1:]:
        for k in (5, 10):
            one, other = (result["metrics"][f"{name}@{k}"]["difference"] for name in ("map", "mrr"))
            assert one == other


SHOWN = [*metric_names([5, 10], categories=["genre"]), *catalogue_names([5, 10])]
NAMES = [["ndcg@10"], ["mrr@5", "map@5"], ["hr@5", "duplication/window@5", "novelty@10"], SHOWN]


@pytest.mark.parametrize("names", NAMES, ids=lambda names: f"{len(names)} names")
def test_what_is_hidden_gives_no_star_to_what_is_shown(names: list[str]) -> None:
    shown = view("history", names)
    assert [list(result["metrics"]) for result in shown] == [names] * 3
    counted = [name for name in names if not name.startswith("map@")]
    expected = adjusted_of(shown, counted, lambda name: masking_of(name, "history"))
    assert shown_adjusted(shown, counted) == pytest.approx(expected, abs=1e-4)
    everything = view("history", SHOWN)
    assert shown_adjusted(shown, names) == pytest.approx(
        {place: p for place, p in shown_adjusted(everything, SHOWN).items() if place[1] in names}, rel=1e-9
    )


@pytest.mark.parametrize("baseline", [None, 0, 2])
@pytest.mark.parametrize("masking", ["none", "window", "history"])
@pytest.mark.parametrize("names", [*NAMES, ["coverage@5"]], ids=lambda names: f"{len(names)} names")
def test_a_view_computed_alone_has_the_figures_of_the_whole(
    names: list[str], masking: Masking, baseline: int | None
) -> None:
    models = [model(0), join_seeds([model(1, shift=3), model(3, shift=4)]), model(2, shift=14)]
    whole = summarise(models, [5, 10], baseline)["results"]
    for result in summarise_view(models, masking, names, baseline):
        for name, metric in result["metrics"].items():
            under = masking_of(name, masking)
            (same,) = (one for one in whole if (one["run"], one["masking"]) == (result["run"], under))
            if name in catalogue_names([5, 10]):
                assert metric["mean"] == same["catalogue"][name]["value"]
                assert metric.get("difference", {}).get("mean") == same["catalogue"][name].get("difference")
                continue
            expected = flat(same["metrics"][name])
            for path, value in flat(metric).items():
                if not any(word in path for word in ("p_adjusted", "at_floor", "comparisons", "detectable", "verdict")):
                    assert value == pytest.approx(expected[path], rel=1e-9, abs=1e-12), path
        assert result["seeds"] == same["seeds"]


def flat(value: dict, before: str = "") -> dict[str, float]:
    """Every figure under its path, without those that are None; a word is a part of its path."""
    found: dict[str, float] = {}
    for name, entry in value.items():
        path = f"{before}/{name}"
        if isinstance(entry, dict):
            found |= flat(entry, path)
        elif entry is not None:
            found |= {f"{path}={entry}": 1.0} if isinstance(entry, str) else {path: entry}
    return found


def test_a_view_of_less_raises_an_exploratory_p_by_less_and_leaves_the_primary() -> None:
    views = [view("history", names)[2] for names in (["ndcg@10", "hr@5"], SHOWN)]
    alone, beside = (flat(result["metrics"]["ndcg@10"]) for result in views)
    assert alone == pytest.approx(beside, rel=1e-12)
    few, many = (result["metrics"]["hr@5"]["difference"] for result in views)
    assert few["p"] == many["p"]
    assert few["p"] <= few["p_adjusted"] <= many["p_adjusted"]
    assert few["p_adjusted"] < 1


def test_a_view_takes_duplication_from_the_raw_list_and_all_else_from_its_masking(summary: dict) -> None:
    of = {(result["run"], result["masking"]): result for result in summary["results"]}
    for masking in ("none", "window", "history"):
        for result in view(masking, SHOWN):
            for name, metric in result["metrics"].items():
                source = of[result["run"], "none" if name.startswith("duplication/") else masking]
                if name in catalogue_names([5, 10]):
                    assert metric["mean"] == source["catalogue"][name]["value"]
                    assert (metric["low"], metric["high"]) == (None, None)
                    assert "p" not in metric.get("difference", {})
                else:
                    for key in ("mean", "low", "high"):
                        assert metric[key] == pytest.approx(source["metrics"][name][key], rel=1e-9)
            assert result["metrics"]["duplication/window@10"]["mean"] > 0


def test_a_model_without_a_difference_is_not_adjusted() -> None:
    results = view("none", ["hr@5", "mrr@5", "map@5"])
    assert "difference" not in results[0]["metrics"]["map@5"]
    alone = [results[0]]
    correct(alone, ["hr@5", "mrr@5", "map@5"], Question(), None)
    assert alone[0]["metrics"].keys() == {"hr@5", "mrr@5", "map@5"}
    assert all("difference" not in metric for metric in alone[0]["metrics"].values())
