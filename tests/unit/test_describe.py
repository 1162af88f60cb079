"""What the Data page says about a dataset, on one small enough to count by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recformer.data import describe
from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset
from recformer.recommend.window_edits import search
from tests.builders import SMALL, SMALL_MOVIES, Interaction, write_ml1m


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return read_dataset(write_ml1m(tmp_path / "small", SMALL, SMALL_MOVIES))


def with_times(dataset: Dataset, times: list[int]) -> Dataset:
    return replace(dataset, timestamps=np.array(times, dtype=np.int64))


def test_counts_of_the_small_set(dataset: Dataset) -> None:
    assert describe.counts(dataset) == describe.Counts(users=3, items=4, items_rated=3, interactions=6, sparsity=0.5)


def test_a_pair_that_interacted_twice_counts_once_in_the_sparsity(tmp_path: Path) -> None:
    twice: list[Interaction] = [*SMALL, (1, 10, 5, 978300900)]
    found = describe.counts(read_dataset(write_ml1m(tmp_path / "twice", twice, SMALL_MOVIES)))
    assert (found.interactions, found.sparsity) == (7, 0.5)


def test_popularity_and_history_lengths(dataset: Dataset) -> None:
    assert describe.popularity(dataset).tolist() == [2, 2, 0, 2]
    assert describe.sorted_popularity(dataset).tolist() == [2, 2, 2, 0]
    assert describe.history_lengths(dataset).tolist() == [2, 3, 1]
    assert describe.user_tokens(dataset).tolist() == [0, 0, 1, 1, 1, 2]


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
    assert describe.times_are_real(with_times(dataset, times)) is real


def test_ratings_that_are_all_the_same_are_no_ratings(dataset: Dataset) -> None:
    assert describe.ratings_are_real(dataset)
    assert not describe.ratings_are_real(replace(dataset, ratings=np.full(6, 3, dtype=np.float32)))


@pytest.mark.parametrize(("days", "rows"), [(3, 4), (700, 101), (2000, 66), (20_000, 55)])
def test_time_bins_adapt_to_the_span_and_hold_every_interaction(dataset: Dataset, days: int, rows: int) -> None:
    start = 946_684_800  # 2000-01-01, a Saturday
    bins = describe.interactions_over_time(with_times(dataset, [start] * 5 + [start + days * 86_400]))
    assert len(bins) == rows
    assert bins["interactions"].sum() == 6
    assert bins["interactions"].to_list()[0] == 5
    assert bins["start"].is_monotonic_increasing


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
