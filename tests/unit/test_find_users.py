"""Who is listed, and in which order: against worked user_results and a plain computation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recformer.data.dataset import Dataset
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.ranks import MASKINGS
from recformer.recommend.find_users import HISTORY, Filter, UserResult, choices, in_order, kept, people, standing
from recformer.recommend.overlap import rank_biased_overlap
from recformer.run.paths import Root
from tests.builders import dataset_in
from tests.training_helpers import save_untrained

NAN = float("nan")
EVERYBODY = np.arange(4)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": [1, 2, 5, 9],
            "gender": ["F", "M", "M", "F"],
            "age": ["24", "9", "24", "31"],
            "occupation": ["artist", "", "doctor", "artist"],
            HISTORY: [10, 20, 30, 40],
        }
    )


def known(**changes: list[object]) -> UserResult:
    whole = {
        "ranks": [[1, 50], [3, 900], [NAN, NAN], [70, 2]],
        "repeats": [[0, 2], [3, 0], [NAN, NAN], [0, 0]],
        "overlap": [0.5, 0.1, NAN, 0.1],
    } | changes
    return UserResult(k=10, **{name: np.array(values, dtype=float) for name, values in whole.items()})


@pytest.mark.parametrize(
    ("wanted", "users"),
    [
        (Filter(), [1, 2, 5, 9]),
        (Filter({"age": ("24",)}), [1, 5]),
        (Filter({"age": ("24", "31"), "gender": ("F",)}), [1, 9]),
        (Filter({"occupation": ("doctor", "artist"), "age": ()}), [1, 5, 9]),
        (Filter(shortest=20), [2, 5, 9]),
        (Filter(shortest=20, longest=30), [2, 5]),
        (Filter(longest=5), []),
        (Filter({"gender": ("M",)}, shortest=30), [5]),
    ],
)
def test_filters_let_pass_who_fits_all_of_them(table: pd.DataFrame, wanted: Filter, users: list[int]) -> None:
    assert kept(table, wanted)["user_id"].tolist() == users


def test_choices_are_what_the_set_says_numbers_by_size(table: pd.DataFrame) -> None:
    assert choices(table, "age") == ["9", "24", "31"]
    assert choices(table, "occupation") == ["artist", "doctor"]


def test_people_have_the_lengths_of_their_histories(tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path)
    found = people(dataset)
    assert found["user_id"].tolist() == dataset.user_ids.tolist()
    assert found[HISTORY].tolist() == [len(dataset.history(user)) for user in range(dataset.num_users)]


def test_by_id_everybody_stays_as_they_came() -> None:
    assert in_order(np.array([3, 1]), "id", known()).tolist() == [3, 1]
    assert in_order(EVERYBODY, "id", None).tolist() == [0, 1, 2, 3]


def test_least_overlap_is_first_and_users_without_a_case_are_left_out() -> None:
    assert in_order(EVERYBODY, "disagree", known()).tolist() == [1, 3, 0]


def test_one_finds_it_and_the_other_does_not_the_furthest_apart_first() -> None:
    assert in_order(EVERYBODY, "finds", known(), 0, 1).tolist() == [1, 0]
    assert in_order(EVERYBODY, "finds", known(), 1, 0).tolist() == [3]


def test_an_item_at_place_k_is_found_and_one_place_further_it_is_missed() -> None:
    ranks = [[10, 11], [10, 10], [11, 12], [1, 11]]
    assert in_order(EVERYBODY, "finds", known(ranks=ranks), 0, 1).tolist() == [3, 0]


def test_most_repeats_of_any_model_are_first_and_who_sees_none_is_left_out() -> None:
    assert in_order(EVERYBODY, "repeats", known()).tolist() == [1, 0]
    repeats = [[2, 1], [2, 2], [0, 3], [0, 2]]
    assert in_order(EVERYBODY, "repeats", known(repeats=repeats)).tolist() == [2, 1, 0, 3]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_in(tmp_path / "small")


@pytest.mark.parametrize("masking", MASKINGS)
def test_standings_are_those_of_the_rank_store(tmp_path: Path, dataset: Dataset, masking: str) -> None:
    root, task = Root(tmp_path / "root"), Task(dataset, split_of("leave_last_out"), "test")
    models = [evaluate(root, save_untrained(root, f"run-{seed}", dataset, seed=seed), task).ranks for seed in range(3)]
    found = standing(models, dataset.num_users, masking, 5)
    for case, user in enumerate(models[0].user):
        assert found.ranks[user].tolist() == [model.rank(masking)[case] for model in models]
        assert found.repeats[user].tolist() == [model.window_repeats_none[case, 4] for model in models]
        lists = [model.top(masking)[case : case + 1, :5] for model in models]
        pairs = [(0, 1), (0, 2), (1, 2)]
        expected = np.mean([rank_biased_overlap(lists[one], lists[other])[0] for one, other in pairs])
        assert found.overlap[user] == pytest.approx(expected)


def test_users_without_a_case_and_overlap_of_a_single_model_are_unknown(tmp_path: Path, dataset: Dataset) -> None:
    root = Root(tmp_path / "root")
    ranks = evaluate(
        root, save_untrained(root, "run", dataset), Task(dataset, split_of("leave_last_out"), "test")
    ).ranks
    found = standing([ranks], dataset.num_users + 2, "none", 50)
    assert np.isnan(found.overlap).all()
    assert np.isnan(found.ranks[-2:]).all() and not np.isnan(found.ranks[:-2]).any()
    assert found.k == 50
