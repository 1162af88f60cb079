"""Tables of interactions: what is left out is counted, and every fault is one sentence with file, line and remedy."""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.data.guess import guess
from recformer.data.mapping import FILE, Attributes, Form, Mapping, Settings, read_settings, write_settings
from recformer.data.repeats import Repeats, write_choice
from recformer.data.rows import read_rows
from recformer.errors import DataError, UsageError

SIMPLE = Mapping(("t.csv",), "who", "what", "when")


def read(folder: Path, text: str | bytes, mapping: Mapping = SIMPLE) -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "t.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    write_settings(folder, Settings(mapping=mapping))
    return load(folder, folder / "cache")


def table(*rows: str, header: str = "who,what,when") -> str:
    return "".join(f"{row}\n" for row in (header, *rows))


def histories(dataset: Dataset) -> dict[str, list[str]]:
    return {
        str(user): [str(dataset.item_ids[item]) for item in dataset.history(token)]
        for token, user in enumerate(dataset.user_ids)
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,x,1,5"], "line 2: 4 fields in 'a,x,1,5'; allowed: 3, separated by ','"),
        (["a,x,1", "a,x"], "line 3: 2 fields"),
        (["a,x,1", "", "a,y,soon"], "line 4: when 'soon' is no number"),
        (["a,x,1", "a,y,"], "line 3: when is empty"),
        (["a,x,nan"], "line 2: when 'nan' is no time"),
        (["a,x,inf"], "line 2: when 'inf' is no time"),
        (["a,x,-5"], "line 2: when '-5'"),
        (["a,x,1700000000000"], "line 2: when '1700000000000' read in s, is the year 55,8"),
        (["a,x,2026-11-30"], "Say that the times are iso dates"),
        (['"a\nb",x,1', "c,y,soon"], "line 4: when 'soon'"),
        (['a,"x', "y,1"], "line 2: a quote is not closed"),
    ],
)
def test_a_fault_names_file_line_value_and_remedy(rows: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, table(*rows))
    assert message in str(error.value)
    assert str(tmp_path / "t.csv") in str(error.value)


def test_milliseconds_said_to_be_seconds_are_told_their_unit(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"the year 55,8\d\d; allowed: the years 1970 to 9999. Say that the unit of time is ms"
    ):
        read(tmp_path, table("a,x,1700000000000"))


def test_seconds_said_to_be_milliseconds_are_noted(tmp_path: Path) -> None:
    dataset = read(tmp_path, table("a,x,1700000000"), replace(SIMPLE, time_unit="ms"))
    assert dataset.report is not None
    assert any("January 1970" in note for note in dataset.report.notes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"who,what,when\na,x,1", "the last line has no line break; the file may be cut off"),
        (b"who,what,when\n\xe9,x,1\n", "line 2: byte 0xe9 is not UTF-8"),
        ("who,what,when\na,x,1\n".encode("utf-16"), "UTF-16"),
        (b"who,who,when\na,x,1\n", "the column 'who' is there twice"),
        (b"who,what,then\na,x,1\n", "the column 'when' is not among 'who', 'what', 'then'"),
        (b"who,what,when\n", "no interaction is left of 0 rows"),
        (b"who,what,when\na,x,1\na\0b,x,1\n", "line 3: it holds a NUL byte"),
        (b"PAR1who,what,when\n", "is not among"),
        (b"\x1f\x8b\x08\x00garbage", "cut off"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_last_line_without_a_line_break_counts_where_the_file_is_said_to_be_complete(
    encoding: Literal["utf-8", "latin-1"], tmp_path: Path
) -> None:
    whole = "who,what,when\né,x,1\né,y,2".encode(encoding)
    mapping = replace(SIMPLE, form=replace(SIMPLE.form, encoding=encoding, complete=True))
    assert read(tmp_path / "whole", whole, mapping).num_interactions == 2
    with pytest.raises(DataError, match="line 3: a quote is not closed"):
        read(tmp_path / "open", whole + b',"', mapping)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "cut", whole, replace(mapping, form=replace(mapping.form, complete=False)))
    assert str(caught.value).endswith("Add --complete")
    assert caught.value.on_page.endswith("choose Last line: complete")


def test_times_that_are_all_zero_are_kept(tmp_path: Path) -> None:
    """Of a hundred users with one item each, and no times: what was stored began with zeros and was refused."""
    mapping = replace(SIMPLE, time=None)
    dataset = read(tmp_path, table(*(f"user {number},x,0" for number in range(100))), mapping)
    assert (dataset.num_users, dataset.num_interactions) == (100, 100)


