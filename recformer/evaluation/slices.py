"""Slices: for which users and which items does a model work? Groups of cases, each with its count and interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.categories import categories_of, category_columns
from recformer.data.dataset import Dataset
from recformer.data.nouns import Nouns
from recformer.evaluation.cases import Facts
from recformer.evaluation.ranks import Masking, Ranks
from recformer.evaluation.table import Evaluation, case_values, is_bounded, rows_of
from recformer.registry import METRICS
from recformer.statistics.interval import intervals, rank_interval
from recformer.statistics.users import UserSums, user_sums

FEW, FEW_HITS = 30, 10
"""A slice of fewer cases, or hits, says little; it is shown in grey."""
QUARTERS = 4
AGES = [(18, "Under 18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (50, "45-49"), (56, "50-55"), (200, "56+")]
SEEN = "seen in training"
MOST_GROUPS = 50
"""Of one column; where there are more categories, those with the most cases."""


@dataclass(frozen=True, eq=False)
class Slice:
    """Some of N cases that have something in common."""

    dimension: str
    label: str
    members: NDArray[np.bool_]
    """(N,)"""

    @property
    def cases(self) -> int:
        return int(self.members.sum())


def slices_of(dataset: Dataset, facts: Facts, ranks: Ranks) -> list[Slice]:
    """All slices of the cases that the dataset knows something about; none of them is empty.

    An item may have several categories in one column, such as genres, so such slices overlap.
    """
    plays = facts.catalogue.plays
    is_item = ranks.target < len(plays)  # EOS can be a target, and is no item
    target_plays = plays[np.where(is_item, ranks.target, 0)]
    found = _quarters("history length", facts.history_lengths, np.ones(len(ranks), dtype=bool), dataset.nouns.items)
    found += _quarters("target popularity", target_plays, is_item, "interactions")
    found += _seen_in_training(facts.trained > 0, target_plays > 0, is_item, dataset.nouns)
    everybody = np.ones(len(ranks), dtype=np.bool_)
    items, users = dataset.item_table, dataset.user_table
    for name in category_columns(items):
        found += _groups(f"target {name}", pd.Series(items[name]), np.where(is_item, ranks.target, 0), is_item)
    for name in category_columns(users):
        found += _groups(name, _grouped(pd.Series(users[name])), ranks.user, everybody)
    return [entry for entry in found if entry.cases]


def known_dimensions(dataset: Dataset) -> list[str]:
    """The dimensions that the dataset knows something about."""
    items = [f"target {name}" for name in category_columns(dataset.item_table)]
    users = dataset.user_table
    of_users = [name for name in category_columns(users) if categories_of(pd.Series(users[name])).names]
    return ["history length", "target popularity", SEEN, *items, *of_users]


def age_group(text: str) -> str:
    """An age in years as MovieLens-1M's group: "24" is "18-24"; what is a group already stays, "" where unknown."""
    if not text.isdecimal():
        return text
    return next((label for limit, label in AGES if int(text) < limit), "")


def _grouped(column: pd.Series) -> pd.Series:
    """A column of users, ages in years as age groups."""
    is_age = column.name == "age" and pd.api.types.is_string_dtype(column.dtype)
    return column.map(age_group, na_action="ignore") if is_age else column


def slice_intervals(
    slices: Sequence[Slice], evaluations: Sequence[Evaluation], name: str, masking: Masking
) -> list[list[dict[str, Any]]]:
    """For each slice and model the mean of the metric `name`, its 95% interval, and "hits": cases that count above 0.

    A metric of ranks is 0 in most cases, of which percentile bootstrap intervals of small groups make too little: they
    are score intervals. Of cases of one user as many count as their variance says. Metrics of lists have bootstrap
    intervals over users. A single user has none: the ends are None.
    """
    if not slices:
        return []
    users = evaluations[0].ranks.user
    members = np.stack([entry.members for entry in slices], axis=1).astype(np.float64)  # (N, S)
    counts = user_sums(members, users).sums  # (U, S)
    found: list[list[dict[str, Any]]] = []
    for evaluation in evaluations:
        values = case_values(evaluation, masking, [name])  # (N, 1)
        table = UserSums(counts, user_sums(values * members, users).sums)
        squares = (values**2 * members).sum(axis=0) / members.sum(axis=0)
        is_of_ranks = name.rpartition("@")[0] in METRICS.names()
        if is_of_ranks:
            low, high = rank_interval(table, squares)
        else:
            ((low, high),) = intervals(table, [95], np.array(False), np.array(is_bounded(name)))
        hits = ((values > 0) * members).sum(axis=0).astype(np.int64)
        found.append(rows_of({"mean": table.mean, "low": low, "high": high, "hits": hits}))
    return [list(row) for row in zip(*found, strict=True)]


def is_few(models: Sequence[dict[str, Any]], cases: int) -> bool:
    """Whether a slice says little: of fewer cases than 30, or, of some model, of fewer hits than 10."""
    return cases < FEW or min(model["hits"] for model in models) < FEW_HITS


def _quarters(dimension: str, values: NDArray[np.int64], among: NDArray[np.bool_], units: str) -> list[Slice]:
    """Four slices with about as many cases each; fewer where many cases share a value."""
    if not among.any():
        return []
    cuts = np.unique(np.quantile(values[among], np.linspace(0, 1, QUARTERS + 1)).astype(np.int64))
    lows = cuts[:-1] if len(cuts) > 1 else cuts
    place = np.searchsorted(lows, values, side="right") - 1
    found: list[Slice] = []
    for number in range(len(lows)):
        members = among & (place == number)
        if members.any():
            low, high = int(values[members].min()), int(values[members].max())
            found.append(
                Slice(dimension, f"{low:,} to {high:,} {units}" if low < high else f"{low:,} {units}", members)
            )
    return found


def _seen_in_training(
    user: NDArray[np.bool_], item: NDArray[np.bool_], among: NDArray[np.bool_], nouns: Nouns
) -> list[Slice]:
    """Warm and cold cases apart; none where all are warm, as when each user's last item is held out."""
    groups = {f"user and {nouns.item} seen": user & item, "new user": ~user, f"new {nouns.item}": ~item & among}
    found = [Slice(SEEN, label, members & among) for label, members in groups.items()]
    return found if (~user & among).any() or (~item & among).any() else []


def _groups(dimension: str, column: pd.Series, rows: NDArray[np.integer], among: NDArray[np.bool_]) -> list[Slice]:
    """A slice for each category of a table's column; case n is about row `rows[n]` of it, where it is `among` (N,)."""
    found = categories_of(column)
    cases = np.bincount(rows[among], minlength=len(column))  # of each row
    by_category = np.bincount(found.codes, cases[found.rows], minlength=len(found.names))
    commonest = np.argsort(-by_category, kind="stable")[:MOST_GROUPS]
    groups: dict[str, Slice] = {}
    for code in np.sort(commonest).tolist():
        has = np.zeros(len(column), dtype=np.bool_)
        has[found.rows[found.codes == code]] = True
        groups[found.names[code]] = Slice(dimension, found.names[code], has[rows] & among)
    in_order = [label for _, label in AGES if label in groups] if dimension == "age" else []
    return [groups[label] for label in dict.fromkeys([*in_order, *groups])]
