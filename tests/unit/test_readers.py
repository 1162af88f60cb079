"""Readers: what each format gives, and the one message each fault gives."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recformer.data.assemble import datasets, order_of, read_dataset
from recformer.data.layouts.base import split_title
from recformer.data.nouns import Nouns
from recformer.errors import DataError
from tests.builders import (
    FORMATS,
    SMALL,
    SMALL_MOVIES,
    ratings_file,
    write_csv,
    write_format,
    write_lines,
    write_ml1m,
    write_ml100k,
    write_recbole,
)


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_bytes()
    assert old.encode("latin-1") in content
    path.write_bytes(content.replace(old.encode("latin-1"), new.encode("latin-1"), 1))


def error_of(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_dataset(folder)
    return str(caught.value)


@pytest.fixture(params=FORMATS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_format(request.param, tmp_path / "small", SMALL, SMALL_MOVIES)


def test_every_format_gives_the_same_tokens_sequences_and_times(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert dataset.name == "small"
    assert dataset.user_ids.tolist() == [1, 2, 3]
    assert dataset.item_ids.tolist() == [10, 20, 30, 40]
    assert dataset.offsets.tolist() == [0, 2, 5, 6]
    assert dataset.items.tolist() == [1, 0, 3, 1, 0, 3]  # the tie of user 2 keeps the order of the file
    assert dataset.timestamps.tolist()[:2] == [978300010, 978300020]
    assert dataset.ratings.tolist() == [3, 4, 2, 5, 1, 3]
    assert dataset.history(1).tolist() == [3, 1, 0]


def test_every_format_gives_the_dtypes_that_the_dataset_promises(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert dataset.user_ids.dtype == dataset.item_ids.dtype == np.int64
    assert dataset.offsets.dtype == dataset.timestamps.dtype == np.int64
    assert dataset.items.dtype == np.int32
    assert dataset.ratings is not None and dataset.ratings.dtype == np.float32
    assert list(dataset.item_table.columns) == ["item_id", "title", "year", "genre"]
    known = [] if dataset.reader == "movielens_csv" else ["gender", "age", "occupation"]
    assert list(dataset.user_table.columns) == ["user_id", *known]
    assert dataset.nouns == Nouns("movie", "movies")
    assert dataset.item_table["year"].dtype == pd.Int64Dtype()


def test_every_format_gives_titles_years_and_genres_alike(folder: Path) -> None:
    movies = read_dataset(folder).item_table
    expected = [(item, *SMALL_MOVIES[item]) for item in sorted(SMALL_MOVIES)]
    assert list(movies.itertuples(index=False, name=None)) == expected


def test_windows_line_ends_give_the_same_dataset(folder: Path, tmp_path: Path) -> None:
    name = read_dataset(folder).reader
    windows = write_format(name, tmp_path / "windows", SMALL, SMALL_MOVIES, newline="\r\n")
    assert read_dataset(windows).fingerprint == read_dataset(folder).fingerprint
    assert read_dataset(windows).item_table.equals(read_dataset(folder).item_table)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("978300000", "timestamp is ''"),
        ("978300000", "timestamp is 'soon'"),
        ("978300000", "timestamp is '1_000'"),
        ("978300000", "timestamp is '-5'"),
        ("978300000", "timestamp is '9783000000000'"),
    ],
)
def test_a_wrong_timestamp_is_named_with_its_line(folder: Path, found: str, said: str) -> None:
    value = said.removeprefix("timestamp is ").strip("'")
    edit(ratings_file(folder), found, value)
    message = error_of(folder)
    line = 3 + (read_header(folder))
    assert f"line {line}:" in message
    assert ("timestamp is empty" if not value else said) in message
    assert "allowed: whole seconds since 1970" in message


def read_header(folder: Path) -> int:
    """Number of header lines in the file of interactions."""
    return int(not ratings_file(folder).read_bytes()[:1].isdigit())


def test_a_line_with_a_field_too_few_is_named(folder: Path) -> None:
    path = ratings_file(folder)
    lines = path.read_text().splitlines()
    lines[3] = lines[3][: -len("978300000") - 1].rstrip(":")
    write_lines(path, lines)
    assert f"{path}, line 4: 3 fields in" in error_of(folder)


def test_a_blank_line_between_others_is_named_and_not_dropped(folder: Path) -> None:
    path = ratings_file(folder)
    lines = path.read_text().splitlines()
    lines.insert(3, "")
    write_lines(path, lines)
    assert f"{path}, line 4: 1 field in ''" in error_of(folder)


def test_blank_lines_at_the_end_of_a_file_are_no_fault(folder: Path) -> None:
    before = read_dataset(folder)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes() + b"\n\n")
    assert read_dataset(folder).fingerprint == before.fingerprint


def test_a_nul_byte_within_a_number_is_not_read_past(folder: Path) -> None:
    edit(ratings_file(folder), "978300010", "9783\x000010")
    assert f"line {2 + read_header(folder)}: timestamp is '9783\\x000010'" in error_of(folder)


def test_a_last_line_without_a_line_break_may_be_cut(folder: Path) -> None:
    path = ratings_file(folder)
    path.write_bytes(path.read_bytes()[:-3])
    message = error_of(folder)
    assert f"line {len(SMALL) + read_header(folder)}: the last line" in message
    assert "cut" in message


def test_a_rating_without_a_movie_is_named(folder: Path) -> None:
    path = ratings_file(folder)
    lines = path.read_text().splitlines()
    lines[-1] = lines[-1].replace("40", "99")
    write_lines(path, lines)
    message = error_of(folder)
    assert f"line {len(lines)}: movie id 99 is not in" in message
    assert message.endswith("Mend the line, or fetch the dataset again")


def test_an_empty_file_of_interactions_is_named(folder: Path) -> None:
    ratings_file(folder).write_bytes(b"")
    assert f"{ratings_file(folder)} is empty (0 bytes)" in error_of(folder)


def test_every_missing_file_is_named(folder: Path) -> None:
    ratings_file(folder).unlink()
    assert f"{ratings_name(folder)} missing" in error_of(folder)


def ratings_name(folder: Path) -> str:
    names = {"movies.dat": "ratings.dat", "u.item": "u.data", "small.item": "small.inter", "movies.csv": "ratings.csv"}
    return next(ratings for movies, ratings in names.items() if (folder / movies).is_file())


@pytest.mark.parametrize("write", [write_recbole, write_csv])
def test_a_header_alone_is_no_dataset(write, tmp_path: Path) -> None:
    folder = write(tmp_path / "small", SMALL, SMALL_MOVIES)
    path = ratings_file(folder)
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
    assert "there is no interaction in it" in error_of(folder)


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_ml1m, "movies.dat"), (write_ml100k, "u.item"), (write_recbole, "small.item"), (write_csv, "movies.csv")],
)
def test_a_movie_given_twice_is_named_with_both_lines(write, name: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "small", SMALL, SMALL_MOVIES)
    path = folder / name
    lines = path.read_text("latin-1").splitlines()
    write_lines(path, [*lines, lines[-1]], encoding="latin-1")
    assert f"line {len(lines) + 1}: movie id 40 was given in line {len(lines)} already" in error_of(folder)


@pytest.mark.parametrize(
    ("write", "name"), [(write_ml1m, "users.dat"), (write_ml100k, "u.user"), (write_recbole, "small.user")]
)
def test_a_rating_of_an_unknown_user_and_a_user_given_twice_are_named(write, name: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "small", SMALL, SMALL_MOVIES, users=[1, 2])
    assert f"user id 3 is not in {name}" in error_of(folder)
    path = folder / name
    lines = path.read_text().splitlines()
    write_lines(path, [*lines, lines[-1]])
    assert f"line {len(lines) + 1}: user id 2 was given in line {len(lines)} already" in error_of(folder)


def test_users_without_interactions_stay_with_an_empty_history(tmp_path: Path) -> None:
    dataset = read_dataset(write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES, users=[1, 2, 3, 7]))
    assert dataset.num_users == 4
    assert len(dataset.history(3)) == 0


def test_the_codes_of_movielens_1m_become_words(tmp_path: Path) -> None:
    users = read_dataset(write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES)).user_table
    assert users.iloc[0].to_list() == [1, "F", "25-34", "K-12 student"]


def test_a_code_that_movielens_1m_does_not_have_is_named(tmp_path: Path) -> None:
    folder = write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES)
    edit(folder / "users.dat", "2::F::25::10", "2::F::26::10")
    assert "users.dat, line 2: age is '26'; allowed: 1, 18, 25, 35, 45, 50, 56" in error_of(folder)


def test_an_empty_genre_of_movielens_1m_is_named(tmp_path: Path) -> None:
    folder = write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES)
    edit(folder / "movies.dat", "Adventure|Sci-Fi", "")
    assert "movies.dat, line 2: genres is empty" in error_of(folder)


def test_a_rating_beyond_five_stars_is_named(tmp_path: Path) -> None:
    folder = write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES)
    edit(folder / "ratings.dat", "2::20::5", "2::20::55")
    assert "line 3: rating is '55' in " in error_of(folder)


@pytest.mark.parametrize("value", ["nan", "inf", "1e999"])
def test_a_rating_that_is_no_finite_number_is_named(value: str, tmp_path: Path) -> None:
    folder = write_recbole(tmp_path / "small", SMALL, SMALL_MOVIES)
    edit(folder / "small.inter", "2\t20\t5", f"2\t20\t{value}")
    assert "small.inter, line 4: rating is " in error_of(folder)


def test_the_unknown_movie_of_movielens_100k_has_no_year(tmp_path: Path) -> None:
    movies = {**SMALL_MOVIES, 267: ("unknown", None, ["unknown"])}
    expected = read_dataset(write_ml100k(tmp_path / "original", SMALL, movies)).item_table
    assert expected["title"].to_list()[-1] == "unknown"
    assert expected["year"].isna().to_list()[-1]
    recbole = write_recbole(tmp_path / "recbole", SMALL, movies)
    edit(recbole / "small.item", "267\tunknown\t\t", "267\tunkonwn\tunkonwn\t")  # as RecBole spells it
    assert read_dataset(recbole).item_table.equals(expected)


def test_a_flag_of_movielens_100k_that_is_neither_0_nor_1_is_named(tmp_path: Path) -> None:
    folder = write_ml100k(tmp_path / "small", SMALL, SMALL_MOVIES)
    edit(folder / "u.item", "|||0|", "|||2|")
    assert "u.item, line 1: the flag of genre unknown is '2'; allowed: 0 or 1" in error_of(folder)


def test_recbole_takes_its_columns_from_the_header(tmp_path: Path) -> None:
    folder = write_recbole(tmp_path / "small", SMALL, SMALL_MOVIES)
    header = "timestamp:float\tuser_id:token\titem_id:token\trating:float"
    lines = [f"{time}.0\t{user}\t{item}\t{rating}" for user, item, rating, time in SMALL]
    write_lines(folder / "small.inter", [header, *lines])
    expected = read_dataset(write_csv(tmp_path / "csv", SMALL, SMALL_MOVIES))
    assert read_dataset(folder).fingerprint == expected.fingerprint


def test_recbole_without_users_takes_those_who_rated(tmp_path: Path) -> None:
    folder = write_recbole(tmp_path / "small", SMALL, SMALL_MOVIES)
    (folder / "small.user").unlink()
    assert read_dataset(folder).user_ids.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rating:float", "rating", "the column 'rating'"),
        ("rating:float", "user_id:float", "the column user_id is there twice"),
        ("item_id:token", "item:token", "there is no column item_id in"),
    ],
)
def test_a_wrong_header_of_recbole_is_named(old: str, new: str, said: str, tmp_path: Path) -> None:
    folder = write_recbole(tmp_path / "small", SMALL, SMALL_MOVIES)
    edit(folder / "small.inter", old, new)
    assert f"small.inter, line 1: {said}" in error_of(folder)


def test_a_byte_order_mark_is_accepted_in_csv(tmp_path: Path) -> None:
    folder = write_csv(tmp_path / "small", SMALL, SMALL_MOVIES)
    expected = read_dataset(folder).fingerprint
    for name in ("ratings.csv", "movies.csv"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert read_dataset(folder).fingerprint == expected


def test_csv_without_genres_gives_none(tmp_path: Path) -> None:
    movies = {**SMALL_MOVIES, 10: ("Toy Story", 1995, [])}
    assert read_dataset(write_csv(tmp_path / "small", SMALL, movies)).item_table["genre"][0] == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1"])
def test_titles_are_read_right_in_utf8_and_in_latin_1_whatever_the_format(folder: Path, encoding: str) -> None:
    for path in folder.iterdir():
        content = path.read_bytes()
        text = content.decode("utf-8") if b"\xc3\xa9" in content else content.decode("iso-8859-1")
        path.write_text(text, encoding=encoding)
    assert read_dataset(folder).item_table["title"][2] == "Misérables, Les"


def test_one_damaged_byte_in_utf8_text_is_named_instead_of_the_whole_file_being_taken_for_latin_1(
    tmp_path: Path,
) -> None:
    movies = {**SMALL_MOVIES, 40: ("Amélie", 2001, ["Comedy"])}
    folder = write_csv(tmp_path / "small", SMALL, movies)
    edit(folder / "movies.csv", "Mis\xc3\xa9rables", "Mis\xe9rables")
    assert "movies.csv, line 4: byte 0xe9 is not UTF-8, although other lines are" in error_of(folder)


def test_a_header_of_csv_may_be_quoted(tmp_path: Path) -> None:
    folder = write_csv(tmp_path / "small", SMALL, SMALL_MOVIES)
    before = read_dataset(folder)
    edit(folder / "ratings.csv", "userId,movieId,rating,timestamp", '"userId","movieId","rating","timestamp"')
    edit(folder / "movies.csv", "movieId,title,genres", '"movieId","title","genres"')
    assert read_dataset(folder).fingerprint == before.fingerprint


def test_an_open_quote_in_the_header_of_csv_is_named(tmp_path: Path) -> None:
    folder = write_csv(tmp_path / "small", SMALL, SMALL_MOVIES)
    edit(folder / "ratings.csv", "timestamp", '"timestamp')
    assert "ratings.csv, line 1: unexpected end of data" in error_of(folder)


def test_an_open_quote_is_named(tmp_path: Path) -> None:
    folder = write_csv(tmp_path / "small", SMALL, SMALL_MOVIES)
    edit(folder / "movies.csv", 'The (1995)"', "The (1995)")
    assert "movies.csv, line 3: unexpected end of data" in error_of(folder)


def test_an_unknown_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    message = error_of(tmp_path)
    for name in ("ratings.dat", "u.data", "NAME.inter", "ratings.csv"):
        assert name in message


def test_an_unknown_folder_points_to_the_dataset_inside_it(tmp_path: Path) -> None:
    write_ml1m(tmp_path / "ml-1m", SMALL)
    assert "Its sub-folder ml-1m is one" in error_of(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path / 'nothing'} is not a folder" in error_of(tmp_path / "nothing")


def test_a_folder_of_two_formats_is_refused_unless_one_is_incomplete(tmp_path: Path) -> None:
    write_ml1m(tmp_path, SMALL)
    write_csv(tmp_path, SMALL)
    assert "movielens_csv and movielens_dat" in error_of(tmp_path)
    (tmp_path / "movies.csv").unlink()
    assert read_dataset(tmp_path).reader == "movielens_dat"


@pytest.mark.parametrize("apart", [1, 2**40])
def test_rows_are_ordered_by_user_and_time_however_far_apart(apart: int) -> None:
    users, times = np.array([1, 0, 1, 0, 1, 1]) * apart, np.array([7, 9, -5, 9, 2**38, 7])
    assert order_of(users, times).tolist() == [1, 3, 2, 0, 5, 4]  # equal ones in the order they came


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Toy Story (1995)", ("Toy Story", 1995)),
        ("Associate, The (L'Associe)(1982)", ("Associate, The (L'Associe)", 1982)),
        ("Land Before Time III (1995) (V)", ("Land Before Time III", 1995)),
        ("Death Note (2006–2007)", ("Death Note", 2006)),
        ("Seven (Se7en)", ("Seven (Se7en)", None)),
        ("1984 (1984)", ("1984", 1984)),
        ("(1995)", ("(1995)", None)),
    ],
)
def test_the_year_is_taken_off_the_title(title: str, expected: tuple[str, int | None]) -> None:
    assert split_title(title) == expected


def test_the_catalog_lists_datasets_and_those_one_level_deeper(tmp_path: Path) -> None:
    write_csv(tmp_path / "b", SMALL)
    write_ml1m(tmp_path / "a" / "ml-1m", SMALL)
    write_ml1m(tmp_path / ".unpack", SMALL)
    (tmp_path / "empty").mkdir()
    assert datasets(tmp_path) == [tmp_path / "a" / "ml-1m", tmp_path / "b"]
    assert datasets(tmp_path / "nothing") == []


def test_the_data_layer_does_not_load_torch() -> None:
    modules = "recformer.data.cache, recformer.data.assemble, recformer.data.sources.download, recformer.data.describe"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif("RECFORMER_ML1M" not in os.environ, reason="RECFORMER_ML1M does not name a folder of ML-1M")
def test_movielens_1m_has_the_size_its_readme_says() -> None:
    dataset = read_dataset(Path(os.environ["RECFORMER_ML1M"]))
    assert (dataset.num_items, dataset.num_users, dataset.num_interactions) == (3883, 6040, 1_000_209)
    assert dataset.item_table["year"].notna().all()
    assert dataset.fingerprint == "cdf3f822adc5f58e"
