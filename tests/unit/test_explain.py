"""Windows that were made up, and what each of their movies does: against asking the model again by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recformer.checkpoint.load import load
from recformer.data.dataset import Dataset
from recformer.errors import UsageError
from recformer.evaluation.ranks import MASKINGS, Masking
from recformer.recommend.scores import (
    explain,
    listed,
    log_probabilities,
    next_scores_of,
    rank_of,
    taken_out,
    target_ranks,
)
from recformer.recommend.side_by_side import Query, advise
from recformer.recommend.user_case import CROWD, UserCase, as_read, imagined, user_case_of
from recformer.run.paths import Root
from tests.builders import dataset_in, dataset_of
from tests.training_helpers import save_untrained, sizes_for, small_model


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_in(tmp_path / "small")


class Counted(nn.Module):
    """A model that says how often it was asked, and for how many rows."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.rows: list[int] = []

    def forward(self, tokens: Tensor, users: Tensor) -> Tensor:
        self.rows.append(len(tokens))
        return self.model(tokens, users)


def by_hand(model: nn.Module, dataset: Dataset, window: list[int], user: int) -> np.ndarray:
    """Log-probabilities over the movies for one window and one user, one row at a time."""
    with torch.no_grad():
        logits = model(torch.tensor([window]), torch.tensor([user]))[0, : dataset.num_items].double()
    return torch.log_softmax(logits, dim=0).numpy()


def test_a_model_reads_the_latest_and_sos_before_what_there_is_not() -> None:
    dataset = dataset_of([[0, 1, 2, 3]], num_items=6)
    for movies, window in [((), [6, 6, 6]), ((11,), [6, 6, 1]), ((15, 11), [6, 5, 1]), ((14, 15, 11, 10), [5, 1, 0])]:
        user_case = imagined(dataset, movies, 2, None)
        assert as_read(user_case.sequence, 3, 6).tolist() == window
        assert user_case.window.tolist() == [item - 10 for item in movies][-2:]
        assert (user_case.user, user_case.user_token, user_case.target) == (None, None, None)
        assert user_case.history.tolist() == [item - 10 for item in movies]


def test_a_users_history_stays_known_when_their_window_is_made_up() -> None:
    dataset = dataset_of([[0, 1, 2, 3]], num_items=6)
    user_case = imagined(dataset, (15, 11), 3, 100)
    assert (user_case.user, user_case.user_token, user_case.target) == (100, 0, None)
    assert user_case.history.tolist() == [0, 1, 2, 5]  # before the held-out movie, and what was made up


@pytest.mark.parametrize(
    ("movies", "sequence"), [((15,), [0, 5]), ((), [0]), ((11, 12, 15), [0, 1, 2, 5]), ((11, 12), [0, 1, 2])]
)
def test_an_edit_stands_in_place_of_the_window_and_what_was_before_it_stays(
    movies: tuple[int, ...], sequence: list[int]
) -> None:
    user_case = imagined(dataset_of([[0, 1, 2, 3]], num_items=6), movies, 2, 100)
    assert user_case.sequence.tolist() == sequence
    assert user_case.latest.tolist() == [item - 10 for item in movies]
    assert user_case.window.tolist() == sequence[-2:]


