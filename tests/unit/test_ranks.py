"""Ranks and duplicates against a slow reading of their definition, case by case."""

import numpy as np
import pytest
import torch
from recformer.data.windows import Windows, windows_of

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.errors import EvaluationError
from recformer.evaluation.ranker import rank_cases
from recformer.evaluation.ranks import MASKINGS, MAX_K
from tests.both_rankings import rank_batch
from tests.builders import dataset_of
from tests.rank_reference import plain_ranks
from tests.training_helpers import sizes_for, small_model


def random_dataset(num_items: int, seed: int, repeats: bool = False) -> Dataset:
    draw = np.random.default_rng(seed)
    lengths = draw.integers(4, max(min(num_items, 30), 4) + 1, size=12)
    return dataset_of([draw.choice(num_items, n, replace=repeats).tolist() for n in lengths], num_items)


def distinct_scores(count: int, num_tokens: int, seed: int) -> torch.Tensor:
    """(B, V) scores of which no two in a row are equal."""
    draw = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([draw.permutation(num_tokens) for _ in range(count)]).astype(np.float32))


def assert_like_plain(logits: torch.Tensor, windows: Windows, rows: np.ndarray, items_only: bool) -> None:
    found = rank_batch(logits, windows, rows, items_only)
    expected = plain_ranks(logits.numpy(), windows, rows, items_only)
    for name, values in found.arrays().items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("items_only", [True, False])
@pytest.mark.parametrize("num_items", [60, 30])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_ranks_and_duplicates_are_those_of_the_definition(num_items: int, size: int, items_only: bool) -> None:
    windows = windows_of(random_dataset(num_items, seed=size), size)
    rows = np.arange(len(windows))
    if items_only:
        rows = rows[windows.targets(rows) != windows.eos]
    assert_like_plain(distinct_scores(len(rows), windows.num_tokens, seed=1), windows, rows, items_only)


@pytest.mark.parametrize("num_items", [3, 8, 19, 20, 21, 24, 25])
def test_catalogues_about_as_short_as_the_list_are_ranked_too(num_items: int) -> None:
    windows = windows_of(random_dataset(num_items, seed=num_items, repeats=True), 4)
    rows = np.arange(len(windows))
    assert_like_plain(distinct_scores(len(rows), windows.num_tokens, seed=2), windows, rows, items_only=False)
    rows = rows[windows.targets(rows) != windows.eos]
    assert_like_plain(distinct_scores(len(rows), windows.num_tokens, seed=3), windows, rows, items_only=True)


def test_histories_with_repeats_are_ranked_like_the_definition() -> None:
    windows = windows_of(random_dataset(40, seed=9, repeats=True), 5)
    rows = np.arange(len(windows))
    rows = rows[windows.targets(rows) != windows.eos]
    assert any(windows.targets(rows[i : i + 1])[0] in windows.inputs(rows[i : i + 1])[0] for i in range(len(rows)))
    assert_like_plain(distinct_scores(len(rows), windows.num_tokens, seed=4), windows, rows, items_only=True)


def test_a_target_in_the_window_stays_a_candidate() -> None:
    windows = windows_of(dataset_of([[0, 1, 2, 1]], num_items=5), 3)
    row = np.array([1])  # SOS before it, [0 1 2] → 1
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0]])
    ranks = rank_batch(logits, windows, row, items_only=True)
    assert windows.targets(row).tolist() == [1]
    assert [ranks.rank(masking).tolist() for masking in MASKINGS] == [[2], [1], [1]]


def test_a_target_in_the_window_keeps_its_place_in_the_list_with_the_window_masked() -> None:
    windows = windows_of(dataset_of([[0, 1, 2, 1]], num_items=5), 2)
    row = np.array([2])  # 0 before it, [1 2] → 1
    logits = torch.tensor([[8.0, 9.0, 3.0, 2.0, 1.0, 0.0, 0.0]])
    ranks = rank_batch(logits, windows, row, items_only=True)
    assert windows.targets(row).tolist() == [1]
    assert ranks.repeats("history", "window")[0, :4].tolist() == [0, 1, 1, 1]  # the list is 1 0 3 4