def test_ids_are_kept_as_they_came(tmp_path: Path) -> None:
    dataset = read(tmp_path, table("007,Ünïcode 物,1", "7,x y,2", "99999999999999999999,x y,3"))
    assert list(dataset.user_ids) == ["007", "7", "99999999999999999999"]
    assert list(dataset.item_ids) == ["x y", "Ünïcode 物"]


def test_plain_whole_numbers_are_numbers(tmp_path: Path) -> None:
    dataset = read(tmp_path, table("10,5,1", "9,6,2"))
    assert dataset.user_ids.tolist() == [9, 10]
    assert dataset.user_ids.dtype == "int64"


def test_rows_without_user_or_item_are_left_out_and_counted(tmp_path: Path) -> None:
    dataset = read(tmp_path, table("a,x,1", ",x,2", "a, ,3", "a,y,4"))
    assert dataset.report is not None
    assert (dataset.report.rows, dataset.report.empty, dataset.num_interactions) == (4, 2, 2)
    assert dataset.report.left_out() == ["2 rows have no user or no item"]


REPEATED = table("a,x,1,3", "a,y,1,4", "a,x,1,5", "b,x,9,1", header="who,what,when,stars")


@pytest.mark.parametrize(
    ("said", "expected", "ratings", "choice"),
    [
        (None, ["x", "y", "x"], [3, 4, 5], None),
        ("keep", ["x", "y", "x"], [3, 4, 5], "keep"),
        ("first", ["x", "y"], [3, 4], "drop"),
        ("last", ["y", "x"], [4, 5], "drop"),
    ],
)
def test_duplicates(said: str, expected: list[str], ratings: list[float], choice: str, tmp_path: Path) -> None:
    dataset = read(tmp_path, REPEATED, replace(SIMPLE, rating="stars", duplicates=said))
    assert histories(dataset) == {"a": expected, "b": ["x"]}
    assert dataset.ratings is not None
    assert dataset.ratings[:-1].tolist() == ratings
    assert dataset.repeats == Repeats(1, choice)  # type: ignore[arg-type]


def test_the_first_row_that_repeats_one_though_none_may_is_named(tmp_path: Path) -> None:
    message = r"t\.csv, line 4: the row repeats user 'a', item 'x' and time of t\.csv, line 2, and none may"
    with pytest.raises(DataError, match=message):
        read(tmp_path, REPEATED, replace(SIMPLE, duplicates="error"))
    later = table("z,7,5", "b,5,2", "z,7,5", "b,5,2", "z,7,5")
    with pytest.raises(DataError, match=r"line 4: the row repeats user 'z', item '7' and time of t\.csv, line 2"):
        read(tmp_path, later, replace(SIMPLE, duplicates="error"))
    (tmp_path / "u.csv").write_text("who,what,when\na,x,1\n")
    with pytest.raises(DataError, match=r"u\.csv, line 2: the row repeats .* of t\.csv, line 3"):
        read(tmp_path, table("b,x,1", "a,x,1"), replace(SIMPLE, files=("t.csv", "u.csv"), duplicates="error"))


def test_what_is_said_of_repeated_rows_changes_the_mapping_alone(tmp_path: Path) -> None:
    read(tmp_path, REPEATED)
    write_choice(tmp_path, "drop")
    assert read_settings(tmp_path).mapping == replace(SIMPLE, duplicates="first")
    assert load(tmp_path, tmp_path / "cache").num_interactions == 3


def test_low_ratings_and_other_events_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = table("a,x,1,4,buy", "a,y,2,2,buy", "b,x,3,5,view", "b,z,4,5,buy", header="who,what,when,stars,kind")
    dataset = read(tmp_path, rows, replace(SIMPLE, rating="stars", event="kind", min_rating=3, events=("buy",)))
    assert histories(dataset) == {"a": ["x"], "b": ["z"]}
    assert dataset.report is not None
    assert (dataset.report.other_events, dataset.report.low_ratings) == (1, 1)


def test_a_k_core_is_counted_anew_until_all_have_enough(tmp_path: Path) -> None:
    """z goes for being alone, then c for having one, then nothing more."""
    rows = ["a,x,1", "a,y,2", "b,x,3", "b,y,4", "c,x,5", "c,z,6"]
    dataset = read(tmp_path, table(*rows), replace(SIMPLE, min_user=2, min_item=2))
    assert histories(dataset) == {"a": ["x", "y"], "b": ["x", "y"]}
    report = dataset.report
    assert report is not None
    assert (report.rows_of_few, report.users_of_few, report.items_of_few) == (2, 1, 1)
    assert (report.users, report.items, report.interactions) == (2, 2, 4)


