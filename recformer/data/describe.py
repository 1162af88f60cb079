"""What a dataset looks like: pure functions over a Dataset, for the Data page and `data info`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.dataset import Dataset
from recformer.data.ties import tied

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


def counts(dataset: Dataset) -> Counts:
    """How many users, items and interactions there are. 2 users, 3 items, 3 distinct pairs: sparsity 0.5."""
    pairs = np.sort(user_tokens(dataset) * dataset.num_items + dataset.items)
    distinct = 1 + int(np.count_nonzero(np.diff(pairs)))  # np.unique hashes, which is several times slower here
    return Counts(
        users=dataset.num_users,
        items=dataset.num_items,
        items_rated=int(np.count_nonzero(popularity(dataset))),
        interactions=dataset.num_interactions,
        sparsity=1 - distinct / (dataset.num_users * dataset.num_items),
    )


@dataclass(frozen=True)
class TimeTies:
    """How much of a dataset's order in time is the order of lines alone."""

    tied_interactions: float
    """Share of interactions at the same time as another of their user, 0 to 1."""
    tied_targets: float
    """Share of users whose last interaction, the held-out one of leave_last_out, is such a one, 0 to 1."""


def time_ties_of(dataset: Dataset) -> TimeTies:
    """How much is tied in time. One user at times 1 2 2 3, another at 1 1: 4 of 6, and 1 of 2."""
    marks = tied(dataset)
    last = dataset.offsets[1:][np.diff(dataset.offsets) > 0] - 1
    return TimeTies(float(marks.mean()), float(marks[last].mean()))


def user_tokens(dataset: Dataset) -> NDArray[np.int64]:
    """(N,) user token of each interaction."""
    return np.repeat(np.arange(dataset.num_users), history_lengths(dataset))


def history_lengths(dataset: Dataset) -> NDArray[np.int64]:
    """(U,) number of interactions of each user."""
    return np.diff(dataset.offsets)


def popularity(dataset: Dataset) -> NDArray[np.int64]:
    """(I,) number of interactions of each item, by item token."""
    return np.bincount(dataset.items, minlength=dataset.num_items).astype(np.int64)


def sorted_popularity(dataset: Dataset) -> NDArray[np.int64]:
    """(I,) number of interactions of each item, the most popular first."""
    return np.sort(popularity(dataset))[::-1]


def times_are_real(dataset: Dataset) -> bool:
    """Whether the times can be what they claim, and not placeholders that only keep an order.

    Placeholders are times mostly outside 1990 to 2100, one and the same time everywhere, and users whose
    interactions all follow each other in steps of one second.
    """
    if not dataset.has_times:
        return False
    times = dataset.timestamps
    plausible = np.count_nonzero((times >= _EARLIEST) & (times < _LATEST))
    if 2 * plausible <= len(times):
        return False
    gaps = np.diff(times)[np.diff(user_tokens(dataset)) == 0]
    if not len(gaps):
        return True  # every user has one interaction: nothing speaks against its time
    return not (np.all(gaps == 1) or np.all(times == times[0]))


def ratings_are_real(dataset: Dataset) -> bool:
    """Whether the ratings tell anything: False where there are none, or all are the same, a placeholder."""
    return dataset.ratings is not None and bool(np.any(dataset.ratings != dataset.ratings[0]))


def interactions_over_time(dataset: Dataset) -> pd.DataFrame:
    """Interactions by day, week, month or year: columns `start` (datetime) and `interactions`.

    The finest of the four that makes at most 120 rows is taken (years where none does); spans without
    any interaction are rows with 0. Where `times_are_real` is false the shape means nothing.
    """
    seconds = dataset.timestamps.astype("datetime64[s]")
    for unit in _UNITS:
        bins = seconds.astype(f"datetime64[{unit}]")
        first = bins.min()
        places = (bins - first).astype(np.int64)
        if places.max() < _MAX_BINS or unit == _UNITS[-1]:
            number = np.bincount(places)
            starts = (first + np.arange(len(number))).astype("datetime64[s]")
            return pd.DataFrame({"start": starts, "interactions": number})
    raise AssertionError("the last unit always returns")


def item_rows(dataset: Dataset) -> pd.DataFrame:
    """I rows by item token: the columns of the item table, interactions, and mean_rating where there are ratings (NaN:
    nobody had it)."""
    number = popularity(dataset)
    rows = dataset.item_table.assign(interactions=number)
    if dataset.ratings is None:
        return rows
    total = np.bincount(dataset.items, weights=dataset.ratings, minlength=dataset.num_items)
    mean = np.divide(total, number, out=np.full(dataset.num_items, np.nan), where=number > 0)
    return rows.assign(mean_rating=mean)
