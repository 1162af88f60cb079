"""Windows against a plain reading of their definition."""

from pathlib import Path

import numpy as np
import pytest
from recformer.data.windows import Windows, windows_of

from recformer.data.dataset import Dataset
from tests.builders import dataset_in, dataset_of


def plain_windows(dataset: Dataset, size: int) -> list[tuple[int, list[int], int]]:
    """(user, input tokens, target) of every window, by slicing lists."""
    sos, eos = dataset.num_items, dataset.num_items + 1
    found: list[tuple[int, list[int], int]] = []
    for user in range(dataset.num_users):
        tokens = [sos, *dataset.history(user).tolist(), eos]
        found += [(user, tokens[i : i + size], tokens[i + size]) for i in range(len(tokens) - size)]
    return found


def listed(windows: Windows) -> list[tuple[int, list[int], int]]:
    rows = np.arange(len(windows))
    columns = (windows.users.tolist(), windows.inputs(rows).tolist(), windows.targets(rows).tolist())
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("size", [1, 2, 5, 20, 31, 32])
def test_windows_are_the_runs_of_consecutive_tokens(size: int, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path)
    assert listed(windows_of(dataset, size)) == plain_windows(dataset, size)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7])
def test_a_user_with_n_items_has_n_plus_two_minus_size_windows(size: int) -> None:
    dataset = dataset_of([[0, 1, 2, 3], [], [4], [1, 0], [3, 3, 3, 3, 3]], num_items=5)
    windows = windows_of(dataset, size)
    lengths = np.diff(dataset.offsets)
    assert len(windows) == sum(max(n + 2 - size, 0) for n in lengths)
    assert np.bincount(windows.users, minlength=5).tolist() == [max(n + 2 - size, 0) for n in lengths]
    assert listed(windows) == plain_windows(dataset, size)


def test_four_items_and_size_five_give_one_window_with_eos_as_target() -> None:
    assert listed(windows_of(dataset_of([[2, 0, 3, 1]], num_items=4), 5)) == [(0, [4, 2, 0, 3, 1], 5)]


def test_a_size_longer_than_every_history_gives_no_window() -> None:
    windows = windows_of(dataset_of([[0, 1], [1]], num_items=2), 9)
    assert len(windows) == 0
    assert windows.inputs(np.arange(0)).shape == (0, 9)


def test_sos_and_eos_come_after_the_items() -> None:
    windows = windows_of(dataset_of([[0, 1, 2]], num_items=7), 2)
    assert (windows.sos, windows.eos, windows.num_tokens) == (7, 8, 9)
    assert windows.tokens.tolist() == [7, 0, 1, 2, 8]


def test_rows_may_be_asked_for_in_any_order_and_twice(tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path)
    windows = windows_of(dataset, 5)
    plain = plain_windows(dataset, 5)
    rows = np.array([17, 3, 3, len(windows) - 1, 0])
    assert windows.inputs(rows).tolist() == [plain[row][1] for row in rows]
    assert windows.targets(rows).tolist() == [plain[row][2] for row in rows]
