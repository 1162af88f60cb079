"""Laws of every registered split, on any dataset: nothing that is evaluated on was trained on."""

from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recformer.config import parse_section
from recformer.data.dataset import Dataset
from recformer.data.histories import histories_of, interactions
from recformer.data.prepared import Prepared, prepare
from recformer.data.split.base import Part
from recformer.errors import DataError
from recformer.registry import SPLITS
from tests.builders import dataset_of
from tests.effort import examples

NUM_ITEMS = 6
PARTS: tuple[Part, ...] = ("train", "validation", "test")


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


def prepared_or_skip(dataset: Dataset, name: str, **options: Any) -> Prepared:
    try:
        return prepare(dataset, parse_section("split", {"name": name} | options))
    except DataError:
        assume(False)
        raise


@settings(max_examples=examples(100))
@given(dataset=datasets(), size=st.integers(1, 8))
def test_the_number_of_cases_is_the_sum_of_what_each_history_gives(dataset: Dataset, size: int) -> None:
    lengths = np.diff(dataset.offsets)
    histories = histories_of(dataset)
    cases = histories.all_cases(size)
    assert len(cases) == sum(max(int(n) + 2 - size, 0) for n in lengths)
    assert (cases.ends - size >= histories.user_starts[cases.users]).all()
    assert (cases.ends < histories.user_starts[cases.users + 1]).all()
    assert (histories.users_at(cases.ends) == cases.users).all()


def options_of(name: str, size: int) -> dict[str, Any]:
    return {"size": size} if name == "random_windows" else {}


@settings(max_examples=examples(150))
@given(dataset=datasets(), size=st.integers(1, 5), name=st.sampled_from(SPLITS.names()))
def test_no_target_position_is_in_two_parts_and_parts_are_ascending(dataset: Dataset, size: int, name: str) -> None:
    data = prepared_or_skip(dataset, name, **options_of(name, size))
    seen: set[int] = set()
    for part in PARTS:
        cases = data.split.cases(part)
        assert (np.diff(cases.ends) > 0).all()
        assert (data.histories.users_at(cases.ends) == cases.users).all()
        positions = set(cases.ends.tolist())
        assert len(positions) == len(cases)
        assert not positions & seen
        seen |= positions


@settings(max_examples=examples(150))
@given(dataset=datasets(), size=st.integers(1, 5), name=st.sampled_from(SPLITS.names()))
def test_where_items_are_ranked_no_target_is_sos_or_eos(dataset: Dataset, size: int, name: str) -> None:
    data = prepared_or_skip(dataset, name, **options_of(name, size))
    targets = np.concatenate([data.histories.targets(data.split.cases(part)) for part in PARTS])
    if data.split.item_set == "items":
        assert (targets < dataset.num_items).all()
    assert data.histories.sos not in targets


@settings(max_examples=examples(150))
@given(dataset=datasets(), name=st.sampled_from(["leave_last_out", "global_temporal"]), as_set=st.booleans())
def test_a_held_out_case_has_an_interaction_before_it(dataset: Dataset, name: str, as_set: bool) -> None:
    data = prepared_or_skip(dataset, name, time_ties="as_set" if as_set else "file")
    for part in PARTS[1:]:
        assert (data.histories.lengths(data.split.cases(part)) >= 1).all()


@settings(max_examples=examples(150))
@given(dataset=datasets())
def test_leave_last_out_trains_on_no_position_that_it_holds_out(dataset: Dataset) -> None:
    data = prepared_or_skip(dataset, "leave_last_out")
    split, starts = data.split, data.histories.user_starts
    held_out = set(np.concatenate([split.validation.ends, split.test.ends]).tolist())
    for user, end in zip(split.train.users, split.train.ends, strict=True):
        assert not held_out & set(range(starts[user], end + 1))  # all that can be read, and the target
    # Nothing of validation reads the test's item either.
    tested = set(split.test.ends.tolist())
    for user, end in zip(split.validation.users, split.validation.ends, strict=True):
        assert not tested & set(range(starts[user], end + 1))


@settings(max_examples=examples(100))
@given(dataset=datasets())
def test_leave_last_out_tests_every_user_that_it_does_not_count_as_skipped(dataset: Dataset) -> None:
    data = prepared_or_skip(dataset, "leave_last_out")
    assert len(data.split.test) == len(np.unique(data.split.test.users))
    assert len(data.split.test) + data.split.skipped_users == dataset.num_users


@settings(max_examples=examples(100))
@given(dataset=datasets())
def test_leave_last_out_judges_users_with_three_interactions_and_trains_on_all_others(dataset: Dataset) -> None:
    data = prepared_or_skip(dataset, "leave_last_out")
    lengths = np.diff(dataset.offsets)
    for part in PARTS[1:]:
        assert data.split.cases(part).users.tolist() == np.flatnonzero(lengths >= 3).tolist()
    trained = np.bincount(data.split.train.users, minlength=dataset.num_users)
    assert trained.tolist() == [n - 2 if n >= 3 else n for n in lengths.tolist()]


@settings(max_examples=examples(100))
@given(dataset=datasets())
def test_global_temporal_orders_its_parts_in_time(dataset: Dataset) -> None:
    data = prepared_or_skip(dataset, "global_temporal")
    spans = []
    for part in PARTS:
        times = dataset.timestamps[interactions(data.split.cases(part))]
        spans.append((times.min(), times.max()))
    assert spans[0][1] < spans[1][0]
    assert spans[1][1] < spans[2][0]
