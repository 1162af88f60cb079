"""Ids of any type: what is a number, what is text, and what both are worth to fingerprints and ties."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recformer.data.assemble import assemble
from recformer.data.categories import category_columns
from recformer.data.dataset import Dataset, id_of, ids_of, numbers_of, token_of
from recformer.data.layouts.base import RawTables
from recformer.data.table import Interactions


def text(*values: str) -> pd.Series:
    return pd.Series(values, dtype="str")


def dataset(users: pd.Series, items: pd.Series, table: pd.DataFrame | None = None) -> Dataset:
    rows = Interactions(Path("shop.csv"), 2, users, items, None, None)
    return assemble(RawTables(rows, table, None, None, None), Path("shop"), "made up")


def test_whole_numbers_as_python_writes_them_are_numbers() -> None:
    (ids,) = ids_of(text("0", "10", "9223372036854775807"))
    assert ids.dtype == np.int64
    assert ids.tolist() == [0, 10, 2**63 - 1]


@pytest.mark.parametrize("odd", ["007", "+7", "-7", "7.0", " 7", "7\n", "٧", "9223372036854775808", "nan", "", "é"])
def test_one_other_value_keeps_all_ids_as_they_came(odd: str) -> None:
    ids, others = ids_of(text("1", odd), text("2"))
    assert ids.dtype == others.dtype == "str"
    assert ids.tolist() == ["1", odd]
    assert others.tolist() == ["2"]


def test_the_id_that_a_text_means() -> None:
    numbers, words = pd.Index([1, 20]), pd.Index(["007", "7"], dtype="str")
    assert id_of(numbers, "20") == 20
    for wrong in ("2", "x", "-1", "1.0", "", "9" * 30, "²"):
        assert id_of(numbers, wrong) is None
    assert id_of(words, "007") == "007"
    assert id_of(words, "0") is None
    assert token_of(words, "7") == 1
    assert token_of(words, 7) is None


def test_text_is_sorted_by_its_bytes_and_tokens_are_places() -> None:
    made = dataset(text("b", "a", "b"), text("é", "Z", "z"))
    assert made.user_ids.tolist() == ["a", "b"]
    assert made.item_ids.tolist() == sorted(["é", "Z", "z"], key=str.encode) == ["Z", "z", "é"]
    assert made.history(1).tolist() == [2, 1]
    assert not made.has_times
    assert made.timestamps.tolist() == [0, 0, 1]
    assert made.ratings is None


def test_a_title_that_is_not_there_is_the_id() -> None:
    table = pd.DataFrame({"item_id": text("x", "y", "z"), "title": ["Lamp", "", None]})
    made = dataset(text("a", "a"), text("y", "x"), table)
    assert made.titles.tolist() == ["Lamp", "y", "z"]
    assert [dataset(text("a"), text("7")).title_of(0), made.title_of(0)] == ["7", "Lamp"]


def test_columns_of_text_and_of_lists_are_categories() -> None:
    table = pd.DataFrame(
        {"item_id": text("x"), "title": ["A"], "image": ["a.png"], "brand": ["B"], "tags": [["c", "d"]], "price": [1.5]}
    )
    assert category_columns(table.astype({"brand": "category"})) == ["brand", "tags"]


def test_fingerprints_differ_exactly_where_ids_do() -> None:
    plain = dataset(text("1", "2"), text("1", "2"))
    words = [
        dataset(text("1", "2"), text(*items)).fingerprint
        for items in (("a", "bc"), ("ab", "c"), ("01", "2"), ("1", "2"))
    ]
    assert len({plain.fingerprint, *words}) == 4
    assert plain.fingerprint == words[3]


def test_numbers_are_their_own_and_texts_have_a_hash_that_stays() -> None:
    assert numbers_of(pd.Index([0, 7])).tolist() == [0, 7]
    assert numbers_of(pd.Index(["é"], dtype="str")).tolist() == [3394012004367669963]
