"""The guess of how a table is written and what its columns mean: right where it can be told, else a question."""

from pathlib import Path

import pandas as pd
import pytest

from recformer.data.add import add
from recformer.data.cache import load
from recformer.data.guess import Guess, Said, guess
from recformer.data.mapping import Form
from recformer.errors import DataError, UsageError


def of(tmp_path: Path, text: str | bytes, said: Said | None = None, name: str = "t.csv") -> Guess:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return guess(path, said)


def columns(found: Guess) -> tuple[str | None, ...]:
    mapping = found.mapping
    return mapping.user, mapping.item, mapping.time, mapping.rating, mapping.event


@pytest.mark.parametrize(
    ("text", "expected", "unit"),
    [
        ("userId,movieId,rating,timestamp\n1,10,4.5,964982703\n", ("userId", "movieId", "timestamp", "rating", None), "s"),
        ("InvoiceNo,StockCode,InvoiceDate,CustomerID\n5,85A,2010-12-01 08:26,17850\n", ("CustomerID", "StockCode", "InvoiceDate", None, None), "iso"),
        ("timestamp,visitorid,event,itemid\n1433221332117,257597,view,355908\n", ("visitorid", "itemid", "timestamp", None, "event"), "ms"),
        ("reviewerID,asin,overall,unixReviewTime\nA1,B00,5,1405209600\n", ("reviewerID", "asin", "unixReviewTime", "overall", None), "s"),
        ("user_id,product_id,product_name,added\n1,2,Tea,2020-01-05\n", ("user_id", "product_id", "added", None, None), "iso"),
        ("user,item,when\n1,2,31/12/2023 23:59\n1,3,1/2/2024 8:05\n", ("user", "item", "when", None, None), "dmy"),
        ("user,item,when\n1,2,2/13/2023\n", ("user", "item", "when", None, None), "mdy"),
        ("user,item,when\n1,2,01.02.2023\n", ("user", "item", "when", None, None), "dmy"),
        ("session_id,item,t\n1,2,1405209600000000\n", ("session_id", "item", "t", None, None), "us"),
    ],
)  # fmt: skip
def test_columns_by_their_names_and_units_by_their_values(
    text: str, expected: tuple[str | None, ...], unit: str, tmp_path: Path
) -> None:
    found = of(tmp_path, text)
    assert (columns(found), found.mapping.time_unit) == (expected, unit)
    assert any(expected[0] in reason for reason in found.reasons if expected[0])


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("user;item\na;x\n", Form(separator=";")),
        ("user\titem\na\tx\n", Form(separator="\t")),
        ("user|item\na|x\n", Form(separator="|")),
        ("1::2::3::978300760\n1::3::4::978300761\n", Form(separator="::", header=False, quotes=False)),
        ('user,item\n"a, b",x\n', Form()),
        ('user,item\n5" nail,x\n"open,y\n', Form(quotes=False)),
        ("user,item\n\xe9,x\n".encode("latin-1"), Form(encoding="latin-1")),
        ("\ufeffuser,item\r\na,x\r\n", Form()),
        ('{"user": 1, "item": 2}\n', Form("json_lines")),
        ("1 2 3\n2 5\n3 7 8 9\n", Form("sequences", " ")),
        ("1 2 3 4 5 6\n2 3 4 5 6 7\n", Form("sequences", " ", header=False)),
        ("user,item,note\n" + '1,2,"a\nb"\n' * 150, Form()),
    ],
)
def test_the_form_of_a_file(text: str | bytes, form: Form, tmp_path: Path) -> None:
    assert of(tmp_path, text).mapping.form == form


def test_without_names_columns_go_by_their_places(tmp_path: Path) -> None:
    found = of(tmp_path, "196\t242\t3\t881250949\n186\t302\t3\t891717742\n", name="u.data")
    assert columns(found) == ("1", "2", "4", "3", None)
    assert "without names the columns go by their places: user column 1, item column 2" in "; ".join(found.reasons)


def test_what_was_said_goes_before_any_guess(tmp_path: Path) -> None:
    said = Said(user="b", item="a", has_no_time=True, separator=",", duplicates="first", min_user=3, noun="track")
    found = of(tmp_path, "a,b,timestamp\n1,2,1405209600\n", said)
    assert columns(found) == ("b", "a", None, None, None)
    assert (found.mapping.duplicates, found.mapping.min_user, found.mapping.noun) == ("first", 3, "track")


def test_two_candidates_are_the_better_by_name_and_both_are_told(tmp_path: Path) -> None:
    found = of(tmp_path, "item_name,item_id,user\nTea,7,1\n")
    assert found.mapping.item == "item_id"
    assert "item is 'item_id', by its name; 'item_name' could be it too" in found.reasons


