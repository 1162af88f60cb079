"""Laws of tables: what is written in any form is read as it was; what is damaged gives a dataset or one clear error."""

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recformer.data import rows as rows_module
from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.data.guess import Said, guess
from recformer.data.mapping import Form, Mapping, Settings, write_settings
from recformer.errors import DataError
from tests.effort import examples
from tests.table_files import NAMES, PACKINGS, Row, Writing, assert_is, content, packed, write_table

PLAIN = st.integers(0, 2**63 - 1).map(str)
ZEROS = st.text("0123456789", min_size=1, max_size=4)
LARGE = st.integers(2**63, 2**70).map(str)
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(['"', ",", ";", "|", "\n", " ", "'"]),
    min_size=1,
    max_size=6,
).filter(str.strip)
LATIN = st.text(st.characters(codec="latin-1", exclude_categories=("Cc",)), min_size=1, max_size=6).filter(str.strip)
TIMES = st.integers(315_532_800, 4_102_444_799)


def rows_of(ids: st.SearchStrategy[str]) -> st.SearchStrategy[list[Row]]:
    """Tables in which users and items come again."""
    some = st.lists(ids, min_size=1, max_size=5, unique=True)
    return st.tuples(some, some, st.lists(TIMES, min_size=1, max_size=4)).flatmap(
        lambda parts: st.lists(
            st.tuples(*map(st.sampled_from, parts), st.sampled_from([0.5, 1.0, 4.0])), min_size=1, max_size=20
        )
    )


def writings(**more: st.SearchStrategy[object]) -> st.SearchStrategy[Writing]:
    return st.builds(
        Writing,
        unit=st.sampled_from(["s", "ms", "us", "iso"]),
        packing=st.sampled_from(PACKINGS),
        header=st.booleans(),
        quote_all=st.booleans(),
        **more,
    )


def read(folder: Path, mapping: Mapping, block_bytes: int = 1 << 24) -> Dataset:
    write_settings(folder, Settings(mapping=mapping))
    with patch.object(rows_module, "BLOCK_BYTES", block_bytes):
        return load(folder, folder / "cache")


ANY_FORM = st.one_of(
    writings(separator=st.sampled_from([",", ";", "\t", "|"]), mark=st.booleans()),
    writings(format=st.sampled_from(["parquet", "json_lines"])),
)


@given(rows_of(st.one_of(PLAIN, ZEROS, LARGE, TEXTS)), ANY_FORM, st.sampled_from([7, 50, 1 << 24]))
@example([("0", "0\n", 315_532_800, 0.5)], Writing(header=False), 7)  # the first row is of two lines
@settings(max_examples=examples(150), deadline=None)
def test_any_table_is_read_as_it_was_written(rows: list[Row], writing: Writing, block_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder), rows, writing)
        assert_is(read(Path(folder), writing.mapping, block_bytes), rows)


@given(rows_of(ZEROS), writings(separator=st.just("::"), newline=st.sampled_from(["\n", "\r\n"])))
@settings(max_examples=examples(30), deadline=None)
def test_two_colons_and_both_ends_of_lines(rows: list[Row], writing: Writing) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder), rows, writing)
        assert_is(read(Path(folder), writing.mapping), rows)


@given(rows_of(LATIN), writings(encoding=st.just("latin-1"), newline=st.sampled_from(["\n", "\r\n"])))
@settings(max_examples=examples(30), deadline=None)
def test_latin_1(rows: list[Row], writing: Writing) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder), rows, writing)
        assert_is(read(Path(folder), writing.mapping), rows)


@given(
    rows_of(PLAIN), st.sampled_from([("delimited", ","), ("delimited", "\t"), ("parquet", ","), ("json_lines", ",")])
)
@settings(max_examples=examples(30), deadline=None)
def test_all_forms_of_one_table_are_one_dataset(rows: list[Row], form: tuple[str, str]) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        one, other = Writing(), Writing(format=form[0], separator=form[1], unit="ms", packing=".zst")
        write_table(Path(first), rows, one)
        write_table(Path(second), rows, other)
        ours, theirs = read(Path(first), one.mapping), read(Path(second), other.mapping)
        assert ours.fingerprint == theirs.fingerprint
        assert ours.user_ids.dtype == theirs.user_ids.dtype == "int64"


