"""Ranks and duplicates against a slow reading of their definition, case by case."""

from typing import Literal

import numpy as np
import pytest
import torch

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, Histories, histories_of
from recformer.data.prepared import prepare
from recformer.errors import EvaluationError
from recformer.evaluation.ranker import rank_cases
from recformer.evaluation.ranks import MASKINGS, MAX_K, RECENT
from tests.both_rankings import rank_batch
from tests.builders import dataset_of
from tests.rank_reference import plain_ranks
from tests.training_helpers import sizes_for, small_model

ItemSet = Literal["items", "tokens"]
CPU = torch.device("cpu")


def random_dataset(num_items: int, seed: int, repeats: bool = False) -> Dataset:
    draw = np.random.default_rng(seed)
    lengths = draw.integers(4, max(min(num_items, 30), 4) + 1, size=12)
    return dataset_of([draw.choice(num_items, n, replace=repeats).tolist() for n in lengths], num_items)


def distinct_scores(count: int, num_tokens: int, seed: int) -> torch.Tensor:
    """(B, V) scores of which no two in a row are equal."""
    draw = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([draw.permutation(num_tokens) for _ in range(count)]).astype(np.float32))


def assert_like_plain(
    logits: torch.Tensor, histories: Histories, cases: Cases, item_set: ItemSet, recent: int = RECENT
) -> None:
    found = rank_batch(logits, histories, cases, item_set, recent)
    expected = plain_ranks(logits.numpy(), histories, cases, item_set, recent)
    for name, values in found.arrays().items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("item_set", ["items", "tokens"])
@pytest.mark.parametrize("num_items", [60, 30])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_ranks_and_duplicates_are_those_of_the_definition(num_items: int, size: int, item_set: ItemSet) -> None:
    histories = histories_of(random_dataset(num_items, seed=size))
    cases = histories.all_cases(size)
    if item_set == "items":
        cases = cases[histories.targets(cases) != histories.eos]
    assert_like_plain(distinct_scores(len(cases), histories.num_tokens, seed=1), histories, cases, item_set, size)


@pytest.mark.parametrize("num_items", [3, 8, 19, 20, 21, 24, 25])
def test_catalogues_about_as_short_as_the_list_are_ranked_too(num_items: int) -> None:
    histories = histories_of(random_dataset(num_items, seed=num_items, repeats=True))
    cases = histories.all_cases(4)
    assert_like_plain(distinct_scores(len(cases), histories.num_tokens, seed=2), histories, cases, "tokens", 4)
    cases = cases[histories.targets(cases) != histories.eos]
    assert_like_plain(distinct_scores(len(cases), histories.num_tokens, seed=3), histories, cases, "items", 4)


def test_histories_with_repeats_are_ranked_like_the_definition() -> None:
    histories = histories_of(random_dataset(40, seed=9, repeats=True))
    cases = histories.all_cases(5)
    cases = cases[histories.targets(cases) != histories.eos]
    assert (histories.inputs(cases, 5) == histories.targets(cases)[:, None]).any()
    assert_like_plain(distinct_scores(len(cases), histories.num_tokens, seed=4), histories, cases, "items")


def test_a_target_in_the_window_stays_a_candidate() -> None:
    histories = histories_of(dataset_of([[0, 1, 2, 1]], num_items=5))
    case = histories.all_cases(3)[1:2]  # SOS before it, [0 1 2] → 1
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0]])
    ranks = rank_batch(logits, histories, case, "items", 3)
    assert histories.targets(case).tolist() == [1]
    assert [ranks.rank(masking).tolist() for masking in MASKINGS] == [[2], [1], [1]]


def test_a_target_in_the_window_keeps_its_place_in_the_list_with_the_window_masked() -> None:
    histories = histories_of(dataset_of([[0, 1, 2, 1]], num_items=5))
    case = histories.all_cases(2)[2:3]  # 0 before it, [1 2] → 1
    logits = torch.tensor([[8.0, 9.0, 3.0, 2.0, 1.0, 0.0, 0.0]])
    ranks = rank_batch(logits, histories, case, "items", 2)
    assert histories.targets(case).tolist() == [1]
    assert ranks.repeats("history", "window")[0, :4].tolist() == [0, 1, 1, 1]  # the list is 1 0 3 4


def test_a_worked_example() -> None:
    histories = histories_of(dataset_of([[0, 1, 2, 3, 4, 5]], num_items=8))
    case = histories.all_cases(2)[3:4]  # history 0 1 2 3 and SOS, window [2 3], target 4
    assert (histories.inputs(case, 2).tolist(), histories.targets(case).tolist()) == ([[2, 3]], [4])
    logits = torch.tensor([[9.0, 1.0, 8.0, 7.0, 5.0, 6.0, 2.0, 0.0, 99.0, 99.0]])  # SOS and EOS score highest
    ranks = rank_batch(logits, histories, case, "items", 2)  # 0 2 3 5 4 6 1 7
    assert [ranks.rank(masking).tolist() for masking in MASKINGS] == [[5], [3], [2]]
    assert ranks.repeats("window", "none")[0, :8].tolist() == [0, 1, 2, 2, 2, 2, 2, 2]
    assert ranks.repeats("history", "none")[0, :8].tolist() == [1, 2, 3, 3, 3, 3, 4, 4]
    assert ranks.repeats("history", "window")[0, :6].tolist() == [1, 1, 1, 1, 2, 2]  # 0 5 4 6 1 7
    with_specials = rank_batch(logits, histories, case, "tokens", 2)
    assert [with_specials.rank(masking).tolist() for masking in MASKINGS] == [[7], [5], [3]]  # SOS is history, EOS not