def test_a_worked_example() -> None:
    windows = windows_of(dataset_of([[0, 1, 2, 3, 4, 5]], num_items=8), 2)
    row = np.array([3])  # history 0 1 2 3 and SOS, window [2 3], target 4
    assert (windows.inputs(row).tolist(), windows.targets(row).tolist()) == ([[2, 3]], [4])
    logits = torch.tensor([[9.0, 1.0, 8.0, 7.0, 5.0, 6.0, 2.0, 0.0, 99.0, 99.0]])  # SOS and EOS score highest
    ranks = rank_batch(logits, windows, row, items_only=True)  # 0 2 3 5 4 6 1 7
    assert [ranks.rank(masking).tolist() for masking in MASKINGS] == [[5], [3], [2]]
    assert ranks.repeats("window", "none")[0, :8].tolist() == [0, 1, 2, 2, 2, 2, 2, 2]
    assert ranks.repeats("history", "none")[0, :8].tolist() == [1, 2, 3, 3, 3, 3, 4, 4]
    assert ranks.repeats("history", "window")[0, :6].tolist() == [1, 1, 1, 1, 2, 2]  # 0 5 4 6 1 7
    with_specials = rank_batch(logits, windows, row, items_only=False)
    assert [with_specials.rank(masking).tolist() for masking in MASKINGS] == [[7], [5], [3]]  # SOS is history, EOS not


@pytest.mark.parametrize("masking", ["window", "history"])
def test_what_is_masked_cannot_repeat(masking: str) -> None:
    windows = windows_of(random_dataset(40, seed=3), 5)
    rows = np.arange(3)
    ranks = rank_batch(distinct_scores(3, windows.num_tokens, 0), windows, rows, items_only=False)
    assert not ranks.repeats("window", masking).any()
    assert not ranks.repeats("history", "history").any()