def test_filters_that_leave_nothing_say_what_they_took(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no interaction is left of 1 rows: 1 rows are of 1 users and 1 items"):
        read(tmp_path, table("a,x,1"), replace(SIMPLE, min_user=5))


def test_without_times_the_order_of_lines_counts(tmp_path: Path) -> None:
    dataset = read(tmp_path, table("a,y,9", "b,x,1", "a,x,1"), replace(SIMPLE, time=None))
    assert histories(dataset) == {"a": ["y", "x"], "b": ["x"]}
    assert not dataset.has_times
    assert dataset.timestamps.tolist() == [0, 1, 0]


def test_times_finer_than_a_second_order_what_is_tied_in_seconds(tmp_path: Path) -> None:
    dataset = read(tmp_path, table("a,x,1700000000900", "a,y,1700000000100"), replace(SIMPLE, time_unit="ms"))
    assert histories(dataset) == {"a": ["y", "x"]}
    assert dataset.timestamps.tolist() == [1_700_000_000, 1_700_000_000]
    assert dataset.report is not None
    assert dataset.report.tied == 2


def test_zones_are_taken_off_and_times_without_one_are_utc(tmp_path: Path) -> None:
    rows = table("a,x,2026-11-30T20:00:00+01:00", "a,y,2026-11-30 19:30:00", "a,z,2026-11-30T19:45Z")
    dataset = read(tmp_path, rows, replace(SIMPLE, time_unit="iso"))
    assert histories(dataset) == {"a": ["x", "y", "z"]}


def test_dates_with_the_day_or_the_month_first(tmp_path: Path) -> None:
    rows = ["a,x,31/12/2023 23:59", "a,y,1/2/2024 8:05", "a,z,01.02.2024"]
    dataset = read(tmp_path, table(*rows), replace(SIMPLE, time_unit="dmy"))
    assert histories(dataset) == {"a": ["x", "z", "y"]}
    assert dataset.timestamps.tolist() == [1704067140, 1706745600, 1706774700]
    assert read(tmp_path, table("a,x,12/31/2023"), replace(SIMPLE, time_unit="mdy")).timestamps.tolist() == [1703980800]
    with pytest.raises(DataError, match=r"line 3: when '2/13/2024' is no date"):
        read(tmp_path, table("a,x,31/12/2023", "a,y,2/13/2024"), replace(SIMPLE, time_unit="dmy"))


def test_files_of_training_examples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.train.inter").write_text("user_id:token\titem_id_list:token_seq\titem_id:token\nu\tx y\tz\n")
    with pytest.raises(DataError, match="Name the .inter file that has one interaction a line"):
        guess(tmp_path / "a.train.inter")


def test_columns_of_a_parquet_file_that_nobody_asks_for_may_hold_anything(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": ["a"], "item": ["x"], "vector": [[[1.0, 2.0]]], "raw": [b"\xff"], "tree": [{"a": 1}]})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    found = guess(tmp_path / "t.parquet").mapping
    assert (found.user, found.item) == ("user", "item")
    with pytest.raises(DataError, match="the column 'tree' holds struct"):
        next(read_rows(tmp_path / "t.parquet", found.form, ["tree"]))


def test_a_file_that_unpacks_to_far_more_than_it_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recformer.data.rows.SMALL_BYTES", 1000)
    monkeypatch.setattr("recformer.data.rows.BLOCK_BYTES", 10_000)
    bomb = gzip.compress(b"who,what,when\n" + b"a,x,1\n" * 1_000_000)
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        read(tmp_path, bomb)


def test_tables_of_items_and_users(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text('sku,name,kind,price\nx,"Tea, green",drink,2.5\nz,Cup,,4\nx,again,,1\n')
    pd.DataFrame({"id": ["a", "c"], "age": [30, 40]}).to_parquet(tmp_path / "users.parquet")
    mapping = replace(
        SIMPLE,
        items=Attributes("items.csv", "sku", "name"),
        users=Attributes("users.parquet", "id", form=Form("parquet")),
        noun="story",
    )
    dataset = read(tmp_path, table("a,x,1", "b,y,2"), mapping)
    assert dataset.item_table.to_dict("list") == {
        "item_id": ["x", "y", "z"],
        "title": ["Tea, green", "", "Cup"],
        "kind": ["drink", "", ""],
        "price": [2.5, pytest.approx(float("nan"), nan_ok=True), 4],
    }
    assert [dataset.title_of(item) for item in range(3)] == ["Tea, green", "y", "Cup"]
    assert dataset.user_table["age"].to_list() == [30, pd.NA]
    report = dataset.report
    assert report is not None
    assert (report.items_not_in_table, report.users_not_in_table, report.users_without, report.repeated_ids) == (
        1,
        1,
        1,
        1,
    )
    assert (dataset.nouns.item, dataset.nouns.items) == ("story", "stories")


def test_recbole_files_have_lists_where_they_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\nu\tx\nu\ty\n")
    (tmp_path / "a.item").write_text(
        "item_id:token\ttitle:token_seq\tgenre:token_seq\nx\tGreen Tea\thot drink\ny\tCup\t\n"
    )
    mapping = guess(tmp_path).mapping
    write_settings(tmp_path, Settings(mapping=mapping))
    table = load(tmp_path, tmp_path / "cache").item_table
    assert table["title"].to_list() == ["Green Tea", "Cup"]
    assert [list(genres) for genres in table["genre"]] == [["hot", "drink"], []]


def test_items_as_json_lines_may_lack_values(tmp_path: Path) -> None:
    (tmp_path / "i.jsonl").write_text('{"id": "x", "name": null, "tags": ["a", "b"]}\n{"id": "y", "name": "Cup"}\n')
    mapping = replace(SIMPLE, items=Attributes("i.jsonl", "id", "name", form=Form("json_lines")))
    dataset = read(tmp_path, table("a,x,1", "a,y,2"), mapping)
    assert [dataset.title_of(item) for item in range(2)] == ["x", "Cup"]
    assert [list(tags) for tags in dataset.item_table["tags"]] == [["a", "b"], []]


def test_files_that_came_split_stay_so(tmp_path: Path) -> None:
    for name, rows in (
        ("train", ["a,x,5", "a,y,1", "b,x,2"]),
        ("valid", ["a,z,3", "b,y,3"]),
        ("test", ["a,x,2", "b,z,1"]),
    ):
        (tmp_path / f"{name}.csv").write_text(table(*rows))
    mapping = replace(SIMPLE, files=("train.csv", "valid.csv", "test.csv"), parts=("train", "validation", "test"))
    dataset = read(tmp_path, "", mapping)
    assert histories(dataset) == {"a": ["y", "x", "z", "x"], "b": ["x", "y", "z"]}
    assert dataset.parts is not None
    assert dataset.parts.tolist() == [0, 0, 1, 2, 0, 1, 2]


def test_large_tables_are_sorted_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"u{user % 17},i{user % 5},{1000 - user % 90}" for user in range(600)]
    whole = read(tmp_path / "whole", table(*rows))
    monkeypatch.setattr("recformer.data.partition.PART_ROWS", 50)
    monkeypatch.setattr("recformer.data.partition.CHUNK_ROWS", 70)
    monkeypatch.setattr("recformer.data.rows.BLOCK_BYTES", 90)
    parted = read(tmp_path / "parted", table(*rows))
    assert parted.fingerprint == whole.fingerprint
    kept = [read(tmp_path / name, table(*rows), replace(SIMPLE, min_user=36)) for name in ("whole", "parted")]
    assert kept[0].fingerprint == kept[1].fingerprint != whole.fingerprint


def test_a_mapping_is_kept_beside_the_data_and_damaged_ones_are_one_sentence(tmp_path: Path) -> None:
    mapping = replace(
        SIMPLE, items=Attributes("i.csv", "id", columns=("a", "b")), events=("buy",), event="kind", parts=("test",)
    )
    write_settings(tmp_path, Settings(mapping=mapping))
    assert read_settings(tmp_path).mapping == mapping
    for text in ("mapping: 3", "mapping: {files: [../x], user: a, item: b}", "mapping: {files: [], user: a, item: b}"):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(DataError, match=r"dataset\.yaml"):
            read_settings(tmp_path)


@pytest.mark.parametrize("separator", ["", "ab", "\n", '"', "§"])
def test_a_separator_is_one_character_or_two_colons(separator: str) -> None:
    with pytest.raises((UsageError, ValueError), match="separator"):
        Form(separator=separator)


def test_a_changed_file_is_read_anew_and_another_mapping_too(tmp_path: Path) -> None:
    first = read(tmp_path, table("a,x,1", "a,y,2"))
    assert load(tmp_path, tmp_path / "cache").fingerprint == first.fingerprint
    assert read(tmp_path, table("a,x,1", "a,y,3")).fingerprint != first.fingerprint
    assert read(tmp_path, table("a,x,1", "a,y,2"), replace(SIMPLE, time=None)).fingerprint != first.fingerprint
