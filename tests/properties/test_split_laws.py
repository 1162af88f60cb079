"""Laws of every registered split, on any dataset: nothing that is evaluated on was trained on."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from recformer.data.windows import windows_of

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.errors import DataError
from recformer.registry import SPLITS
from tests.builders import dataset_of
from tests.effort import examples

NUM_ITEMS = 6


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Up to six users with histories of any length, repeats and equal times allowed."""
    history = st.lists(st.integers(0, NUM_ITEMS - 1), max_size=15)
    histories = draw(st.lists(history, min_size=1, max_size=6))
    times: list[int] = []
    for items in histories:
        times += sorted(draw(st.lists(st.integers(0, 50), min_size=len(items), max_size=len(items))))
    assume(times)
    return dataset_of(histories, NUM_ITEMS, times)


def prepared_or_skip(dataset: Dataset, window: int, name: str) -> Prepared:
    try:
        return prepare(dataset, window, parse_section("split", name))
    except DataError:
        assume(False)
        raise


@settings(max_examples=examples(100))
@given(dataset=datasets(), size=st.integers(1, 8))
def test_the_number_of_windows_is_the_sum_of_what_each_history_gives(dataset: Dataset, size: int) -> None:
    lengths = np.diff(dataset.offsets)
    windows = windows_of(dataset, size)
    assert len(windows) == sum(max(int(n) + 2 - size, 0) for n in lengths)
    rows = np.arange(len(windows))
    own = windows.user_starts[windows.users]
    assert (windows.starts >= own).all()
    assert (windows.target_positions(rows) < windows.user_starts[windows.users + 1]).all()


@settings(max_examples=examples(150))
@given(dataset=datasets(), window=st.integers(1, 5), name=st.sampled_from(SPLITS.names()))
def test_no_target_position_is_in_two_parts_and_parts_are_ascending(dataset: Dataset, window: int, name: str) -> None:
    data = prepared_or_skip(dataset, window, name)
    seen: set[int] = set()
    for part in ("train", "validation", "test"):
        rows = data.split.rows(part)
        assert (np.diff(rows) > 0).all()
        positions = set(data.windows.target_positions(rows).tolist())
        assert len(positions) == len(rows)
        assert not positions & seen
        seen |= positions


@settings(max_examples=examples(150))
@given(dataset=datasets(), window=st.integers(1, 5), name=st.sampled_from(SPLITS.names()))
def test_where_items_are_ranked_no_target_is_sos_or_eos(dataset: Dataset, window: int, name: str) -> None:
    data = prepared_or_skip(dataset, window, name)
    targets = data.windows.targets(np.concatenate([data.split.rows(p) for p in ("train", "validation", "test")]))
    if data.split.item_set == "items":
        assert (targets < dataset.num_items).all()
    assert data.windows.sos not in targets


@settings(max_examples=examples(150))
@given(dataset=datasets(), window=st.integers(1, 5))
def test_leave_last_out_trains_on_no_position_that_it_holds_out(dataset: Dataset, window: int) -> None:
    data = prepared_or_skip(dataset, window, "leave_last_out")
    held_out = data.windows.target_positions(np.concatenate([data.split.validation, data.split.test]))
    train = data.split.train
    read = data.windows.starts[train][:, None] + np.arange(window + 1)  # inputs and target
    assert not np.isin(read, held_out).any()
    # Nothing of validation reads the test's item either.
    read = data.windows.starts[data.split.validation][:, None] + np.arange(window + 1)
    assert not np.isin(read, data.windows.target_positions(data.split.test)).any()


@settings(max_examples=examples(100))
@given(dataset=datasets(), window=st.integers(1, 5))
def test_leave_last_out_tests_every_user_that_it_does_not_count_as_skipped(dataset: Dataset, window: int) -> None:
    data = prepared_or_skip(dataset, window, "leave_last_out")
    assert len(data.split.test) == len(np.unique(data.windows.users[data.split.test]))
    assert len(data.split.test) + data.split.skipped_users == dataset.num_users


@settings(max_examples=examples(100))
@given(dataset=datasets(), window=st.integers(1, 5))
def test_global_temporal_orders_its_parts_in_time(dataset: Dataset, window: int) -> None:
    data = prepared_or_skip(dataset, window, "global_temporal")
    spans = []
    for part in ("train", "validation", "test"):
        rows = data.split.rows(part)
        times = dataset.timestamps[data.windows.target_positions(rows) - 2 * data.windows.users[rows] - 1]
        spans.append((times.min(), times.max()))
    assert spans[0][1] < spans[1][0]
    assert spans[1][1] < spans[2][0]
