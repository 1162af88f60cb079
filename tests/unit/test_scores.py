"""A model's recommendations: in step with the evaluation, and marked truthfully."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recformer.checkpoint.load import load
from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset
from recformer.errors import DataError, EvaluationError, UsageError
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.ranks import MASKINGS, Masking
from recformer.recommend.scores import listed, next_scores_of, target_ranks
from recformer.recommend.side_by_side import Query, advise
from recformer.recommend.user_case import UserCase, display_title, user_case_of
from recformer.run.paths import Root
from tests.builders import SMALL, SMALL_MOVIES, dataset_in, dataset_of, write_ml1m
from tests.training_helpers import save_untrained, sizes_for, small_model


class Fixed(nn.Module):
    """Gives the same logits whatever it is asked."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, tokens: Tensor, users: Tensor) -> Tensor:  # noqa: ARG002
        return self.logits.repeat(len(tokens), 1)


def recommend(
    model: nn.Module, dataset: Dataset, user_case: UserCase, k: int, masking: Masking, length: int = 5
) -> tuple[list[dict[str, Any]], int]:
    """A model's list, and the held-out movie's rank."""
    scores = next_scores_of(model, length, dataset, user_case)[0]
    ranks = target_ranks(scores, user_case)
    assert ranks is not None
    return listed(scores, dataset, user_case, k, masking), ranks[masking]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_in(tmp_path / "small")


@pytest.mark.parametrize("masking", MASKINGS)
def test_the_targets_rank_is_the_rank_stores_for_every_user(root: Root, dataset: Dataset, masking: Masking) -> None:
    checkpoint = save_untrained(root, "run", dataset)
    stored = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), "test")).ranks
    model, _ = load(checkpoint.path)
    for case, token in enumerate(stored.user):
        user_case = user_case_of(dataset, int(dataset.user_ids[token]), 5)
        items, target_rank = recommend(model, dataset, user_case, 20, masking)
        assert target_rank == stored.rank(masking)[case]
        assert user_case.target == stored.target[case]
        hits = [item["rank"] for item in items if item["hit"]]
        assert hits == ([target_rank] if target_rank <= 20 else [])
        for of, marks in (
            ("window", [item["repeat_window"] for item in items]),
            ("history", [item["seen"] for item in items]),
        ):
            assert np.cumsum(marks).tolist() == stored.repeats(of, masking)[case, : len(marks)].tolist()


def test_a_worked_example() -> None:
    dataset = dataset_of([[0, 1, 2, 3]], num_items=6)  # window [1 2], target 3
    model = Fixed([9.0, 1.0, 8.0, 5.0, 6.0, 2.0, 99.0, 99.0])
    user_case = user_case_of(dataset, 100, 2)
    assert (user_case.window.tolist(), user_case.history.tolist(), user_case.target) == ([1, 2], [0, 1, 2], 3)
    expected = {"none": [0, 2, 4, 3, 5, 1], "window": [0, 4, 3, 5], "history": [4, 3, 5]}
    for masking in MASKINGS:
        items, target_rank = recommend(model, dataset, user_case, 10, masking)
        assert [item["item_id"] - 10 for item in items] == expected[masking]
        assert target_rank == expected[masking].index(3) + 1
        assert [item["rank"] for item in items] == list(range(1, len(expected[masking]) + 1))
    marks = [
        (item["hit"], item["repeat_window"], item["seen"])
        for item in recommend(model, dataset, user_case, 6, "none")[0]
    ]
    assert marks == [
        (False, False, True),
        (False, True, True),
        (False, False, False),
        (True, False, False),
        (False, False, False),
        (False, True, True),
    ]


def test_scores_are_shares_of_the_probability_over_all_movies_before_masking() -> None:
    dataset = dataset_of([[0, 1, 2]], num_items=4)
    model = Fixed([np.log(1.0), np.log(2.0), np.log(3.0), np.log(4.0), 50.0, 50.0])
    user_case = user_case_of(dataset, 100, 2)
    scores = {item["item_id"] - 10: item["score"] for item in recommend(model, dataset, user_case, 4, "none")[0]}
    assert scores == pytest.approx({0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4})
    masked = recommend(model, dataset, user_case, 4, "history")[0]
    assert {item["item_id"] - 10: item["score"] for item in masked} == pytest.approx({2: 0.3, 3: 0.4})


def test_a_tie_counts_against_the_target() -> None:
    dataset = dataset_of([[0, 1, 2]], num_items=4)
    assert recommend(Fixed([1.0] * 6), dataset, user_case_of(dataset, 100, 2), 4, "none")[1] == 4
    assert recommend(Fixed([1.0] * 6), dataset, user_case_of(dataset, 100, 2), 4, "history")[1] == 2


def test_a_target_the_user_had_before_stays_a_candidate() -> None:
    dataset = dataset_of([[0, 1, 2, 1]], num_items=4)
    items, rank = recommend(Fixed([9.0, 8.0, 7.0, 1.0, 0.0, 0.0]), dataset, user_case_of(dataset, 100, 2), 4, "history")
    assert (rank, items[0]["item_id"], items[0]["seen"]) == (1, 11, True)


def test_a_history_shorter_than_the_window_is_all_of_it() -> None:
    dataset = dataset_of([[0, 1, 2]], num_items=4)
    user_case = user_case_of(dataset, 100, 3)
    assert (user_case.window.tolist(), user_case.history.tolist(), user_case.target) == ([0, 1], [0, 1], 2)
    assert recommend(Fixed([4.0, 3.0, 2.0, 1.0, 0.0, 0.0]), dataset, user_case, 4, "window")[1] == 1