def test_a_tie_counts_against_the_model() -> None:
    windows = windows_of(dataset_of([[0, 1, 2, 3]], num_items=6), 2)
    row = np.array([2])  # [1 2] → 3
    logits = torch.tensor([[1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
    ranks = rank_batch(logits, windows, row, items_only=True)
    assert [ranks.rank(masking).tolist() for masking in MASKINGS] == [[5], [3], [2]]


@pytest.mark.parametrize("value", [0.0, -3.5, 1e30, float("inf")])
def test_constant_scores_give_every_case_the_worst_rank(value: float) -> None:
    windows = windows_of(random_dataset(40, seed=5), 5)
    rows = np.arange(len(windows))
    rows = rows[windows.targets(rows) != windows.eos]
    ranks = rank_batch(torch.full((len(rows), windows.num_tokens), value), windows, rows, items_only=True)
    assert (ranks.rank_none == 40).all()
    inputs = windows.inputs(rows)
    assert ranks.rank_window.tolist() == [40 - np.count_nonzero(row < 40) for row in inputs]


@pytest.mark.parametrize("place", [0, 25, 39])
def test_a_score_that_is_not_a_number_is_an_error(place: int) -> None:
    windows = windows_of(random_dataset(40, seed=5), 5)
    logits = distinct_scores(4, windows.num_tokens, 0)
    logits[2, place] = float("nan")
    with pytest.raises(EvaluationError, match="not numbers"):
        rank_batch(logits, windows, np.arange(4), items_only=True)


def test_a_score_that_is_not_a_number_is_an_error_among_thousands_too() -> None:
    windows = windows_of(random_dataset(3000, seed=5), 5)
    for place in (0, 1500, 2999):
        logits = distinct_scores(4, windows.num_tokens, 0)
        logits[3, place] = float("nan")
        with pytest.raises(EvaluationError, match="not numbers"):
            rank_batch(logits, windows, np.arange(4), items_only=True)


@pytest.mark.parametrize("kind", ["distinct", "equal", "few levels", "mostly hidden", "infinite"])
@pytest.mark.parametrize("num_items", [50, 3000])
def test_the_lists_are_those_of_a_search_for_each(kind: str, num_items: int) -> None:
    """One search serves for two lists; where it cannot tell, or scores are equal, nothing may differ from two."""
    draw = np.random.default_rng(6)
    windows = windows_of(dataset_of([draw.permutation(num_items)[:45].tolist() for _ in range(4)], num_items), 5)
    rows = np.arange(len(windows))
    scores = distinct_scores(len(rows), windows.num_tokens, seed=7)
    marks = torch.zeros_like(scores, dtype=torch.bool)
    for row, position in enumerate(windows.target_positions(rows)):
        marks[row, windows.tokens[windows.user_starts[windows.users[row]] : position].astype(np.int64)] = True
    if kind == "equal":
        scores[::2] = 1.0
    elif kind == "few levels":
        scores = (scores / 10).round()
    elif kind == "mostly hidden":
        scores += 10_000.0 * marks
    elif kind == "infinite":
        scores[:, 7:] = -torch.inf
        scores[::2, 3] = torch.inf
    hidden = marks.scatter(1, torch.from_numpy(windows.targets(rows)).long()[:, None], False)
    order = scores.sort(dim=1, descending=True, stable=True).indices  # of equal scores the lower token comes first
    unseen = [[token for token in row.tolist() if not hidden[i, token]][:MAX_K] for i, row in enumerate(order)]
    ranks = rank_batch(scores, windows, rows, items_only=False)
    np.testing.assert_array_equal(ranks.top_none, order[:, :MAX_K])
    np.testing.assert_array_equal(ranks.top_history, [row + [-1] * (MAX_K - len(row)) for row in unseen])


def test_many_batches_are_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = random_dataset(40, seed=7)
    model = small_model(sizes_for(dataset))
    data = prepare(dataset, 5, parse_section("split", "random_windows"))
    rows = np.arange(len(data.windows))
    once = rank_cases(model, data, rows, torch.device("cpu"))
    monkeypatch.setattr("recformer.evaluation.ranker.BATCH", 7)
    told: list[tuple[int, int]] = []
    pieces = rank_cases(model, data, rows, torch.device("cpu"), lambda done, total: told.append((done, total)))
    for name, values in once.arrays().items():
        np.testing.assert_array_equal(values, pieces.arrays()[name], err_msg=name)
    assert told[-1] == (len(rows), len(rows))
    assert once.window_repeats_none.shape == (len(rows), MAX_K)


@pytest.mark.parametrize("training", [True, False])
def test_ranking_is_done_without_dropout_and_leaves_the_models_mode(training: bool) -> None:
    dataset = random_dataset(40, seed=7)
    model = small_model(sizes_for(dataset)).train(training)
    data = prepare(dataset, 5, parse_section("split", "random_windows"))
    one, other = (rank_cases(model, data, data.split.test, torch.device("cpu")) for _ in range(2))
    assert one.rank_none.tolist() == other.rank_none.tolist()
    assert model.training is training


def test_who_stops_a_ranking_finds_pytorchs_threads_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = random_dataset(40, seed=7)
    data = prepare(dataset, 5, parse_section("split", "random_windows"))
    monkeypatch.setattr("recformer.evaluation.ranker.BATCH", 7)
    threads = torch.get_num_threads()

    def stop(done: int, total: int) -> None:
        raise EvaluationError("stopped")

    with pytest.raises(EvaluationError, match="stopped"):
        rank_cases(small_model(sizes_for(dataset)), data, np.arange(len(data.windows)), torch.device("cpu"), stop)
    assert torch.get_num_threads() == threads
