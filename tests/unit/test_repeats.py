"""Rows that repeat one before: counted, asked about, and kept or dropped as somebody said."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.data.assemble import read_dataset
from recformer.data.cache import load
from recformer.data.mapping import FILE, read_settings
from recformer.data.repeats import Repeats, repeated, unanswered, write_choice
from recformer.errors import DataError
from tests.builders import FORMATS, SMALL, SMALL_MOVIES, ratings_file, sequences, write_format, write_ml1m


def append_to_itself(folder: Path) -> None:
    path = ratings_file(folder)
    lines = path.read_text().splitlines(keepends=True)
    header = lines[:1] if not lines[0][0].isdigit() else []
    path.write_text("".join([*lines, *lines[len(header) :]]))


@pytest.fixture(params=FORMATS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_format(request.param, tmp_path / "small", SMALL, SMALL_MOVIES)


def test_a_file_appended_to_itself_is_counted_and_kept_until_somebody_says_otherwise(folder: Path) -> None:
    before = read_dataset(folder)
    append_to_itself(folder)
    twice = read_dataset(folder)
    assert (before.repeats, twice.repeats) == (Repeats(0, None), Repeats(6, None))
    assert twice.num_interactions == 2 * before.num_interactions
    question = unanswered(twice.repeats, twice.num_interactions, folder)
    assert question is not None
    assert "6 of 12 rows" in question and "as if the file had been appended to itself" in question
    write_choice(folder, "drop")
    dropped = read_dataset(folder)
    assert dropped.repeats == Repeats(6, "drop")
    assert dropped.fingerprint == before.fingerprint != twice.fingerprint
    assert dropped.items.tolist() == before.items.tolist()
    assert dropped.ratings.tolist() == before.ratings.tolist()
    assert unanswered(dropped.repeats, dropped.num_interactions, folder) is None
    write_choice(folder, "keep")
    kept = read_dataset(folder)
    assert (kept.fingerprint, kept.repeats) == (twice.fingerprint, Repeats(6, "keep"))


def test_the_cache_knows_what_was_said(tmp_path: Path) -> None:
    folder, cache = write_ml1m(tmp_path / "small", [*SMALL, SMALL[0]]), tmp_path / "cache"
    assert [load(folder, cache).num_interactions for _ in range(2)] == [7, 7]
    write_choice(folder, "drop")
    for _ in range(2):
        assert (load(folder, cache).num_interactions, load(folder, cache).repeats) == (6, Repeats(1, "drop"))


def test_what_was_had_again_at_another_time_and_what_is_tied_are_no_repeats(tmp_path: Path) -> None:
    rows = sequences()
    later = [(user, item, rating, time + 7) for user, item, rating, time in rows[:5]]
    tied = [(user, item + 7, rating, time) for user, item, rating, time in rows[:5] if item + 7 <= 283]
    again = write_ml1m(tmp_path / "again", [*rows, *later, *tied])
    assert read_dataset(again).repeats.rows == 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40),
)
def test_repeated_rows_are_those_that_a_set_has_seen(rows: list[tuple[int, int, int]]) -> None:
    rows = sorted(rows, key=lambda row: row[:2])
    seen: set[tuple[int, int, int]] = set()
    wanted = []
    for row in rows:
        wanted.append(row in seen)
        seen.add(row)
    users, times, items = np.array(rows).T
    assert repeated(users, times, items).tolist() == wanted


@pytest.mark.parametrize("text", ["repeats: sometimes\n", "other: 1\n", "[1]\n", "", "repeats: {a: 1\n"])
def test_a_damaged_choice_is_one_sentence_that_says_what_to_write(tmp_path: Path, text: str) -> None:
    folder = write_ml1m(tmp_path / "small", SMALL)
    (folder / FILE).write_text(text)
    with pytest.raises(DataError, match=r"dataset\.yaml.*Write 'repeats: keep' or 'repeats: drop' in it, or remove it"):
        read_dataset(folder)
    write_choice(folder, "drop")
    assert read_settings(folder).repeats == "drop"