def test_a_history_too_short_to_be_judged_is_a_data_error() -> None:
    with pytest.raises(DataError, match=r"user 100 has 2 movies.*held out have 3 or more"):
        user_case_of(dataset_of([[0, 1]], num_items=4), 100, 1)


@pytest.mark.parametrize("window", [5, 50])
@pytest.mark.parametrize("masking", ["none", "history"])
def test_users_with_few_movies_are_ranked_as_in_the_evaluation(root: Root, window: int, masking: Masking) -> None:
    draw = np.random.default_rng(2)
    dataset = dataset_of([draw.permutation(30)[:n].tolist() for n in (3, 4, 5, 6, 20, 2, 1, 0)], 30)
    checkpoint = save_untrained(root, "run", dataset, window=window)
    stored = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), "test")).ranks
    assert stored.user.tolist() == [0, 1, 2, 3, 4]
    model, _ = load(checkpoint.path)
    for case, token in enumerate(stored.user):
        user_case = user_case_of(dataset, int(dataset.user_ids[token]), 5)
        _, target_rank = recommend(model, dataset, user_case, 20, masking, window)
        assert (target_rank, user_case.target) == (stored.rank(masking)[case], stored.target[case])


@pytest.mark.parametrize("user", [0, 100, 102, 189, 10**12, -5])
def test_an_unknown_user_is_told_with_the_ids_there_are(dataset: Dataset, user: int) -> None:
    with pytest.raises(UsageError, match=rf"user {user} is not in small; its user ids go from 101 to 188"):
        user_case_of(dataset, user, 5)


@pytest.mark.parametrize("k", [0, -1, 101])
def test_a_list_length_outside_of_1_to_100_is_refused(dataset: Dataset, k: int) -> None:
    model = small_model(sizes_for(dataset))
    with pytest.raises(UsageError, match=f"k = {k} is not allowed: use a whole number from 1 to 100"):
        recommend(model, dataset, user_case_of(dataset, 101, 5), k, "none")


def test_a_list_longer_than_the_catalogue_is_the_catalogue(dataset: Dataset) -> None:
    model = small_model(sizes_for(dataset))
    items, _ = recommend(model, dataset, user_case_of(dataset, 101, 5), 100, "none")
    assert sorted(item["item_id"] for item in items) == dataset.item_ids.tolist()
    assert sum(item["score"] for item in items) == pytest.approx(1)


def test_scores_that_are_not_numbers_are_an_error() -> None:
    dataset = dataset_of([[0, 1, 2]], num_items=4)
    with pytest.raises(EvaluationError, match="not numbers"):
        recommend(Fixed([1.0, float("nan"), 0, 0, 0, 0]), dataset, user_case_of(dataset, 100, 2), 4, "none")


def test_titles_have_their_year_where_it_is_known(tmp_path: Path) -> None:
    catalogue = SMALL_MOVIES | {30: ("Misérables, Les", None, ["Drama"])}
    dataset = read_dataset(write_ml1m(tmp_path, SMALL, catalogue))
    assert [display_title(dataset, item) for item in (0, 2)] == ["Toy Story (1995)", "Misérables, Les"]


def test_advice_names_ids_and_leaves_sos_out(root: Root) -> None:
    dataset = dataset_of([[0, 1, 2, 3, 4], [2, 3, 4, 0, 1, 5]], num_items=6)
    checkpoint = save_untrained(root, "run", dataset)
    advice = advise(root, [checkpoint], dataset, Query(100, 3, "history"))
    assert (advice["user"], advice["window"], advice["target"]) == (100, [10, 11, 12, 13], 14)
    (model,) = advice["models"]
    assert (model["run"], model["checkpoint"]) == ("run", "best")
    assert {item["item_id"] for item in model["items"]} <= {14, 15}
    assert set(model["items"][0]) == {"rank", "item_id", "title", "score", "hit", "repeat_window", "seen"}
    assert advise(root, [checkpoint], dataset, Query(101, 3, "none"))["window"] == [12, 13, 14, 10, 11]


@pytest.mark.parametrize("recent", [1, 5, 50])
@pytest.mark.parametrize("masking", MASKINGS)
def test_models_that_read_more_and_less_answer_side_by_side_as_they_are_evaluated(
    root: Root, dataset: Dataset, masking: Masking, recent: int
) -> None:
    checkpoints = [save_untrained(root, f"run-{length}", dataset, window=length) for length in (2, 5, 30)]
    advice = advise(root, checkpoints, dataset, Query(101, 20, masking, recent=recent))
    assert advice["window"] == dataset.item_ids[dataset.history(0)[:-1][-recent:]].tolist()
    for checkpoint, model in zip(checkpoints, advice["models"], strict=True):
        ranks = evaluate(root, checkpoint, Task(dataset, split_of("leave_last_out"), "test", recent=recent)).ranks
        assert model["target_rank"] == ranks.rank(masking)[0]
        repeats = np.cumsum([item["repeat_window"] for item in model["items"]])
        assert repeats.tolist() == ranks.repeats("window", masking)[0, : len(repeats)].tolist()
        assert [reason["item_id"] for reason in model["why"]["reasons"]] == advice["window"]
        moved = [reason["lift"] != 0 for reason in model["why"]["reasons"]]
        reach = int(checkpoint.run.removeprefix("run-"))
        assert not any(moved[: max(len(moved) - reach, 0)]), "what a model does not read changes nothing"
        assert any(moved)


def test_advice_without_a_model_is_refused(root: Root, dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="at least one"):
        advise(root, [], dataset, Query(101, 3, "none"))
