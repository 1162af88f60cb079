"""Groups of cases: who is in which, how many they are, and their means."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.evaluation.cases import Facts
from recformer.evaluation.compare import Comparison, join_seeds
from recformer.evaluation.evaluate import Task
from recformer.evaluation.ranks import Ranks
from recformer.evaluation.slices import (
    FEW,
    FEW_HITS,
    Slice,
    age_group,
    is_few,
    known_dimensions,
    slice_intervals,
    slices_of,
)
from recformer.evaluation.table import Evaluation, case_values
from recformer.metric.lists import Catalogue
from recformer.statistics.bootstrap import bootstrap
from recformer.statistics.score_interval import score_interval
from recformer.statistics.users import user_sums
from recformer.ui.compare.tables import slice_table
from tests.builders import dataset_of
from tests.effort import examples
from tests.evaluation_builders import evaluation_of, genre_bits, made_up_ranks

NUM_USERS, NUM_ITEMS = 25, 40
AGE_LABELS = ["Under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+"]
Cases = tuple[Dataset, Facts, Ranks]


def known_people(draw: np.random.Generator) -> Dataset:
    """Users of whom some age, gender or occupation is not known, and movies of none to three genres."""
    dataset = dataset_of([[0, 1]] * NUM_USERS, NUM_ITEMS)
    users = dataset.user_table.assign(
        age=draw.choice(["", "7", "18", "24", "25-34", "49", "50", "99", "Under 18"], NUM_USERS),
        gender=draw.choice(["", "F", "M"], NUM_USERS),
        occupation=draw.choice(["", "artist", "farmer", "doctor"], NUM_USERS),
    )
    genres = [
        draw.choice(["Comedy", "Drama", "War"], draw.integers(4), replace=False).tolist() for _ in range(NUM_ITEMS)
    ]
    return replace(dataset, user_table=users, item_table=dataset.item_table.assign(genre=genres))


def cases(
    seed: int = 0,
    count: int = 120,
    plays: np.ndarray | None = None,
    lengths: np.ndarray | None = None,
    trained: np.ndarray | None = None,
) -> Cases:
    """Cases whose targets are items, SOS or EOS; all users and movies are seen in training unless asked otherwise."""
    draw = np.random.default_rng(seed)
    dataset = known_people(draw)
    plays = draw.integers(1, 60, NUM_ITEMS) if plays is None else plays
    lengths = draw.integers(1, 300, count) if lengths is None else lengths
    trained = np.full(count, 9) if trained is None else trained
    facts = Facts(Catalogue(plays, NUM_USERS, genre_bits(dataset.item_table["genre"].tolist())), lengths, trained)
    ranks = made_up_ranks(seed, draw.integers(0, NUM_USERS, count), draw.integers(0, NUM_ITEMS + 2, count))
    return dataset, facts, ranks


def of(found: list[Slice], dimension: str) -> list[Slice]:
    return [entry for entry in found if entry.dimension == dimension]


def known(dimension: str, dataset: Dataset, ranks: Ranks) -> np.ndarray:
    """(N,) cases of which a dimension says something."""
    if dimension == "history length":
        return np.ones(len(ranks), dtype=bool)
    if dimension == "target popularity":
        return ranks.target < NUM_ITEMS
    return np.array([bool(dataset.user_table[dimension].iloc[user]) for user in ranks.user])


@settings(max_examples=examples(40))
@given(seed=st.integers(0, 10_000), count=st.sampled_from([1, 2, 3, 7, 40, 120]))
def test_every_dimension_but_genre_and_what_was_seen_puts_each_case_it_knows_in_exactly_one_slice(
    seed: int, count: int
) -> None:
    dataset, facts, ranks = cases(seed, count)
    found = slices_of(dataset, facts, ranks)
    assert {entry.dimension for entry in found} <= set(known_dimensions(dataset))
    for dimension in known_dimensions(dataset):
        if dimension not in ("target genre", "seen in training"):
            times = sum((entry.members.astype(int) for entry in of(found, dimension)), np.zeros(count, dtype=int))
            assert times.tolist() == known(dimension, dataset, ranks).astype(int).tolist(), dimension


@settings(max_examples=examples(40))
@given(seed=st.integers(0, 10_000), levels=st.integers(1, 6))
def test_quarters_of_values_that_many_share_are_in_order_and_do_not_overlap(seed: int, levels: int) -> None:
    draw = np.random.default_rng(seed)
    lengths = draw.choice(draw.integers(1, 500, levels), 60)
    dataset, facts, ranks = cases(seed, 60, lengths=lengths)
    quarters = of(slices_of(dataset, facts, ranks), "history length")
    assert 1 <= len(quarters) <= 4
    assert sum(entry.cases for entry in quarters) == 60
    for one, other in pairwise(quarters):
        assert lengths[one.members].max() < lengths[other.members].min()
    assert len({entry.label for entry in quarters}) == len(quarters)


def test_quarters_of_distinct_values_are_quarters() -> None:
    dataset, facts, ranks = cases(count=100, lengths=np.random.default_rng(0).permutation(100) + 1)
    found = of(slices_of(dataset, facts, ranks), "history length")
    assert [entry.cases for entry in found] == [pytest.approx(25, abs=1)] * 4
    assert sum(entry.cases for entry in found) == 100
    assert found[0].label.startswith("1 to 2")
    assert found[-1].label.endswith("100 movies")


def test_labels_say_the_values_that_are_there() -> None:
    dataset, facts, ranks = cases(count=4, lengths=np.array([1234, 1234, 1234, 1234]))
    (only,) = of(slices_of(dataset, facts, ranks), "history length")
    assert (only.label, only.cases) == ("1,234 movies", 4)


def test_target_popularity_is_that_of_the_training_part_and_only_of_movies() -> None:
    plays = 10 + np.arange(NUM_ITEMS) * 10
    dataset, facts, ranks = cases(plays=plays)
    assert (ranks.target >= NUM_ITEMS).any()
    found = of(slices_of(dataset, facts, ranks), "target popularity")
    assert len(found) == 4
    assert sum(entry.cases for entry in found) == (ranks.target < NUM_ITEMS).sum()
    for entry in found:
        own = plays[ranks.target[entry.members]]
        assert entry.label == f"{own.min():,} to {own.max():,} interactions"


def test_where_no_target_is_a_movie_there_are_no_slices_by_target() -> None:
    dataset, facts, ranks = cases()
    ranks = replace(ranks, target=np.full(len(ranks), NUM_ITEMS + 1, dtype=np.int32))
    found = slices_of(dataset, facts, ranks)
    assert of(found, "target popularity") == of(found, "target genre") == []
    assert of(found, "history length")


def test_a_case_is_in_the_slice_of_each_of_its_targets_genres() -> None:
    dataset, facts, ranks = cases()
    found = {entry.label: entry for entry in of(slices_of(dataset, facts, ranks), "target genre")}
    assert list(found) == ["Comedy", "Drama", "War"]
    genres = dataset.item_table["genre"].tolist()
    for name, entry in found.items():
        expected = [target < NUM_ITEMS and name in genres[target] for target in ranks.target.tolist()]
        assert entry.members.tolist() == expected
        assert entry.cases == sum(expected)


def test_people_are_grouped_by_what_their_row_says() -> None:
    dataset, facts, ranks = cases()
    found = slices_of(dataset, facts, ranks)
    rows = dataset.user_table.iloc[ranks.user]
    for field in ("gender", "occupation"):
        counted = {entry.label: entry.cases for entry in of(found, field)}
        assert counted == {name: int(count) for name, count in rows[field].value_counts().items() if name}
    ages = rows["age"].map(age_group)
    assert {entry.label: entry.cases for entry in of(found, "age")} == {
        name: int(count) for name, count in ages.value_counts().items() if name
    }
    labels = [entry.label for entry in of(found, "age")]
    assert labels == [label for label in AGE_LABELS if label in labels]  # in the order of age


def test_a_set_that_knows_nothing_of_its_users_is_sliced_by_history_and_target_alone() -> None:
    dataset, facts, ranks = cases()
    nothing = pd.DataFrame({name: [""] * NUM_USERS for name in ("gender", "age", "occupation")})
    found = slices_of(replace(dataset, user_table=nothing), facts, ranks)
    assert {entry.dimension for entry in found} == {"history length", "target popularity", "target genre"}


def test_no_slice_is_empty() -> None:
    dataset, facts, ranks = cases(count=2)
    assert all(entry.cases == entry.members.sum() > 0 for entry in slices_of(dataset, facts, ranks))


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("1", "Under 18"),
        ("17", "Under 18"),
        ("18", "18-24"),
        ("24", "18-24"),
        ("25", "25-34"),
        ("44", "35-44"),
        ("45", "45-49"),
        ("49", "45-49"),
        ("50", "50-55"),
        ("55", "50-55"),
        ("56", "56+"),
        ("73", "56+"),
        ("18-24", "18-24"),
        ("Under 18", "Under 18"),
        ("", ""),
        ("999", ""),
        ("²", "²"),  # a digit to Python, and no number
    ],
)
def test_an_age_is_in_its_group_and_a_group_is_itself(text: str, group: str) -> None:
    assert age_group(text) == group


@pytest.mark.parametrize("masking", ["none", "window", "history"])
@pytest.mark.parametrize("name", ["ndcg@10", "duplication/history@5", "novelty@20"])
def test_the_mean_of_a_slice_is_that_of_its_members_and_lies_in_its_interval(name: str, masking: Any) -> None:
    dataset, facts, ranks = cases()
    models = [evaluation_of(ranks, "one", facts), evaluation_of(made_up_ranks(5, ranks.user, shift=9), "other", facts)]
    found = slices_of(dataset, facts, ranks)
    rows = slice_intervals(found, models, name, masking)
    assert (len(rows), {len(row) for row in rows}) == (len(found), {2})
    for entry, row in zip(found, rows, strict=True):
        for evaluation, cell in zip(models, row, strict=True):
            values = case_values(evaluation, masking, [name])[entry.members, 0]
            assert cell["mean"] == pytest.approx(values.mean())
            assert cell["low"] <= cell["mean"] <= cell["high"]


def slice_cell(evaluation: Evaluation, members: np.ndarray, name: str) -> dict[str, Any]:
    ((cell,),) = slice_intervals([Slice("some", "some", members)], [evaluation], name, "none")
    return cell


def test_the_interval_of_lists_of_the_slice_of_everyone_is_the_interval() -> None:
    _, facts, ranks = cases()
    evaluation, name = evaluation_of(ranks, facts=facts), "novelty@10"
    cell = slice_cell(evaluation, np.ones(len(ranks), dtype=bool), name)
    low, high = bootstrap(user_sums(case_values(evaluation, "none", [name]), ranks.user), [95])[0]
    assert (cell["low"], cell["high"]) == pytest.approx((low[0], high[0]))


@pytest.mark.parametrize("name", ["hr@10", "ndcg@10", "mrr@10"])
def test_of_users_with_one_case_each_a_metric_of_ranks_has_its_score_interval(name: str) -> None:
    ranks = made_up_ranks(3, np.arange(90))
    evaluation, members = evaluation_of(ranks), np.arange(90) % 3 > 0
    values = case_values(evaluation, "none", [name])[members, 0]
    cell = slice_cell(evaluation, members, name)
    low, high = score_interval(
        np.array([values.mean()]), np.array([(values**2).mean()]), np.array([float(members.sum())])
    )
    assert (cell["low"], cell["high"]) == pytest.approx((low[0], high[0]))
    assert cell["hits"] == (ranks.rank_none[members] <= 10).sum() > 0


def test_the_interval_of_a_hit_rate_of_one_case_a_user_is_wilsons() -> None:
    ranks = made_up_ranks(3, np.arange(200))
    cell = slice_cell(evaluation_of(ranks), np.arange(200) < 40, "hr@10")
    wilson = stats.binomtest(cell["hits"], 40).proportion_ci(method="wilson")
    assert (cell["low"], cell["high"]) == pytest.approx((wilson.low, wilson.high), abs=1e-9)


def test_cases_of_one_user_that_are_alike_count_as_one() -> None:
    once = made_up_ranks(4, np.arange(60))
    often = replace(made_up_ranks(4, np.repeat(np.arange(60), 5)), rank_none=np.repeat(once.rank_none, 5))
    one, five = (slice_cell(evaluation_of(ranks), np.ones(len(ranks), dtype=bool), "hr@10") for ranks in (once, often))
    assert (five["low"], five["high"]) == pytest.approx((one["low"], one["high"]), rel=1e-6)
    assert five["hits"] == 5 * one["hits"]


def test_a_slice_of_a_single_user_has_no_interval() -> None:
    _, facts, ranks = cases()
    evaluation = evaluation_of(ranks, facts=facts)
    cell = slice_cell(evaluation, np.arange(len(ranks)) == 3, "mrr@10")
    assert cell["mean"] == case_values(evaluation, "none", ["mrr@10"])[3, 0]
    assert cell["low"] is cell["high"] is None


def test_a_slice_without_any_hit_does_not_say_that_there_are_none() -> None:
    ranks = replace(made_up_ranks(0, np.arange(30)), rank_none=np.full(30, 25, dtype=np.int32))
    cell = slice_cell(evaluation_of(ranks), np.ones(30, dtype=bool), "ndcg@10")
    assert (cell["mean"], cell["low"], cell["hits"]) == (0, 0, 0)
    assert cell["high"] == pytest.approx(0.1135, abs=1e-3)


def test_of_no_slices_there_are_no_intervals() -> None:
    assert slice_intervals([], [evaluation_of(made_up_ranks(0))], "mrr@10", "none") == []


def test_a_slice_of_several_seeds_is_their_mean() -> None:
    dataset, facts, ranks = cases()
    seeds = [evaluation_of(made_up_ranks(seed, ranks.user, ranks.target), facts=facts) for seed in (1, 2)]
    found = slices_of(dataset, facts, ranks)
    for one, other, joined in slice_intervals(found, [*seeds, join_seeds(seeds)], "hr@10", "none"):
        assert joined["mean"] == pytest.approx((one["mean"] + other["mean"]) / 2)


def message_of(count: int, lengths: np.ndarray | None = None) -> list[dict[str, Any]]:
    dataset, facts, ranks = cases(count=count, lengths=lengths)
    task = Task(dataset, parse_section("split", "leave_last_out"))
    models = [evaluation_of(ranks, "one", facts), evaluation_of(made_up_ranks(5, ranks.user), "other", facts)]
    return Comparison([], models).slices(task.dataset, "ndcg@10", "history")


def test_slices_are_told_with_their_count_their_models_and_whether_they_are_few() -> None:
    document = message_of(120)
    for entry in document:
        hits = [model["hits"] for model in entry["models"]]
        assert entry["few"] == (entry["cases"] < FEW or min(hits) < FEW_HITS)
        assert [model["run"] for model in entry["models"]] == ["one", "other"]
        assert all(model["low"] <= model["mean"] <= model["high"] for model in entry["models"])
    assert {entry["few"] for entry in document} == {True, False}


@pytest.mark.parametrize(("count", "few"), [(FEW - 1, True), (FEW, False)])
def test_thirty_cases_are_the_least_that_are_not_few(count: int, few: bool) -> None:
    every = [{"hits": count}, {"hits": FEW_HITS}]
    assert is_few(every, count) == few
    (entry,) = (slice_ for slice_ in message_of(count, np.full(count, 7)) if slice_["dimension"] == "history length")
    assert (entry["label"], entry["cases"]) == ("7 movies", count)
    assert entry["few"] == is_few(entry["models"], count)


@pytest.mark.parametrize(("hits", "few"), [(FEW_HITS - 1, True), (FEW_HITS, False)])
def test_ten_hits_of_each_model_are_the_least_that_are_not_few_however_many_cases(hits: int, few: bool) -> None:
    ranks = replace(made_up_ranks(0, np.arange(500)), rank_none=np.where(np.arange(500) < hits, 1, 25).astype(np.int32))
    other = replace(ranks, rank_none=np.ones(500, dtype=np.int32))
    everyone = Slice("everyone", "everyone", np.ones(500, dtype=bool))
    (row,) = slice_intervals([everyone], [evaluation_of(ranks), evaluation_of(other)], "ndcg@10", "none")
    assert [cell["hits"] for cell in row] == [hits, 500]
    assert is_few(row, 500) == few
    table = slice_table(([everyone], [row]), ["one", "other"])
    assert (":gray[" in table) == few


def test_warm_and_cold_cases_stand_apart() -> None:
    plays = np.where(np.arange(NUM_ITEMS) < 10, 0, 5)  # the first ten movies are new
    trained = np.where(np.arange(120) % 3 == 0, 0, 9)  # a third of the cases are of new users
    dataset, facts, ranks = cases(plays=plays, trained=trained)
    is_movie, new_movie = ranks.target < NUM_ITEMS, ranks.target < 10
    found = {entry.label: entry.members.tolist() for entry in of(slices_of(dataset, facts, ranks), "seen in training")}
    assert found == {
        "user and movie seen": ((trained > 0) & ~new_movie & is_movie).tolist(),
        "new user": ((trained == 0) & is_movie).tolist(),
        "new movie": (new_movie & is_movie).tolist(),
    }


def test_where_everything_was_seen_nothing_is_said_of_it() -> None:
    dataset, facts, ranks = cases()
    assert of(slices_of(dataset, facts, ranks), "seen in training") == []


@pytest.mark.parametrize("what", ["user", "movie"])
def test_new_users_alone_and_new_movies_alone_are_told(what: str) -> None:
    plays = np.where(np.arange(NUM_ITEMS) < (0 if what == "user" else 20), 0, 5)
    trained = np.where(np.arange(120) < (60 if what == "user" else 0), 0, 9)
    found = of(slices_of(*cases(plays=plays, trained=trained)), "seen in training")
    assert [entry.label for entry in found] == ["user and movie seen", f"new {what}"]