@pytest.mark.parametrize("masking", ["window", "history"])
def test_what_is_masked_cannot_repeat(masking: str) -> None:
    histories = histories_of(random_dataset(40, seed=3))
    cases = histories.all_cases(5)[:3]
    ranks = rank_batch(distinct_scores(3, histories.num_tokens, 0), histories, cases, "tokens")
    assert not ranks.repeats("window", masking).any()
    assert not ranks.repeats("history", "history").any()


def test_a_tie_counts_against_the_model() -> None:
    histories = histories_of(dataset_of([[0, 1, 2, 3]], num_items=6))
    case = histories.all_cases(2)[2:3]  # [1 2] → 3
    logits = torch.tensor([[1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
    ranks = rank_batch(logits, histories, case, "items", 2)
    assert [ranks.rank(masking).tolist() for masking in MASKINGS] == [[5], [3], [2]]


@pytest.mark.parametrize("value", [0.0, -3.5, 1e30, float("inf")])
def test_constant_scores_give_every_case_the_worst_rank(value: float) -> None:
    histories = histories_of(random_dataset(40, seed=5))
    cases = histories.all_cases(5)
    cases = cases[histories.targets(cases) != histories.eos]
    ranks = rank_batch(torch.full((len(cases), histories.num_tokens), value), histories, cases, "items")
    assert (ranks.rank_none == 40).all()
    inputs = histories.inputs(cases, 5)
    assert ranks.rank_window.tolist() == [40 - np.count_nonzero(row < 40) for row in inputs]


@pytest.mark.parametrize("place", [0, 25, 39])
def test_a_score_that_is_not_a_number_is_an_error(place: int) -> None:
    histories = histories_of(random_dataset(40, seed=5))
    logits = distinct_scores(4, histories.num_tokens, 0)
    logits[2, place] = float("nan")
    with pytest.raises(EvaluationError, match="not numbers"):
        rank_batch(logits, histories, histories.all_cases(5)[:4], "items")


def test_a_score_that_is_not_a_number_is_an_error_among_thousands_too() -> None:
    histories = histories_of(random_dataset(3000, seed=5))
    for place in (0, 1500, 2999):
        logits = distinct_scores(4, histories.num_tokens, 0)
        logits[3, place] = float("nan")
        with pytest.raises(EvaluationError, match="not numbers"):
            rank_batch(logits, histories, histories.all_cases(5)[:4], "items")


@pytest.mark.parametrize("kind", ["distinct", "equal", "few levels", "mostly hidden", "infinite"])
@pytest.mark.parametrize("num_items", [50, 3000])
def test_the_lists_are_those_of_a_search_for_each(kind: str, num_items: int) -> None:
    """One search serves for two lists; where it cannot tell, or scores are equal, nothing may differ from two."""
    draw = np.random.default_rng(6)
    histories = histories_of(dataset_of([draw.permutation(num_items)[:45].tolist() for _ in range(4)], num_items))
    cases = histories.all_cases(5)
    scores = distinct_scores(len(cases), histories.num_tokens, seed=7)
    marks = torch.zeros_like(scores, dtype=torch.bool)
    for row, (user, end) in enumerate(zip(cases.users, cases.ends, strict=True)):
        marks[row, histories.tokens[histories.user_starts[user] : end].astype(np.int64)] = True
    if kind == "equal":
        scores[::2] = 1.0
    elif kind == "few levels":
        scores = (scores / 10).round()
    elif kind == "mostly hidden":
        scores += 10_000.0 * marks
    elif kind == "infinite":
        scores[:, 7:] = -torch.inf
        scores[::2, 3] = torch.inf
    hidden = marks.scatter(1, torch.from_numpy(histories.targets(cases)).long()[:, None], False)
    order = scores.sort(dim=1, descending=True, stable=True).indices  # of equal scores the lower token comes first
    unseen = [[token for token in row.tolist() if not hidden[i, token]][:MAX_K] for i, row in enumerate(order)]
    ranks = rank_batch(scores, histories, cases, "tokens")
    np.testing.assert_array_equal(ranks.top_none, order[:, :MAX_K])
    np.testing.assert_array_equal(ranks.top_history, [row + [-1] * (MAX_K - len(row)) for row in unseen])


def test_many_batches_are_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = random_dataset(40, seed=7)
    model = small_model(sizes_for(dataset))
    data = prepare(dataset, parse_section("split", "random_windows"))
    cases = data.histories.all_cases()
    once = rank_cases(model, data, cases, 5, CPU)
    monkeypatch.setattr("recformer.evaluation.ranker.BATCH", 7)
    told: list[tuple[int, int]] = []
    pieces = rank_cases(model, data, cases, 5, CPU, lambda done, total: told.append((done, total)))
    for name, values in once.arrays().items():
        np.testing.assert_array_equal(values, pieces.arrays()[name], err_msg=name)
    assert told[-1] == (len(cases), len(cases))
    assert once.window_repeats_none.shape == (len(cases), MAX_K)


@pytest.mark.parametrize("training", [True, False])
def test_ranking_is_done_without_dropout_and_leaves_the_models_mode(training: bool) -> None:
    dataset = random_dataset(40, seed=7)
    model = small_model(sizes_for(dataset)).train(training)
    data = prepare(dataset, parse_section("split", "random_windows"))
    one, other = (rank_cases(model, data, data.split.test, 5, CPU) for _ in range(2))
    assert one.rank_none.tolist() == other.rank_none.tolist()
    assert model.training is training


def test_who_stops_a_ranking_finds_pytorchs_threads_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = random_dataset(40, seed=7)
    data = prepare(dataset, parse_section("split", "random_windows"))
    monkeypatch.setattr("recformer.evaluation.ranker.BATCH", 7)
    threads = torch.get_num_threads()

    def stop(done: int, total: int) -> None:
        raise EvaluationError("stopped")

    with pytest.raises(EvaluationError, match="stopped"):
        rank_cases(small_model(sizes_for(dataset)), data, data.histories.all_cases(), 5, CPU, stop)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("recent", [1, 4, 5, 6, 50])
def test_masking_and_duplication_reach_back_to_the_first_item_and_no_further(recent: int) -> None:
    """Histories of 0 to 9 items: some are shorter than what counts as their window."""
    draw = np.random.default_rng(8)
    histories = histories_of(dataset_of([draw.permutation(60)[:n].tolist() for n in (1, 2, 9, 4)], 60))
    cases = histories.all_cases()
    assert histories.lengths(cases).min() == 0
    assert_like_plain(distinct_scores(len(cases), 62, seed=5), histories, cases, "tokens", recent)


@pytest.mark.parametrize("recent", [6, 7, 200, 2**62, 2**70])
def test_a_window_longer_than_the_history_is_the_history(recent: int) -> None:
    """The tokens of the user before are not masked, though they stand where the window would reach to."""
    histories = histories_of(dataset_of([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], num_items=40))
    case = histories.all_cases()[-2:-1]  # SOS 5 6 7 8 → 9
    assert (histories.lengths(case).tolist(), histories.targets(case).tolist()) == ([4], [9])
    scores = distinct_scores(1, histories.num_tokens, seed=3)
    scores[0, :9] += 100  # what the first user had, and what the second had, above everything
    ranks = rank_batch(scores, histories, case, "items", recent)
    assert ranks.rank_window.tolist() == ranks.rank_history.tolist()
    assert ranks.rank_window.tolist() == (ranks.rank_none - 4).tolist()
    np.testing.assert_array_equal(ranks.top_window, ranks.top_history)
    np.testing.assert_array_equal(ranks.window_repeats_none, ranks.history_repeats_none)
    assert ranks.window_repeats_none[0, 8] == 4
    assert not ranks.history_repeats_window.any()


def test_a_case_without_any_item_before_it_masks_nothing_that_is_ranked() -> None:
    histories = histories_of(dataset_of([[3, 1]], num_items=30))
    case = histories.all_cases()[:1]  # SOS → 3
    ranks = rank_batch(distinct_scores(1, 32, seed=1), histories, case, "items")
    assert ranks.rank_none.tolist() == ranks.rank_window.tolist() == ranks.rank_history.tolist()
    assert not ranks.window_repeats_none.any() and not ranks.history_repeats_none.any()


def test_how_much_a_model_reads_changes_no_window() -> None:
    """Cases and what is masked are those of the protocol; a model that reads 9 tokens is asked the same."""
    dataset = random_dataset(40, seed=7)
    data = prepare(dataset, parse_section("split", "leave_last_out"))
    found = [
        rank_cases(small_model(sizes_for(dataset, size)), data, data.split.test, size, CPU, recent=recent)
        for size, recent in ((3, 5), (9, 5), (9, 2))
    ]
    for ranks in found:
        assert ranks.user.tolist() == data.split.test.users.tolist()
        assert ranks.target.tolist() == data.histories.targets(data.split.test).tolist()
    for ranks, recent in zip(found, (5, 5, 2), strict=True):
        listed = [set(row) for row in ranks.top_window.tolist()]
        latest = data.histories.inputs(data.split.test, recent).tolist()
        aims = ranks.target.tolist()
        assert all(not row & (set(own) - {aim}) for row, own, aim in zip(listed, latest, aims, strict=True))
