"""What a dataset looks like: pure functions over a Dataset, for the Data page and `data info`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from recformer.data.arrays import let_go, pieces, whole_users
from recformer.data.dataset import Dataset
from recformer.data.kept import kept
from recformer.data.ties import tied

LENGTH_BINS = 40
DAY_S = 86_400
_MAX_BINS = 120
_EARLIEST = 631_152_000  # 1990; MovieLens began in 1995
_LATEST = 4_102_444_800  # 2100
_UNITS = ("D", "W", "M", "Y")


@dataclass(frozen=True)
class Counts:
    """The size of a dataset."""

    users: int
    items: int
    """The whole catalogue."""
    items_rated: int
    """Items with at least one interaction."""
    interactions: int
    sparsity: float
    """Share of the user-item pairs without an interaction, 0 to 1; a pair that interacted twice counts once."""


@dataclass(frozen=True)
class TimeTies:
    """How much of a dataset's order in time is the order of lines alone."""

    tied_interactions: float
    """Share of interactions at the same time as another of their user, 0 to 1."""
    tied_targets: float
    """Share of users whose last interaction, the held-out one of leave_last_out, is such a one, 0 to 1."""


@dataclass(frozen=True)
class Description:
    """What is said of all interactions of a dataset."""

    counts: Counts
    ties: TimeTies
    times_are_real: bool
    """Whether the times can be what they claim, and not placeholders that only keep an order: times mostly outside 1990
    to 2100, one and the same time everywhere, or users whose interactions all follow each other in steps of one second.
    """
    ratings_are_real: bool
    """False where there are no ratings, or all are the same, a placeholder."""
    users_by_length: list[int]
    """Users with histories of each range of lengths."""
    length_edges: list[float]
    """Bounds of these ranges."""
    starts: list[int]
    """Seconds since 1970 at which each day, week, month or year begins: the finest that makes at most 120 (years where
    none does)."""
    by_start: list[int]
    """Interactions from each start to the next. Without real times they mean nothing."""


@lru_cache(maxsize=4)
def description_of(dataset: Dataset) -> Description:
    """What is said of a dataset, computed in one pass over parts of it and kept beside its arrays."""
    return kept(dataset, "description-1", _DESCRIPTION, lambda: _described(dataset))


