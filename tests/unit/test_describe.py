"""What the Data page says about a dataset, on one small enough to count by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from recformer.data import arrays, describe
from recformer.data.assemble import read_dataset
from recformer.data.cache import load
from recformer.data.dataset import Dataset
from recformer.data.ties import tied
from recformer.recommend.window_edits import search
from tests.builders import SMALL, SMALL_MOVIES, Interaction, sequences, write_ml1m


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return read_dataset(write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES))


def with_times(dataset: Dataset, times: list[int]) -> Dataset:
    return replace(dataset, timestamps=np.array(times, dtype=np.int64))


def test_counts_of_the_small_set(dataset: Dataset) -> None:
    assert describe.description_of(dataset).counts == describe.Counts(
        users=3, items=4, items_rated=3, interactions=6, sparsity=0.5
    )


def test_a_pair_that_interacted_twice_counts_once_in_the_sparsity(tmp_path: Path) -> None:
    twice: list[Interaction] = [*SMALL, (1, 10, 5, 978300900)]
    found = describe.description_of(read_dataset(write_ml1m(tmp_path / "twice", twice, SMALL_MOVIES))).counts
    assert (found.interactions, found.sparsity) == (7, 0.5)


def test_popularity_and_history_lengths(dataset: Dataset) -> None:
    assert describe.popularity(dataset).tolist() == [2, 2, 0, 2]
    assert describe.sorted_popularity(dataset).tolist() == [2, 2, 2, 0]
    assert describe.history_lengths(dataset).tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    ("times", "real"),
    [
        ([978300010, 978300020, 978299990, 978300000, 978300000, 978300500], True),
        ([956703932, 956703933, 956703932, 956703933, 956703934, 956703932], False),  # seconds that only count
        ([956703932] * 6, False),
        ([1, 5, 1, 9, 11, 2], False),  # 1970
        ([9_000_000_000] * 5 + [978300500], False),  # 2255
    ],
)
def test_placeholder_times_are_told_from_real_ones(dataset: Dataset, times: list[int], real: bool) -> None:
    assert describe.description_of(with_times(dataset, times)).times_are_real is real


def test_ratings_that_are_all_the_same_are_no_ratings(dataset: Dataset) -> None:
    assert describe.description_of(dataset).ratings_are_real
    alike = replace(dataset, ratings=np.full(6, 3, dtype=np.float32))
    assert not describe.description_of(alike).ratings_are_real
    assert not describe.description_of(replace(dataset, ratings=None)).ratings_are_real


@pytest.mark.parametrize(("days", "rows"), [(3, 4), (700, 101), (2000, 66), (20_000, 55)])
def test_time_bins_adapt_to_the_span_and_hold_every_interaction(dataset: Dataset, days: int, rows: int) -> None:
    start = 946_684_800  # 2000-01-01, a Saturday
    found = describe.description_of(with_times(dataset, [start] * 5 + [start + days * 86_400]))
    assert len(found.starts) == len(found.by_start) == rows
    assert sum(found.by_start) == 6
    assert found.by_start[0] == 5
    assert found.starts == sorted(found.starts)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_in_parts_the_same_is_said_as_of_the_whole(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = [(user, item, rating, time // 500) for user, item, rating, time in sequences()]
    whole, again = (read_dataset(write_ml1m(tmp_path / "more", more)) for _ in range(2))
    expected, items = describe.description_of(whole), describe.item_rows(whole)
    monkeypatch.setattr(arrays, "PIECE", rows)
    assert describe.description_of(again) == expected
    assert_frame_equal(describe.item_rows(again), items)
    assert expected.ties.tied_interactions == tied(whole).mean() > 0


def test_what_was_said_once_is_read_from_beside_the_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES), tmp_path / "cache"
    load(folder, cache)
    expected = describe.description_of(load(folder, cache))
    monkeypatch.setattr(describe, "_described", lambda _: pytest.fail("counted again"))
    assert describe.description_of(load(folder, cache)) == expected


@pytest.mark.parametrize("damage", ["", "{", "{}", '{"counts": 3}'])
def test_what_is_damaged_there_is_counted_again(damage: str, tmp_path: Path) -> None:
    folder, cache = write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES), tmp_path / "cache"
    load(folder, cache)
    expected = describe.description_of(load(folder, cache))
    (path,) = cache.glob("*/description-1.json")
    path.write_text(damage)
    assert describe.description_of(load(folder, cache)) == expected
    assert path.read_text() != damage


def test_the_table_has_a_row_for_every_item(dataset: Dataset) -> None:
    table = describe.item_rows(dataset)
    assert table["item_id"].to_list() == [10, 20, 30, 40]
    assert table["genre"].to_list()[0] == ["Animation", "Children's", "Comedy"]
    assert table["interactions"].to_list() == [2, 2, 0, 2]
    assert table["mean_rating"].to_list()[:2] == [2.5, 4.0]
    assert np.isnan(table["mean_rating"].to_list()[2])


@pytest.mark.parametrize(
    ("text", "found"),
    [("sci-fi", [20]), ("COMEDY", [10]), ("misérables", [30]), (" heat ", [40]), ("a", [10, 20, 30, 40]), ("war", [])],
)
def test_items_are_found_by_title_and_by_category(dataset: Dataset, text: str, found: list[int]) -> None:
    table = describe.item_rows(dataset)
    assert table.loc[search(table, text), "item_id"].to_list() == found
