"""RecBole's files of any dataset: columns of any name and type, with what may be missing."""

from pathlib import Path

import pandas as pd
import pytest

from recformer.data.assemble import read_dataset
from recformer.data.cache import load
from recformer.data.categories import categories_of, category_columns, number_columns
from recformer.data.nouns import ITEMS
from recformer.errors import DataError
from tests.builders import write_lines

PURCHASES = ["user_id:token\titem_id:token", "Zoë\t0042", "ann\tA,1", "Zoë\t9223372036854775808", "ann\t0042"]
PRODUCTS = [
    "item_id:token\ttitle:token_seq\tbrand:token\ttags:token_seq\tprice:float\tvector:float_seq\tyear:token",
    "0042\tRed lamp\tAcme\tlight red\t19.5\t1 2\t1999",
    "A,1\tChair\t\t\t\t3 4\t",
    "9223372036854775808\t\tAcme\twood\t1e2\t5 6\tnew",
]


def shop(folder: Path, **files: list[str]) -> Path:
    for suffix, lines in {"inter": PURCHASES, "item": PRODUCTS, **files}.items():
        write_lines(folder / f"shop.{suffix}", lines)
    return folder


def test_interactions_alone_are_a_dataset_in_the_order_of_the_file(tmp_path: Path) -> None:
    write_lines(tmp_path / "shop.inter", PURCHASES)
    dataset = read_dataset(tmp_path)
    assert dataset.user_ids.tolist() == ["Zoë", "ann"]
    assert dataset.item_ids.tolist() == ["0042", "9223372036854775808", "A,1"]
    assert [dataset.history(0).tolist(), dataset.history(1).tolist()] == [[0, 1], [2, 0]]
    assert (dataset.ratings, dataset.has_times, dataset.nouns) == (None, False, ITEMS)
    assert dataset.titles.tolist() == dataset.item_ids.tolist()


def test_columns_of_items_have_the_kinds_that_the_header_says(tmp_path: Path) -> None:
    table = read_dataset(shop(tmp_path)).item_table
    assert category_columns(table) == ["brand", "tags", "year (2)"]
    assert number_columns(table) == ["price"]
    assert table["tags"].tolist() == [["light", "red"], ["wood"], []]
    assert table["price"].isna().tolist() == [False, False, True]
    assert categories_of(pd.Series(table["brand"])).names == ["Acme"]


def test_an_item_without_a_title_is_called_by_its_id(tmp_path: Path) -> None:
    assert read_dataset(shop(tmp_path)).titles.tolist() == ["Red lamp", "9223372036854775808", "Chair"]


def test_what_comes_from_the_cache_is_what_was_read(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop", user=["user_id:token\tvisits:float", "ann\t3", "Zoë\t1"])
    load(folder, tmp_path / "cache")
    again, parsed = load(folder, tmp_path / "cache"), read_dataset(folder)
    pd.testing.assert_frame_equal(again.item_table, parsed.item_table)
    pd.testing.assert_frame_equal(again.user_table, parsed.user_table)
    assert (again.fingerprint, again.ratings, again.has_times) == (parsed.fingerprint, None, False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("\t7", "shop.inter, line 6: user_id is empty"),
        ("a\x07\tb", "shop.inter, line 6: user_id is 'a\\x07'"),
        ("ann\tunknown", "shop.inter, line 6: item id unknown is not in shop.item"),
    ],
)
def test_a_fault_is_named_with_its_line(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_dataset(shop(tmp_path, inter=[*PURCHASES, line]))
    assert said in str(caught.value)


def test_a_number_that_is_none_and_an_item_given_twice_are_named(tmp_path: Path) -> None:
    wrong = [PRODUCTS[0], PRODUCTS[1].replace("19.5", "cheap"), *PRODUCTS[2:]]
    with pytest.raises(DataError, match=r"shop.item, line 2: price is 'cheap'; allowed: a number, or nothing"):
        read_dataset(shop(tmp_path, item=wrong))
    with pytest.raises(DataError, match=r"shop.item, line 5: item id 0042 was given in line 2 already"):
        read_dataset(shop(tmp_path, item=[*PRODUCTS, PRODUCTS[1]]))
