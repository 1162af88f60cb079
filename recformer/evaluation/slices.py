"""Slices: for which users and which movies does a model work? Groups of cases, each with its count and interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recformer.data.dataset import Dataset
from recformer.evaluation.cases import Facts
from recformer.evaluation.ranks import Masking, Ranks
from recformer.evaluation.table import Evaluation, case_values
from recformer.registry import METRICS
from recformer.statistics.bootstrap import bootstrap
from recformer.statistics.score_interval import score_interval
from recformer.statistics.users import UserSums, user_sums

FEW, FEW_HITS = 30, 10
"""A slice of fewer cases, or hits, says little; it is shown in grey."""
QUARTERS = 4
AGES = [(18, "Under 18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (50, "45-49"), (56, "50-55"), (200, "56+")]
SEEN = "seen in training"
OF_USERS = ("age", "gender", "occupation")
DIMENSIONS = (
    *("history length", "target popularity", SEEN),
    *("target genre", *OF_USERS),
)


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

    A movie has several genres, so slices by genre overlap.
    """
    plays = facts.catalogue.plays
    is_item = ranks.target < len(plays)  # EOS can be a target, and is no movie
    target_plays = plays[np.where(is_item, ranks.target, 0)]
    found = _quarters("history length", facts.history_lengths, np.ones(len(ranks), dtype=bool), "movie")
    found += _quarters("target popularity", target_plays, is_item, "rating")
    found += _seen_in_training(facts.trained > 0, target_plays > 0, is_item)
    found += _genres(dataset, ranks, is_item)
    users = dataset.user_table.iloc[ranks.user]
    if "age" in users:
        found += _same("age", np.array([age_group(text) for text in users["age"]]), [label for _, label in AGES])
    for field in [name for name in ("gender", "occupation") if name in users]:
        values = users[field].to_numpy(dtype=str)
        found += _same(field, values, sorted(set(values)))
    return [entry for entry in found if entry.cases]


def known_dimensions(dataset: Dataset) -> list[str]:
    """The dimensions that the dataset knows something about."""
    users = dataset.user_table
    return [name for name in DIMENSIONS if name not in OF_USERS or (name in users and any(users[name]))]


def age_group(text: str) -> str:
    """An age in years as MovieLens-1M's group: "24" is "18-24"; what is a group already stays, "" where unknown."""
    if not text.isdecimal():
        return text
    return next((label for limit, label in AGES if int(text) < limit), "")


def slice_intervals(
    slices: Sequence[Slice], evaluations: Sequence[Evaluation], name: str, masking: Masking
) -> list[list[dict[str, Any]]]:
    """For each slice and model the mean of the metric `name`, its 95% interval, and "hits": cases that count above 0.

    A metric of ranks is 0 in most cases, of which percentile bootstrap intervals of small groups make too little: they
    are score intervals. Of cases of one user as many count as their variance says. Metrics of lists have bootstrap
    intervals over users.
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
        is_of_ranks = name.partition("@")[0] in METRICS.names()
        low, high = score_interval(table.mean, squares, _cases(table, squares)) if is_of_ranks else bootstrap(table)
        hits = ((values > 0) * members).sum(axis=0).astype(np.int64)
        columns = zip(table.mean.tolist(), low.tolist(), high.tolist(), hits.tolist(), strict=True)
        found.append([{"mean": mean, "low": one, "high": other, "hits": count} for mean, one, other, count in columns])
    return [list(row) for row in zip(*found, strict=True)]


def is_few(models: Sequence[dict[str, Any]], cases: int) -> bool:
    """Whether a slice says little: of fewer cases than 30, or, of some model, of fewer hits than 10."""
    return cases < FEW or min(model["hits"] for model in models) < FEW_HITS


def _cases(table: UserSums, squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) how many independent cases each slice is worth: all of them where a user has one, fewer where several of a
    user are alike."""
    cases = table.counts.sum(axis=0)
    apart = (table.sums - table.mean * table.counts) ** 2
    between = apart.sum(axis=0) / cases**2
    within = np.maximum(squares - table.mean**2, 0)
    varies = within > 1e-12  # equal values differ by rounding alone, which says nothing of how users are alike
    worth = np.divide(within, between, out=cases.copy(), where=varies & (between > 0))
    return np.where(table.counts.max(axis=0) > 1, np.clip(worth, 1, cases), cases)


def _quarters(dimension: str, values: NDArray[np.int64], among: NDArray[np.bool_], unit: str) -> list[Slice]:
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
                Slice(dimension, f"{low:,} to {high:,} {unit}s" if low < high else f"{low:,} {unit}s", members)
            )
    return found


def _seen_in_training(user: NDArray[np.bool_], item: NDArray[np.bool_], among: NDArray[np.bool_]) -> list[Slice]:
    """Warm and cold cases apart; none where all are warm, as when each user's last item is held out."""
    groups = {"user and movie seen": user & item, "new user": ~user, "new movie": ~item & among}
    found = [Slice(SEEN, label, members & among) for label, members in groups.items()]
    return found if (~user & among).any() or (~item & among).any() else []


def _genres(dataset: Dataset, ranks: Ranks, is_item: NDArray[np.bool_]) -> list[Slice]:
    genres = dataset.item_table["genre"].tolist()
    targets = np.where(is_item, ranks.target, 0)
    found: list[Slice] = []
    for name in sorted({genre for row in genres for genre in row}):
        has = np.array([name in row for row in genres])
        found.append(Slice("target genre", name, has[targets] & is_item))
    return found


def _same(dimension: str, values: NDArray[np.str_], order: Sequence[str]) -> list[Slice]:
    return [Slice(dimension, label, values == label) for label in order if label]
