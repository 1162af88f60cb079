"""Ties in time: interactions of one user at one time, whose order nothing but the order of lines tells.

MovieLens gives times in whole seconds, in which people rate several of them, so that most interactions are tied, and
whatever sorted the lines of a file has a say in which one is held out.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recformer.data.arrays import let_go, taken
from recformer.data.dataset import Dataset, numbers_of

TimeTies = Literal["file", "hash", "as_set"]
SEED = 0
STEP = np.uint64(0x9E3779B97F4A7C15)


def in_order(dataset: Dataset, time_ties: TimeTies, seed: int = SEED) -> Dataset:
    """The dataset with tied interactions in the order that `time_ties` says; its fingerprint stays that of the files.

    file: as the lines stand. hash, and as_set where one must come after the other: by a hash of seed, user id and item
    id, so that neither the order of lines nor that of ids says anything, and no two users have the same order of items.
    """
    if time_ties == "file":
        return dataset
    users = np.repeat(numbers_of(dataset.user_ids), np.diff(dataset.offsets))
    hashes = hash_of(users, numbers_of(dataset.item_ids)[dataset.items], seed)
    order = np.lexsort((dataset.items, hashes, np.cumsum(group_starts(dataset))))
    ratings = None if dataset.ratings is None else dataset.ratings[order]
    return replace(dataset, items=dataset.items[order], ratings=ratings)


def mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(N,) SplitMix64 (Steele, Lea and Flood 2014): one bit of `state` changed changes half of the bits.

    The numbers look drawn and are a pure function of `state` in every version, unlike a library's generator's.
    """
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def hash_of(users: NDArray[np.uint64], items: NDArray[np.uint64], seed: int = SEED) -> NDArray[np.uint64]:
    """(N,) a number for each pair of user and item (see `numbers_of`), a pure function of both and the seed."""
    with np.errstate(over="ignore"):
        state = mixed(users * STEP + np.uint64(seed))
        return mixed((state ^ items) * STEP)


def group_starts(dataset: Dataset) -> NDArray[np.bool_]:
    """(N,) whether an interaction is the first of its user at its time. Times 1 1 2 of one user: yes, no, yes."""
    starts = np.ones(dataset.num_interactions, dtype=np.bool_)
    starts[1:] = dataset.timestamps[1:] != dataset.timestamps[:-1]
    let_go(dataset.timestamps)
    starts[dataset.offsets[:-1][np.diff(dataset.offsets) > 0]] = True
    return starts


def tied(dataset: Dataset) -> NDArray[np.bool_]:
    """(N,) whether an interaction has its time in common with another of its user. Times 1 1 2: yes, yes, no."""
    starts = group_starts(dataset)
    return ~(starts & np.append(starts[1:], True))


def tied_at(dataset: Dataset, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(P,) `tied` of the interactions at ascending places (P,), without looking at all others."""
    users = np.searchsorted(dataset.offsets, places, side="right") - 1
    begins, ends, times = dataset.offsets[users], dataset.offsets[users + 1], dataset.timestamps
    here = taken(times, places)
    with_before = here == taken(times, np.maximum(places - 1, 0))
    with_after = here == taken(times, np.minimum(places + 1, len(times) - 1))
    return ((places > begins) & with_before) | ((places + 1 < ends) & with_after)
