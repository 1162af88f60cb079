"""What must hold of the overlap of any two lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recformer.recommend.overlap import jaccard, rank_biased_overlap
from tests.unit.test_overlap import plain_rbo

Lists = tuple[list[int], list[int]]


@st.composite
def two_lists(draw: st.DrawFn) -> Lists:
    """Two lists of one length, each without an item twice."""
    length = draw(st.integers(1, 12))
    items = st.integers(0, 20)
    lists = [draw(st.lists(items, min_size=length, max_size=length, unique=True)) for _ in range(2)]
    return lists[0], lists[1]


def row(items: list[int]) -> NDArray[np.int64]:
    return np.array([items], dtype=np.int64)


@given(two_lists(), st.floats(0.05, 0.95))
def test_rank_biased_overlap_is_what_its_formula_says(lists: Lists, p: float) -> None:
    one, other = lists
    assert rank_biased_overlap(row(one), row(other), p)[0] == pytest.approx(plain_rbo(one, other, p))


@given(two_lists())
def test_overlap_is_from_zero_to_one_and_the_same_both_ways(lists: Lists) -> None:
    one, other = map(row, lists)
    for measure in (jaccard, rank_biased_overlap):
        value = measure(one, other)[0]
        assert 0 <= value <= 1
        assert value == pytest.approx(measure(other, one)[0])


@given(two_lists())
def test_a_list_is_wholly_like_itself_and_not_at_all_like_one_without_its_items(lists: Lists) -> None:
    one = row(lists[0])
    for measure in (jaccard, rank_biased_overlap):
        assert measure(one, one)[0] == pytest.approx(1)
        assert measure(one, one + 100)[0] == 0


@given(two_lists())
def test_what_fills_up_a_short_list_changes_nothing(lists: Lists) -> None:
    one, other = map(row, lists)
    fill = np.full((1, 3), -1)
    for measure in (jaccard, rank_biased_overlap):
        longer = measure(np.hstack([one, fill]), np.hstack([other, fill]))[0]
        assert longer == pytest.approx(measure(one, other)[0])


@given(two_lists(), st.integers(0, 10))
def test_an_item_shared_further_up_counts_at_least_as_much(lists: Lists, place: int) -> None:
    one = lists[0]
    place %= len(one)
    other = [item + 100 for item in one]
    here = [one[0] if at == place else item for at, item in enumerate(other)]
    top = [one[0] if at == 0 else item for at, item in enumerate(other)]
    assert rank_biased_overlap(row(one), row(top))[0] >= rank_biased_overlap(row(one), row(here))[0] - 1e-12
    assert jaccard(row(one), row(top))[0] == jaccard(row(one), row(here))[0]
