"""Cases and what a model reads before them, against a plain reading of their definition."""

from pathlib import Path

import numpy as np
import pytest

from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, Histories, histories_of, interactions
from tests.builders import dataset_in, dataset_of


def plain_cases(dataset: Dataset, size: int, least: int) -> list[tuple[int, list[int], int]]:
    """(user, input tokens, target) of every case with at least `least` tokens before it, by slicing lists."""
    sos, eos = dataset.num_items, dataset.num_items + 1
    found: list[tuple[int, list[int], int]] = []
    for user in range(dataset.num_users):
        tokens = [sos, *dataset.history(user).tolist(), eos]
        padded = [sos] * size + tokens
        found += [(user, padded[end : end + size], tokens[end]) for end in range(least, len(tokens))]
    return found


def listed(histories: Histories, cases: Cases, size: int) -> list[tuple[int, list[int], int]]:
    columns = (cases.users.tolist(), histories.inputs(cases, size).tolist(), histories.targets(cases).tolist())
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("least", ["all", "full"])
@pytest.mark.parametrize("size", [1, 2, 5, 20, 31, 32])
def test_cases_are_the_tokens_after_the_first_and_inputs_what_comes_before(
    size: int, least: str, tmp_path: Path
) -> None:
    dataset = dataset_in(tmp_path)
    shortest = size if least == "full" else 1
    histories = histories_of(dataset)
    assert listed(histories, histories.all_cases(shortest), size) == plain_cases(dataset, size, shortest)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7])
def test_a_user_with_n_items_has_n_plus_two_minus_size_full_windows_and_n_plus_one_cases(size: int) -> None:
    dataset = dataset_of([[0, 1, 2, 3], [], [4], [1, 0], [3, 3, 3, 3, 3]], num_items=5)
    histories = histories_of(dataset)
    lengths = np.diff(dataset.offsets)
    full = histories.all_cases(size)
    assert len(full) == sum(max(n + 2 - size, 0) for n in lengths)
    assert np.bincount(full.users, minlength=5).tolist() == [max(n + 2 - size, 0) for n in lengths]
    assert listed(histories, full, size) == plain_cases(dataset, size, size)
    everything = histories.all_cases()
    assert np.bincount(everything.users, minlength=5).tolist() == (lengths + 1).tolist()
    assert listed(histories, everything, size) == plain_cases(dataset, size, 1)


def test_four_items_and_size_five_give_one_full_window_with_eos_as_target() -> None:
    histories = histories_of(dataset_of([[2, 0, 3, 1]], num_items=4))
    assert listed(histories, histories.all_cases(5), 5) == [(0, [4, 2, 0, 3, 1], 5)]


def test_a_size_longer_than_every_history_gives_no_full_window() -> None:
    histories = histories_of(dataset_of([[0, 1], [1]], num_items=2))
    cases = histories.all_cases(9)
    assert len(cases) == 0
    assert histories.inputs(cases, 9).shape == (0, 9)


def test_what_is_missing_of_an_input_is_sos_and_never_another_users_token() -> None:
    histories = histories_of(dataset_of([[0, 1, 2], [4, 5]], num_items=7))
    cases = histories.all_cases()
    assert histories.inputs(cases[4:], 4).tolist() == [[7, 7, 7, 7], [7, 7, 7, 4], [7, 7, 4, 5]]
    assert histories.targets(cases[4:]).tolist() == [4, 5, 8]
    assert histories.inputs(cases, 200).shape == (7, 200)


def test_sos_and_eos_come_after_the_items() -> None:
    histories = histories_of(dataset_of([[0, 1, 2]], num_items=7))
    assert (histories.sos, histories.eos, histories.num_tokens, histories.num_users) == (7, 8, 9, 1)
    assert histories.tokens.tolist() == [7, 0, 1, 2, 8]


def test_cases_may_be_asked_for_in_any_order_and_twice(tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path)
    histories = histories_of(dataset)
    plain = plain_cases(dataset, 5, 5)
    cases = histories.all_cases(5)
    rows = np.array([17, 3, 3, len(cases) - 1, 0])
    assert listed(histories, cases[rows], 5) == [plain[row] for row in rows]


def test_a_part_of_cases_keeps_the_number_of_targets_of_each() -> None:
    cases = Cases(np.arange(4, dtype=np.int32), np.arange(4) * 3, np.array([1, 2, 3, 4]))
    for rows, expected in ((slice(1, 3), [2, 3]), (np.array([3, 0]), [4, 1]), (np.array([True, False] * 2), [1, 3])):
        part = cases[rows]
        assert part.num_targets is not None
        assert part.num_targets.tolist() == expected
        assert part.ends.tolist() == (part.users * 3).tolist()
    assert Cases(cases.users, cases.ends)[1:].num_targets is None


def test_lengths_interactions_and_owners_are_those_of_the_dataset(tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path)
    histories = histories_of(dataset)
    cases = histories.all_cases()
    cases = cases[histories.targets(cases) != histories.eos]
    assert interactions(cases).tolist() == list(range(dataset.num_interactions))
    assert histories.lengths(cases).tolist() == (interactions(cases) - dataset.offsets[cases.users]).tolist()
    assert histories.users_at(cases.ends).tolist() == cases.users.tolist()