@pytest.mark.parametrize(
    ("text", "said", "message"),
    [
        ("Kunde,Ware\na,x\n", None, "nothing tells whether 'Kunde', 'Ware' are names of columns"),
        ("Kunde,Ware,Jahr\na,x,3\n", None, "nothing says which column is the user and which the item; the columns are 'Kunde', 'Ware', 'Jahr'"),
        ("user,item,date\na,x,12/1/2010 8:26\n", None, "'12/1/2010 8:26' nothing says whether the day comes first"),
        ("user,item,date\na,x,\"Fri, 31 Dec 2010 08:26:00 +0100\"\n", None, "nor a date as in 2026-11-30T20:15:00. Convert it"),
        ("user,item,time\na,x,1405209600000000000\n", None, "is neither a number of s, ms or us"),
        ("user,item\na,x\n", Said(user="customer"), "user 'customer' is no column; there are 'user', 'item'"),
        ("", None, "is empty"),
        ("a,b\n1,2,3\n", None, "no separator splits the first lines into equally many fields"),
        ("user,item\n", None, "there is no row in it"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_asked(text: str, said: Said | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        of(tmp_path, text, said)


def test_a_json_list_is_refused_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Write one object a line"):
        of(tmp_path, '[{"user": 1}]', name="t.json")


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / name.replace("__", ".")).write_text(text)
    return tmp_path


def test_a_folder_has_tables_of_items_and_users_by_their_names(tmp_path: Path) -> None:
    there = folder(
        tmp_path,
        orders__csv="customer,sku\nc1,007\n",
        products__csv="sku;title;kind\n007;Tea;drink\n",
        customers__csv="customer_id,age\nc1,30\n",
    )
    found = guess(there)
    assert found.mapping.files == ("orders.csv",)
    assert found.mapping.items is not None and found.mapping.users is not None
    assert (found.mapping.items.id, found.mapping.items.title, found.mapping.items.form.separator) == (
        "sku",
        "title",
        ";",
    )
    assert (found.mapping.users.file, found.mapping.users.id) == ("customers.csv", "customer_id")


def test_files_of_a_split_and_parts_of_one_table(tmp_path: Path) -> None:
    (tmp_path / "split").mkdir()
    (tmp_path / "parts").mkdir()
    there = folder(
        tmp_path / "split", train__csv="user,item\n1,2\n", valid__csv="user,item\n1,3\n", test__csv="user,item\n1,4\n"
    )
    assert guess(there).mapping.parts == ("train", "validation", "test")
    there = folder(tmp_path / "parts", part_0__csv="user,item\n1,2\n", part_1__csv="user,item\n1,3\n")
    assert guess(there).mapping.files == ("part_0.csv", "part_1.csv")


def test_parquet_in_folders_of_parts(tmp_path: Path) -> None:
    for month in ("01", "02"):
        inner = tmp_path / "year=2026" / f"month={month}"
        inner.mkdir(parents=True)
        pd.DataFrame({"user": [month], "item": ["x"]}).to_parquet(inner / "part-0.parquet")
        (inner / "_SUCCESS").touch()
    found = guess(tmp_path)
    assert found.mapping.files == ("part-0.parquet", "month=02-part-0.parquet")
    assert any("the folders' names are not read" in reason for reason in found.reasons)
    assert load(add(found, "parts", tmp_path / "data"), tmp_path / "data" / ".cache").num_users == 2


def test_recbole_files(tmp_path: Path) -> None:
    there = folder(
        tmp_path,
        a__inter="user_id:token\titem_id:token\ttimestamp:float\nu\tx\t978300760\n",
        a__item="item_id:token\ttitle:token_seq\nx\tTea\n",
    )
    found = guess(there)
    assert columns(found)[:3] == ("user_id", "item_id", "timestamp")
    assert found.mapping.items is not None and found.mapping.items.title == "title"


def test_a_folder_in_which_nothing_says_what_is_what_is_asked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds a\.csv, b\.csv, and nothing says which has the interactions"):
        guess(folder(tmp_path, a__csv="user,item\n1,2\n", b__csv="user,item\n1,2\n"))
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match="holds no file of rows"):
        guess(tmp_path / "x")


def test_a_column_of_a_table_that_is_not_named_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Name the file of items too"):
        of(tmp_path, "user,item\na,x\n", Said(title="name"))


def test_a_name_or_value_that_no_mapping_can_hold_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="user cannot be 'user.x07'"):
        of(tmp_path, "user\x07,item\na,x\n")
    with pytest.raises(UsageError, match="min_rating cannot be 'nan'"):
        of(tmp_path, "user,item,rating\na,x,3\n", Said(min_rating=float("nan")))
