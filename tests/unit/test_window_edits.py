"""Edits of an input window, and how a link says one."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.data.dataset import ids_of
from recformer.recommend.window_edits import added, moved, read, removed, search, written

IDS = pd.Index([10, 20, 30, 40, 50])


def test_an_item_is_added_as_the_latest() -> None:
    assert added((), 30) == (30,)
    assert added((10, 20), 30) == (10, 20, 30)


def test_an_item_is_removed_where_it_stands() -> None:
    assert [removed((10, 20, 10), place) for place in range(3)] == [(20, 10), (10, 10), (10, 20)]


def test_neighbours_change_places_and_the_ends_stay() -> None:
    assert moved((10, 20, 30), 0, 1) == (20, 10, 30)
    assert moved((10, 20, 30), 2, -1) == (10, 30, 20)
    assert moved((10, 20, 30), 2, 1) == (10, 20, 30)
    assert moved((10, 20, 30), 0, -1) == (10, 20, 30)


@pytest.mark.parametrize("items", [(), (30,), (50, 10, 10)])
def test_a_link_says_what_was_written(items: tuple[int, ...]) -> None:
    assert read(written(items), IDS) == (items, [])


@pytest.mark.parametrize(
    ("text", "items", "unknown"),
    [
        ("10,99,20", (10, 20), ["99"]),
        ("x, 10 ,-20,1e1", (10,), ["x", "-20", "1e1"]),
        ("10,20,30,40", (10, 20, 30, 40), []),
        (",,", (), []),
        ("9" * 40, (), ["9" * 40]),
        ("²,10", (10,), ["²"]),
    ],
)
def test_what_a_link_cannot_have_is_told_and_the_rest_is_there(
    text: str, items: tuple[int, ...], unknown: list[str]
) -> None:
    assert read(text, IDS) == (items, unknown)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, unique=True))
def test_a_link_says_any_id(ids: list[str]) -> None:
    (known,) = ids_of(pd.Series(ids, dtype="str"))
    items = tuple(known.tolist())
    assert read(written(items), pd.Index(known).sort_values()) == (items, [])


def test_an_item_is_found_by_title_id_or_category_whatever_the_case() -> None:
    table = pd.DataFrame({"item_id": ["a1", "b2", "c3"], "title": ["Alien", "Heat", "Alice"], "price": [1.0, 2.0, 3.0]})
    table["genre"] = [["Horror"], ["Crime"], ["Drama", "Horror"]]
    assert search(table, "ALI").tolist() == [True, False, True]
    assert search(table, " horror ").tolist() == [True, False, True]
    assert search(table, "B2").tolist() == [False, True, False]
    assert search(table, "x").tolist() == [False] * 3
    assert search(table[["item_id"]], "a1").tolist() == [True, False, False]
