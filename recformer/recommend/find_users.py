"""Users worth looking at: by who they are, and by what models do for them. Never torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.categories import categories_of
from recformer.data.dataset import Dataset
from recformer.data.describe import history_lengths
from recformer.evaluation.ranks import MAX_K, NOT_LISTED, Masking, Ranks
from recformer.recommend.overlap import rank_biased_overlap

Order = Literal["id", "disagree", "finds", "repeats"]
HISTORY = "history length"
MOST_CHOICES = 200
"""Categories of one column that people can choose among."""


@dataclass(frozen=True)
class Filter:
    """Whom to list. What is not named lets everybody pass."""

    among: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Column of categories to those of which a user must have one; an empty sequence asks for nothing."""
    shortest: int = 0
    """Fewest items of a user."""
    longest: int | None = None
    """Most items of a user."""


def people(dataset: Dataset) -> pd.DataFrame:
    """U rows by user token: the columns of the user table, and HISTORY, how many interactions there are."""
    return dataset.user_table.assign(**{HISTORY: history_lengths(dataset)}).reset_index(drop=True)


def choices(table: pd.DataFrame, column: str) -> list[str]:
    """The different categories of a column, numbers before words; none where there are too many to choose from."""
    values = categories_of(pd.Series(table[column])).names
    if len(values) > MOST_CHOICES:
        return []
    return sorted(values, key=lambda value: (not value.isdecimal(), int(value) if value.isdecimal() else 0, value))


def kept(table: pd.DataFrame, wanted: Filter) -> pd.DataFrame:
    """The rows that pass, in their order."""
    longest = np.inf if wanted.longest is None else wanted.longest
    passes = ((table[HISTORY] >= wanted.shortest) & (table[HISTORY] <= longest)).to_numpy()
    for column, values in wanted.among.items():
        if values:
            found = categories_of(pd.Series(table[column]))
            asked = np.isin(np.array(found.names, dtype=object), list(values))
            passes = passes & np.isin(np.arange(len(table)), found.rows[asked[found.codes]])
    return table.loc[passes]


@dataclass(frozen=True, eq=False)
class UserResult:
    """What models do for each user, on the last item held out. NaN for users with too few items for a case."""

    ranks: NDArray[np.float64]
    """(U, M) rank of the held-out item by each model; infinite where it is in no list of which we know the rest."""
    repeats: NDArray[np.float64]
    """(U, M) items of the raw top k that are in the input window."""
    overlap: NDArray[np.float64]
    """(U,) mean rank-biased overlap over all pairs of models' lists; NaN for a single model."""
    k: int
    """Length of the lists; what is said of their content is of their first 20, since no more is stored."""


def standing(models: Sequence[Ranks], num_users: int, masking: Masking, k: int) -> UserResult:
    """Where each user stands with each model. `models` is not empty, and of the same cases (leave_last_out)."""
    depth = min(k, MAX_K)
    shape = (num_users, len(models))
    ranks, repeats, overlap = np.full(shape, np.nan), np.full(shape, np.nan), np.full(num_users, np.nan)
    for place, model in enumerate(models):
        found = model.rank(masking)
        ranks[model.user, place] = np.where(found == NOT_LISTED, np.inf, found)
        repeats[model.user, place] = model.repeats("window", "none")[:, depth - 1]
    lists = [model.top(masking)[:, :depth] for model in models]
    pairs = [rank_biased_overlap(one, other) for one, other in combinations(lists, 2)]
    if pairs:
        overlap[models[0].user] = np.mean(pairs, axis=0)
    return UserResult(ranks, repeats, overlap, k)


def in_order(
    tokens: NDArray[np.int64], order: Order, known: UserResult | None, finder: int = 0, other: int = 0
) -> NDArray[np.int64]:
    """User tokens (n,) in an order; those it says nothing about are left out, and users alike stay as they came.

    Args:
        order: "id": as they come. "disagree": least overlap first. "finds": those for whom model `finder` has the
            held-out item in the top k and model `other` has not, the furthest apart first. "repeats": most repeats
            of the input window in the raw top k first, of the model that repeats most, then of all.
        known: needed for every order but "id".
        finder, other: places of two models.
    """
    if order == "id" or known is None:
        return tokens
    if order == "disagree":
        worst, there = known.overlap[tokens], ~np.isnan(known.overlap[tokens])
        return _sorted(tokens[there], worst[there])
    if order == "repeats":
        repeats = known.repeats[tokens]
        there = ~np.isnan(repeats).any(axis=1) & (repeats.max(axis=1) > 0)
        return _sorted(tokens[there], -repeats[there].sum(axis=1), -repeats[there].max(axis=1))
    found, missed = known.ranks[tokens, finder], known.ranks[tokens, other]
    there = (found <= known.k) & (missed > known.k)
    return _sorted(tokens[there], -(missed - found)[there])


def _sorted(tokens: NDArray[np.int64], *keys: NDArray[np.float64]) -> NDArray[np.int64]:
    """By the last key, then the one before it; stable."""
    return tokens[np.lexsort(keys)] if len(tokens) else tokens