@pytest.mark.parametrize(
    ("movies", "user", "message"),
    [
        ((10, 99), None, "movie 99 is not in in memory; its movie ids go from 10 to 15"),
        ((10, 10**30), None, "is not in in memory"),
        ((-1,), None, "movie -1 is not in"),
        ((10,) * 201, None, "201 movies are too many: name at most 200"),
        ((10,), 7, "user 7 is not in in memory"),
    ],
)
def test_what_cannot_be_imagined_is_told(movies: tuple[int, ...], user: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        imagined(dataset_of([[0, 1, 2, 3]], num_items=6), movies, 3, user)


def test_the_users_own_window_made_up_gives_the_same_list_without_a_hit(dataset: Dataset) -> None:
    model = small_model(sizes_for(dataset))
    own = user_case_of(dataset, 101, 5)
    made_up = imagined(dataset, dataset.item_ids[own.window].tolist(), 5, 101)
    cases = [(user_case, next_scores_of(model, 5, dataset, user_case)[0]) for user_case in (own, made_up)]
    here, there = (listed(scores, dataset, user_case, 12, "none") for user_case, scores in cases)
    assert [item["item_id"] for item in here] == [item["item_id"] for item in there]
    assert [target_ranks(scores, user_case) is None for user_case, scores in cases] == [False, True]
    assert not any(item["hit"] for item in there)


def test_nobody_is_the_mean_over_users_spread_evenly() -> None:
    histories = [[user % 9, (user + 1) % 9, (user + 2) % 9] for user in range(200)]
    dataset = dataset_of(histories, num_items=9)
    model = small_model(sizes_for(dataset, window=3))
    user_case = imagined(dataset, (10, 11), 3, None)
    crowd = user_case.asked_as(200)
    assert len(crowd) == CROWD
    assert (crowd[0], crowd[-1]) == (0, 199)
    assert set(np.diff(crowd)) <= {3, 4}
    expected = np.mean([by_hand(model, dataset, [9, 0, 1], user) for user in crowd], axis=0)
    found = log_probabilities(model, 9, as_read(user_case.sequence, 3, 9)[None], crowd)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    shares = [item["score"] for item in listed(found, dataset, user_case, 9, "none")]
    assert sum(shares) == pytest.approx(1)


def test_of_few_users_nobody_is_the_mean_over_all() -> None:
    user_case = imagined(dataset_of([[0, 1, 2]] * 3, num_items=4), (), 2, None)
    assert user_case.asked_as(3).tolist() == [0, 1, 2]
    assert user_case.asked_as(1).tolist() == [0]


@pytest.mark.parametrize("length", [1, 3, 5, 50])
@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("movies", [None, (10, 17, 24, 31, 38), (24, 31), ()])
def test_an_explanation_is_what_asking_again_without_the_movie_gives(
    dataset: Dataset, movies: tuple[int, ...] | None, masking: Masking, length: int
) -> None:
    model = small_model(sizes_for(dataset, window=length))
    user_case = user_case_of(dataset, 101, 5) if movies is None else imagined(dataset, movies, 5, 101)
    sequence = user_case.sequence
    whole = by_hand(model, dataset, as_read(sequence, length, dataset.num_items).tolist(), 0)
    next_scores = next_scores_of(model, length, dataset, user_case)
    items = sequence[len(sequence) - (5 if movies is None else len(movies)) :].tolist()
    for explained in (0, 17, *items[:1]):
        why = explain(next_scores, dataset, user_case, masking, explained)
        shown = user_case.candidates(dataset.num_items, masking, explained)
        assert why["rank"] == rank_of(whole, shown, explained)
        assert why["score"] == pytest.approx(np.exp(whole[explained]), rel=1e-5)
        assert [reason["item_id"] for reason in why["reasons"]] == dataset.item_ids[items].tolist()
        for place, reason in enumerate(why["reasons"]):
            rest = np.delete(sequence, len(sequence) - len(items) + place)
            without = by_hand(model, dataset, as_read(rest, length, dataset.num_items).tolist(), 0)
            assert reason["lift"] == pytest.approx(whole[explained] - without[explained], abs=1e-5)
            assert reason["score_without"] == pytest.approx(np.exp(without[explained]), rel=1e-5)
            assert reason["rank_without"] == rank_of(without, shown, explained)


def test_list_and_explanation_take_one_forward_pass(dataset: Dataset) -> None:
    model = Counted(small_model(sizes_for(dataset)))
    next_scores_of(model, 5, dataset, user_case_of(dataset, 101, 5))
    assert model.rows == [6]


def fixed(scores: list[float]) -> np.ndarray:
    return np.log(np.array(scores) / sum(scores))


def test_masking_takes_out_what_it_hides_of_the_raw_top_and_never_the_target() -> None:
    dataset = dataset_of([[0, 1, 2, 1]], num_items=6)  # window [1 2], target 1, which is in the window too
    user_case = user_case_of(dataset, 100, 2)
    scores = fixed([6, 3, 5, 4, 2, 1])
    assert target_ranks(scores, user_case) == {"none": 4, "window": 3, "history": 2}
    assert taken_out(scores, user_case, 4) == {"none": [], "window": [2], "history": [0, 2]}
    assert taken_out(scores, user_case, 1)["history"] == [0]


def test_without_a_held_out_movie_masking_has_no_ranks_of_it() -> None:
    user_case = imagined(dataset_of([[0, 1, 2]], num_items=4), (10,), 2, None)
    scores = fixed([4, 3, 2, 1])
    assert (target_ranks(scores, user_case), taken_out(scores, user_case, 2)["window"]) == (None, [0])


def test_advice_explains_the_first_of_the_first_list_or_the_movie_named(tmp_path: Path, dataset: Dataset) -> None:
    root = Root(tmp_path / "root")
    checkpoints = [save_untrained(root, name, dataset, seed=seed) for seed, name in enumerate(("one", "other"))]
    advice = advise(root, checkpoints, dataset, Query(101, 5, "history"))
    assert advice["why"]["item_id"] == advice["models"][0]["items"][0]["item_id"]
    named = advise(root, checkpoints, dataset, Query(101, 5, "history", why=17))
    assert named["why"]["item_id"] == 17
    for checkpoint, model in zip(checkpoints, named["models"], strict=True):
        network, _ = load(checkpoint.path)
        user_case = user_case_of(dataset, 101, 5)
        why = explain(next_scores_of(network, 5, dataset, user_case), dataset, user_case, "history", 1)
        assert model["why"]["rank"] == why["rank"]
        assert [reason["lift"] for reason in model["why"]["reasons"]] == [reason["lift"] for reason in why["reasons"]]
        assert [reason["item_id"] for reason in model["why"]["reasons"]] == named["window"]


def test_advice_compares_each_pair_of_lists(tmp_path: Path, dataset: Dataset) -> None:
    root = Root(tmp_path / "root")
    checkpoints = [save_untrained(root, f"run-{seed}", dataset, seed=seed // 2) for seed in range(3)]
    advice = advise(root, checkpoints, dataset, Query(None, 8, "none", items=(10, 17)))
    assert [pair["models"] for pair in advice["overlap"]] == [[0, 1], [0, 2], [1, 2]]
    assert (advice["overlap"][0]["jaccard"], advice["overlap"][0]["rbo"]) == (1, pytest.approx(1))  # the same weights
    lists = [{item["item_id"] for item in model["items"]} for model in advice["models"]]
    assert advice["overlap"][1]["jaccard"] == len(lists[0] & lists[2]) / len(lists[0] | lists[2])
    assert (advice["user"], advice["target"], advice["window"]) == (None, None, [10, 17])
    assert all(model["target_rank"] is None for model in advice["models"])


def test_masking_that_leaves_nothing_is_told(tmp_path: Path) -> None:
    dataset = dataset_of([[0, 1, 2]] * 2, num_items=3)
    checkpoint = save_untrained(Root(tmp_path), "run", dataset, window=3)
    with pytest.raises(UsageError, match="masking history leaves no movie"):
        advise(Root(tmp_path), [checkpoint], dataset, Query(None, 3, "history", items=(10, 11, 12)))


def test_nobody_without_a_window_is_told(tmp_path: Path, dataset: Dataset) -> None:
    checkpoint = save_untrained(Root(tmp_path / "root"), "run", dataset)
    with pytest.raises(UsageError, match="--user ID"):
        advise(Root(tmp_path / "root"), [checkpoint], dataset, Query(None, 3, "none"))


def test_a_situation_without_a_user_masks_its_window_alone() -> None:
    user_case = UserCase(None, None, np.array([2]), np.array([2]), 5, 1, None)
    for masking in ("window", "history"):
        assert np.flatnonzero(~user_case.candidates(9, masking)).tolist() == [2]
