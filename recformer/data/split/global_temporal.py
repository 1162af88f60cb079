"""One cut in time for everybody: train on what came before it, validate and test on what came after."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, Histories
from recformer.data.split.base import (
    Fractions,
    Split,
    first_items,
    require_parts,
    time_ties_option,
    with_targets_at_once,
)
from recformer.data.ties import TimeTies, group_starts
from recformer.registry import SPLITS


class GlobalTemporalOptions(Fractions):
    name: str = "global_temporal"
    time_ties: TimeTies = time_ties_option()


@SPLITS.register("global_temporal")
class GlobalTemporal:
    """A target belongs to the part its time falls into; EOS is no target, since it has no time. Needs real times
    (the Data page says whether a set has them). With ties as sets, a case is all that a user has at one time. A
    held-out case needs an interaction before it.
    """

    Options = GlobalTemporalOptions

    def __init__(self, options: GlobalTemporalOptions) -> None:
        self.options = options

    def __call__(self, dataset: Dataset, histories: Histories) -> Split:
        """Cases for each part. Raises DataError when a part is empty."""
        times, options = dataset.timestamps, self.options
        validation_start = _start_of_last(times, options.test_fraction + options.validation_fraction)
        test_start = _start_of_last(times, options.test_fraction)
        counts = np.zeros(dataset.num_users, dtype=np.int64)  # of interactions that are trained on: a user's first
        there = dataset.offsets[:-1] < dataset.offsets[1:]
        counts[there] = np.add.reduceat(times < validation_start, dataset.offsets[:-1][there], dtype=np.int64)
        tested, skipped = self._held_out(dataset, histories, times >= test_start)
        validated, _ = self._held_out(dataset, histories, (times >= validation_start) & (times < test_start))
        trained = first_items(histories, counts)
        return require_parts(Split(histories, trained, validated, tested, "items", skipped), dataset, "global_temporal")

    def _held_out(self, dataset: Dataset, histories: Histories, marks: NDArray[np.bool_]) -> tuple[Cases, int]:
        """The cases of marked interactions (N,) that have one before them, and how many users have marked ones only."""
        as_set = self.options.time_ties == "as_set"
        places = np.flatnonzero(marks & group_starts(dataset) if as_set else marks)
        users = np.searchsorted(dataset.offsets, places, side="right") - 1
        judged = places > dataset.offsets[users]
        cases = histories.cases_at(places[judged] + 2 * users[judged] + 1)  # SOS and EOS of users before, own SOS
        skipped = len(np.unique(users)) - len(np.unique(users[judged]))
        return (with_targets_at_once(dataset, cases) if as_set else cases), skipped


def _start_of_last(times: NDArray[np.int64], fraction: float) -> np.int64:
    """The time at which the latest `fraction` of all interactions begins."""
    cut = _cut(len(times), fraction)
    return np.partition(times, cut)[cut]


def _cut(count: int, fraction_after: float) -> int:
    return min(max(round(count * (1 - fraction_after)), 0), count - 1)