@given(rows_of(st.one_of(PLAIN, TEXTS)), ANY_FORM, st.data())
@settings(max_examples=examples(250), deadline=None)
def test_what_is_damaged_gives_a_dataset_or_one_clear_error(
    rows: list[Row], writing: Writing, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_table(Path(folder), rows, writing)
        whole = path.read_bytes()
        place = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            path.write_bytes(whole[:place])
        else:
            flipped = bytes([whole[place] ^ data.draw(st.integers(1, 255))])
            path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        with suppress(DataError):
            read(Path(folder), writing.mapping)
        with suppress(DataError):
            guess(path, Said(user="who", item="what"))


@given(rows_of(ZEROS), writings(format=st.sampled_from(["delimited", "json_lines"])), st.data())
@settings(max_examples=examples(100), deadline=None)
def test_a_cut_file_is_never_taken_for_a_whole_one(rows: list[Row], writing: Writing, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = content(rows, writing)
        place = data.draw(st.integers(1, len(whole) - 1))
        path = Path(folder) / f"table{writing.packing}"
        path.write_bytes(packed(whole[:place], writing.packing))
        try:
            dataset = read(Path(folder), writing.mapping)
        except DataError:
            return
        lines = whole[:place].count(b"\n") - (writing.header and writing.format == "delimited")
        assert_is(dataset, rows[:lines])  # cut between two lines, which nothing tells
        if writing.packing:
            path.write_bytes(packed(whole, writing.packing)[:-1])
            with pytest.raises(DataError, match="cut off"):
                read(Path(folder), writing.mapping)


@given(rows_of(ZEROS), st.sampled_from(NAMES), st.sampled_from(["x", "", "1e400", "nan", "[1]"]), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_a_column_of_another_type_is_one_clear_error(
    rows: list[Row], column: str, value: str, data: st.DataObject
) -> None:
    names = data.draw(st.sampled_from(["user", "item", "time", "rating"]))
    mapping = replace(Writing().mapping, **{names: column}) if names in ("time", "rating") else Writing().mapping
    with tempfile.TemporaryDirectory() as folder:
        place = NAMES.index(column)
        path = write_table(Path(folder), rows, Writing())
        lines = path.read_text().splitlines()
        fields = lines[-1].split(",")
        fields[place] = value
        path.write_text("\n".join([*lines[:-1], ",".join(fields)]) + "\n")
        try:
            dataset = read(Path(folder), mapping)
        except DataError as error:
            assert "Mend" in str(error) or "name" in str(error).lower() or "Fill" in str(error) or "Ask" in str(error)
            return
        assert dataset.report is not None
        assert dataset.report.interactions + dataset.report.empty == len(rows)


@given(st.lists(st.lists(ZEROS, min_size=1, max_size=6), min_size=1, max_size=6), st.sampled_from(PACKINGS))
@settings(max_examples=examples(60), deadline=None)
def test_sequence_files(histories: list[list[str]], packing: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = [" ".join([f"u{number}", *items]) for number, items in enumerate(histories)]
        (Path(folder) / f"all{packing}").write_bytes(packed(("\n".join(lines) + "\n").encode(), packing))
        dataset = read(Path(folder), Mapping((f"all{packing}",), "user", "item", form=Form("sequences", " ")))
        assert not dataset.has_times and dataset.ratings is None
        found = [[str(dataset.item_ids[item]) for item in dataset.history(user)] for user in range(dataset.num_users)]
        assert found == histories


@pytest.mark.parametrize("unit", ["s", "ms", "us", "iso"])
@given(rows=rows_of(PLAIN))
@settings(max_examples=15, deadline=None)
def test_the_unit_of_times_is_guessed(rows: list[Row], unit: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_table(Path(folder), rows, Writing(unit=unit))  # type: ignore[arg-type]
        assert guess(path, Said(user="who", item="what")).mapping.time_unit == unit
