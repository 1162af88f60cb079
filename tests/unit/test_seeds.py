"""Which runs are one recipe, and what several seeds of it amount to together."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recformer.evaluation.compare import MADE_BY, join_seeds, recipe_of, seed_groups
from recformer.evaluation.conclusion import answer
from recformer.evaluation.report import at_floor_in_words, stars
from recformer.evaluation.significance import Question
from recformer.evaluation.table import Evaluation, case_values, metric_names, summarise, summarise_view
from recformer.run.model_ref import ModelRef
from recformer.statistics.max_t import floor
from recformer.statistics.paired import holm
from recformer.statistics.recipes import recipe_difference
from recformer.statistics.users import UserSums
from tests.evaluation_builders import USERS, evaluation_of, made_up_ranks
from tests.training_helpers import small_config


def config(seed: int = 0, **changes: Any) -> dict[str, Any]:
    return small_config(seed=seed, **changes).model_dump(mode="json")


def groups(*configs: dict[str, Any] | None) -> list[list[int]]:
    return grouped(configs, ["best"] * len(configs))


def grouped(configs: Sequence[dict[str, Any] | None], names: list[str]) -> list[list[int]]:
    models = [ModelRef(name, f"run-{place}", Path(name)) for place, name in enumerate(names)]
    known = {f"run-{place}": config for place, config in enumerate(configs) if config is not None}
    return [[models.index(model) for model in group] for group in seed_groups(models, known)]


def test_runs_that_differ_in_their_seed_alone_belong_together() -> None:
    assert groups(config(0), config(1), config(7)) == [[0, 1, 2]]


def test_names_and_how_often_a_run_saves_are_not_the_recipe() -> None:
    assert groups(config(0, name="one"), config(1, name="other", save_minutes=3, save_steps=50)) == [[0, 1]]


@pytest.mark.parametrize(
    "change",
    [{"num_epochs": 2}, {"batch_size": 32}, {"loss": "soft_penalty"}, {"split": "random_windows"}, {"window": 4}],
    ids=str,
)
def test_another_recipe_stands_apart(change: dict[str, Any]) -> None:
    assert groups(config(0), config(1, **change), config(2)) == [[0, 2], [1]]


@pytest.mark.parametrize("what", MADE_BY)
def test_what_began_with_other_weights_or_was_made_by_another_engine_or_commit_is_no_seed(what: str) -> None:
    alike = dict.fromkeys(MADE_BY, "the same")
    others = [{}, alike, alike | {what: "another"}, alike, alike | {what: None}]
    assert groups(*(config(seed) | made for seed, made in enumerate(others))) == [[0], [1, 3], [2], [4]]


def test_the_order_of_settings_in_a_file_is_not_the_recipe() -> None:
    one = config(0)
    assert recipe_of(one) == recipe_of(dict(reversed(one.items())))


def test_a_seed_that_is_there_twice_stands_alone_the_second_time() -> None:
    assert groups(config(0), config(0), config(1), config(1)) == [[0, 2], [1], [3]]


def test_what_has_no_configuration_stands_alone_even_beside_its_like() -> None:
    assert groups(None, None) == [[0], [1]]
    assert groups(None, config(0), None, config(1)) == [[0], [1, 3], [2]]


def test_best_and_last_checkpoints_are_not_joined() -> None:
    configs = [config(0), config(1), config(0), config(1)]
    assert grouped(configs, ["best", "best", "last", "last"]) == [[0, 1], [2, 3]]
    assert grouped(configs[:2], ["best", "last"]) == [[0], [1]]


def test_groups_are_in_the_order_of_their_first_mention_and_hold_everyone_once() -> None:
    found = groups(config(0, window=4), config(0), None, config(1, window=4), config(0), config(1))
    assert found == [[0, 3], [1, 5], [2], [4]]
    assert sorted(place for group in found for place in group) == list(range(6))


def test_of_nobody_there_are_no_groups() -> None:
    assert groups() == []


def seeds(count: int, **changes: Any) -> list[Evaluation]:
    return [evaluation_of(made_up_ranks(seed), f"run-{seed}", **changes) for seed in range(count)]


@pytest.mark.parametrize("masking", ["none", "window", "history"])
def test_the_values_of_a_recipe_are_the_mean_over_its_seeds_case_by_case(masking: Any) -> None:
    names = metric_names([1, 10], categories=["genre"])
    each = np.stack([case_values(entry, masking, names) for entry in seeds(3)])
    assert (each.std(axis=0) > 0).any()
    np.testing.assert_allclose(case_values(join_seeds(seeds(3)), masking, names), each.mean(axis=0), atol=1e-12)


def test_a_recipe_is_called_after_its_first_seed() -> None:
    joined = join_seeds(seeds(3))
    assert (joined.model.run, joined.model.checkpoint, len(joined.seeds)) == ("run-0", "best", 3)


def test_one_seed_is_itself() -> None:
    (alone,) = seeds(1)
    assert join_seeds([alone]) is alone
    assert "seeds" not in summarise([alone], [10])["results"][0]["metrics"]["ndcg@10"]


def test_joined_seeds_can_be_joined_again() -> None:
    first = join_seeds(seeds(2))
    assert len(join_seeds([first, *seeds(3)[2:]]).seeds) == 3


def test_a_recipe_was_trained_on_as_many_cases_as_the_worst_of_its_seeds_and_nobody_knows_if_one_is_unknown() -> None:
    known, more, unknown = (seeds(1, trained_on=count)[0] for count in (2, 5, None))
    assert join_seeds([known, more]).known.trained_on == 5
    assert join_seeds([known, unknown]).known.trained_on is None


def test_a_summary_tells_the_least_the_greatest_and_the_spread_of_the_seeds_means() -> None:
    summaries = [summarise([entry], [5])["results"] for entry in seeds(3)]
    for place, result in enumerate(summarise([join_seeds(seeds(3))], [5])["results"]):
        assert result["seeds"] == 3
        for name, metric in result["metrics"].items():
            means = [summary[place]["metrics"][name]["mean"] for summary in summaries]
            expected = {"low": min(means), "high": max(means), "sd": np.std(means, ddof=1)}
            assert metric["seeds"] == pytest.approx(expected, abs=1e-12), name
            assert metric["mean"] == pytest.approx(np.mean(means), abs=1e-12)
        for name, entry in result["catalogue"].items():
            values = [summary[place]["catalogue"][name]["value"] for summary in summaries]
            assert entry["value"] == pytest.approx(np.mean(values))


def test_a_recipe_is_compared_to_another_by_the_means_over_seeds() -> None:
    base = evaluation_of(made_up_ranks(9), "base")
    joined = join_seeds(seeds(2))
    result = summarise_view([base, joined], "none", ["ndcg@10"], 0)[1]
    means = [case_values(entry, "none", ["ndcg@10"]).mean() for entry in (*seeds(2), base)]
    assert result["metrics"]["ndcg@10"]["difference"]["mean"] == pytest.approx((means[0] + means[1]) / 2 - means[2])


NAMES = metric_names([5, 10], categories=["genre"])


def compared(*members: list[Evaluation]) -> list[dict[str, Any]]:
    return summarise_view([join_seeds(group) for group in members], "none", NAMES, 0)


def made(run: str, *seeds: int, shift: int = 0, users: np.ndarray = USERS) -> list[Evaluation]:
    return [evaluation_of(made_up_ranks(seed, users, shift=shift), f"{run}-{seed}") for seed in seeds]


def counted(name: str, seed: int, shift: int = 0) -> list[Evaluation]:
    return [replace(evaluation_of(made_up_ranks(seed, shift=shift)), model=ModelRef(name))]


COUNTED, BETTER = counted("popularity", 90), counted("markov", 91, shift=14)


def entry_of(results: list[dict[str, Any]], place: int = 1, name: str = "ndcg@10") -> dict[str, Any]:
    return results[place]["metrics"][name]["difference"]


@pytest.mark.parametrize(
    ("members", "about", "mark"),
    [
        ([made("one", 1), made("other", 2, shift=14)], "models", "†"),
        ([COUNTED, made("other", 2, shift=14)], "models", "†"),
        ([made("one", 1, 3), made("other", 2, shift=14)], "models", "†"),
        ([made("one", 1, 3), made("other", 2, 4, shift=14)], "recipes", "*"),
        ([COUNTED, made("other", 2, 4, shift=14)], "recipes", "*"),
        ([COUNTED, BETTER], "recipes", "*"),
    ],
    ids=["models", "a model and a baseline", "one has seeds", "both have", "seeds and a baseline", "baselines"],
)
def test_one_seed_gives_a_dagger_and_no_star_and_several_of_each_a_star(
    members: list[list[Evaluation]], about: str, mark: str
) -> None:
    results = compared(*members)
    entry = entry_of(results)
    assert (entry["about"], entry["comparisons"]) == (about, 1)
    assert entry["p_adjusted"] < 0.001
    assert stars(entry) == mark * (1 if mark == "†" else 3)
    trained = any(not group[0].model.is_baseline for group in members)
    by_seeds = about == "recipes" and trained
    assert ("freedom" in entry, entry["correction"]) == (by_seeds, "Holm" if by_seeds else "max-T")
    said = answer(["one", "other"], results, Question(), "validation").seeds
    assert said.endswith(" trained with one seed: another seed may differ. Compare several seeds of each.") == (
        about == "models"
    )
    alone = [
        name
        for name, group in zip(("one", "other"), members, strict=True)
        if about == "models" and len(group) == 1 and not group[0].model.is_baseline
    ]
    together, _, single = said.partition(". ") if said.startswith("Seeds") else ("", "", said)
    joined = [name for name, group in zip(("one", "other"), members, strict=True) if len(group) > 1]
    assert together.rstrip(".").rpartition(": ")[2] == " and ".join(joined)
    assert single.partition(" was trained")[0].partition(" were trained")[0] == " and ".join(alone)


def test_a_seeds_luck_is_in_the_interval_of_recipes_and_in_no_test_of_one_model() -> None:
    users = np.arange(60)
    one, other = made("one", 1, 2, 3, users=users), made("other", 4, 5, users=users, shift=3)
    entry = entry_of(compared(one, other))
    values = [
        np.stack([case_values(seed, "none", ["ndcg@10"])[:, 0] for seed in group]) for group in (one, other)
    ]  # (S, N)
    difference = values[1].mean(axis=0) - values[0].mean(axis=0)
    means = [group.mean(axis=1) for group in values]
    around = values[0] - values[0].mean(
        axis=0
    )  # what users have more by one seed than by another is in the users' part
    shared = sum(seed.var(ddof=1) for seed in around) / 60 / 2 / 3  # of two seeds nothing is taken off
    parts = np.array([difference.var(ddof=1) / 60, max(means[0].var(ddof=1) / 3 - shared, 0), means[1].var(ddof=1) / 2])
    freedom = parts.sum() ** 2 / (parts**2 / np.array([59, 2, 1])).sum()
    error = parts.sum() ** 0.5
    assert entry["standard_error"] == pytest.approx(error)
    assert entry["freedom"] == pytest.approx(freedom)
    assert entry["p"] == entry["p_adjusted"] == pytest.approx(2 * stats.t.sf(abs(difference.mean()) / error, freedom))
    assert (entry["low"], entry["high"]) == pytest.approx(stats.t.interval(0.95, freedom, difference.mean(), error))
    assert (entry["low_90"], entry["high_90"]) == pytest.approx(
        stats.t.interval(0.90, freedom, difference.mean(), error)
    )
    assert error > parts[0] ** 0.5, "more than users alone have"


def test_where_some_have_seeds_each_difference_has_its_own_p_and_holm_corrects_all() -> None:
    results = compared(COUNTED, made("one", 1, 2, shift=3), made("other", 3, shift=3), BETTER)
    entries = [entry_of(results, place) for place in (1, 2, 3)]
    assert [entry["about"] for entry in entries] == ["recipes", "models", "recipes"]
    assert ["freedom" in entry for entry in entries] == [True, False, False]
    assert [entry["p_adjusted"] for entry in entries] == holm(np.array([entry["p"] for entry in entries])).tolist()
    assert not any(entry["at_floor"] for entry in entries)


def test_what_may_be_no_lower_is_at_its_floor() -> None:
    entry = entry_of(compared(COUNTED, BETTER))
    assert entry["at_floor"] and entry["p_adjusted"] == floor(len(np.unique(USERS)))
    assert not entry_of(compared(COUNTED, made("one", 1)))["at_floor"]


def test_a_difference_far_beyond_chance_has_a_p_that_is_small_and_not_0() -> None:
    counts, draw = np.ones((800, 1)), np.random.default_rng(0)
    seeds = [UserSums(counts, 1 + 1e-6 * draw.random((800, 1))) for _ in range(3)]
    assert 0 < recipe_difference(seeds[0], [seeds]).p[0] < 1e-50
    alike = UserSums(counts, np.ones((800, 1)))
    assert 0 < recipe_difference(alike, [[alike, alike]]).p[0] < 1e-300  # without any spread
    entry = entry_of(compared(COUNTED, made("one", 1, 2, shift=14)))
    assert entry["correction"] == "Holm" and not entry["at_floor"] and at_floor_in_words(entry) == ""


def test_effect_sizes_have_the_sign_of_their_difference_where_users_have_many_and_few_cases() -> None:
    users = np.repeat(np.arange(12), [40, 1, 1, 2, 30, 1, 1, 1, 3, 1, 1, 2])  # as under global_temporal
    for seed in range(12):
        results = compared(made("one", 2 * seed, users=users), made("other", 2 * seed + 1, users=users))
        for name in NAMES:
            entry = entry_of(results, 1, name)
            assert np.sign(entry["effect_size"]) == np.sign(entry["mean"]), (seed, name)


def test_of_a_single_user_seeds_say_nothing_and_every_number_is_one() -> None:
    users = np.zeros(4, dtype=np.int64)
    models = [join_seeds(made("one", 1, 2, users=users)), join_seeds(made("other", 3, 4, users=users, shift=9))]
    summary = summarise(models, [10], 0)
    json.dumps(summary, allow_nan=False)
    entry = entry_of(summary["results"], 3)
    assert (entry["about"], entry["p_adjusted"], entry["standard_error"], entry["detectable"]) == (
        "models",
        1,
        None,
        None,
    )


def test_a_single_user_shows_no_equivalence() -> None:
    ranks = [made_up_ranks(seed, users=np.zeros(3, dtype=np.int64)) for seed in (0, 0)]
    first, other = (evaluation_of(rank, run) for rank, run in zip(ranks, ("baseline", "other"), strict=True))
    results = summarise_view([first, other], "history", ["ndcg@10"], 0, Question(margin=0.5))
    assert results[1]["metrics"]["ndcg@10"]["difference"]["equivalent"] is False