def _described(dataset: Dataset) -> Description:
    """2 users, 3 items, 3 distinct pairs: sparsity 0.5. One user at times 1 2 2 3, another at 1 1: 4 of 6 interactions
    are tied, and 1 of 2 last ones."""
    distinct = plausible = tied_rows = tied_last = gaps = gaps_of_one = 0
    earliest, latest, days = np.inf, -np.inf, list[NDArray[np.int64]]()
    seen: tuple[float, float] = (np.inf, -np.inf)
    for part in parts_of(dataset):
        times, lengths = part.timestamps, history_lengths(part)
        users = np.repeat(np.arange(part.num_users), lengths)
        pairs = np.sort(users * dataset.num_items + part.items)
        distinct += 1 + int(np.count_nonzero(np.diff(pairs)))  # np.unique hashes, which is several times slower here
        marks = tied(part)
        tied_rows += int(np.count_nonzero(marks))
        tied_last += int(np.count_nonzero(marks[part.offsets[1:][lengths > 0] - 1]))
        steps = np.diff(times)[np.diff(users) == 0]
        gaps, gaps_of_one = gaps + len(steps), gaps_of_one + int(np.count_nonzero(steps == 1))
        plausible += int(np.count_nonzero((times >= _EARLIEST) & (times < _LATEST)))
        earliest, latest = min(earliest, times.min()), max(latest, times.max())
        days.append(np.stack(np.unique(times // DAY_S, return_counts=True)))
        if part.ratings is not None:
            seen = min(seen[0], float(part.ratings.min())), max(seen[1], float(part.ratings.max()))
    placeholders = gaps > 0 and (gaps == gaps_of_one or earliest == latest)
    lengths = history_lengths(dataset)
    users_by_length, edges = np.histogram(lengths, bins=LENGTH_BINS)
    starts, by_start = _over_time(*np.concatenate(days, axis=1))
    return Description(
        counts=Counts(
            users=dataset.num_users,
            items=dataset.num_items,
            items_rated=int(np.count_nonzero(popularity(dataset))),
            interactions=dataset.num_interactions,
            sparsity=1 - distinct / (dataset.num_users * dataset.num_items),
        ),
        ties=TimeTies(tied_rows / dataset.num_interactions, tied_last / int(np.count_nonzero(lengths))),
        times_are_real=dataset.has_times and 2 * plausible > dataset.num_interactions and not placeholders,
        ratings_are_real=seen[0] < seen[1],
        users_by_length=users_by_length.tolist(),
        length_edges=edges.tolist(),
        starts=starts.tolist(),
        by_start=by_start.tolist(),
    )


def parts_of(dataset: Dataset) -> Iterator[Dataset]:
    """The dataset in parts of whole users, of some PIECE interactions each; their tables are those of the whole."""
    for first, end in whole_users(dataset.offsets):
        rows = slice(dataset.offsets[first], dataset.offsets[end])
        if rows.start == rows.stop:
            continue
        yield replace(
            dataset,
            offsets=dataset.offsets[first : end + 1] - rows.start,
            user_table=dataset.user_table.iloc[first:end],
            items=np.asarray(dataset.items[rows]),
            timestamps=np.asarray(dataset.timestamps[rows]),
            ratings=None if dataset.ratings is None else np.asarray(dataset.ratings[rows]),
            parts=None,
            kept_in=None,
        )
        for array in (dataset.items, dataset.timestamps, dataset.ratings):
            if array is not None:
                let_go(array)


def _over_time(days: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and counts as in Description, of `counts` interactions on `days` since 1970; spans without any have 0."""
    for unit in _UNITS:
        bins = days.astype("datetime64[D]").astype(f"datetime64[{unit}]")
        first = bins.min()
        places = (bins - first).astype(np.int64)
        if places.max() < _MAX_BINS or unit == _UNITS[-1]:
            number = np.bincount(places, weights=counts).astype(np.int64)
            starts = (first + np.arange(len(number))).astype("datetime64[s]").astype(np.int64)
            return starts, number
    raise AssertionError("the last unit always returns")


def history_lengths(dataset: Dataset) -> NDArray[np.int64]:
    """(U,) number of interactions of each user."""
    return np.diff(dataset.offsets)


@lru_cache(maxsize=4)
def popularity(dataset: Dataset) -> NDArray[np.int64]:
    """(I,) number of interactions of each item, by item token."""
    number = np.zeros(dataset.num_items, dtype=np.int64)
    for rows in pieces(dataset.num_interactions):
        number += np.bincount(dataset.items[rows], minlength=dataset.num_items)
    let_go(dataset.items)
    return number


def sorted_popularity(dataset: Dataset) -> NDArray[np.int64]:
    """(I,) number of interactions of each item, the most popular first."""
    return np.sort(popularity(dataset))[::-1]


@lru_cache(maxsize=4)
def _mean_ratings(dataset: Dataset) -> NDArray[np.float64]:
    """(I,) by item token; NaN where nobody had it."""
    assert dataset.ratings is not None
    total = np.zeros(dataset.num_items)
    for rows in pieces(dataset.num_interactions):
        total += np.bincount(dataset.items[rows], weights=dataset.ratings[rows], minlength=dataset.num_items)
    number = popularity(dataset)
    return np.divide(total, number, out=np.full(dataset.num_items, np.nan), where=number > 0)


def item_rows(dataset: Dataset) -> pd.DataFrame:
    """I rows by item token: the columns of the item table, interactions, and mean_rating where there are ratings (NaN:
    nobody had it)."""
    rows = dataset.item_table.assign(interactions=popularity(dataset))
    return rows if dataset.ratings is None else rows.assign(mean_rating=_mean_ratings(dataset))


_DESCRIPTION = TypeAdapter(Description)
