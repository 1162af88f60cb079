"""Each user's last item is the test, the one before it validation, everything earlier training."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, Histories
from recformer.data.report import LEAST
from recformer.data.split.base import (
    Split,
    SplitOptions,
    first_items,
    require_parts,
    time_ties_option,
    with_targets_at_once,
)
from recformer.data.ties import TimeTies, group_starts
from recformer.registry import SPLITS


class LeaveLastOutOptions(SplitOptions):
    name: str = "leave_last_out"
    time_ties: TimeTies = time_ties_option()


@SPLITS.register("leave_last_out")
class LeaveLastOut:
    """The usual split of sequential recommendation (Kang and McAuley 2018, SASRec). EOS is never a target here:
    where a history ends would tell what is held out.

    Users with fewer than three interactions are trained on and not judged. With ties as sets, "last" are all
    interactions at the last time together, and nothing at a held-out time is trained on; a held-out case needs an
    interaction before it.
    """

    Options = LeaveLastOutOptions

    def __init__(self, options: LeaveLastOutOptions) -> None:
        self.options = options

    def __call__(self, dataset: Dataset, histories: Histories) -> Split:
        """Cases for each part. Raises DataError when a part is empty."""
        as_set = self.options.time_ties == "as_set"
        begin, lengths = dataset.offsets[:-1], np.diff(dataset.offsets)
        last, before = _last_groups(dataset, group_starts(dataset) if as_set else None)
        judged = lengths >= LEAST
        trained = first_items(histories, np.where(judged, before - begin, lengths))

        def held_out(places: NDArray[np.int64], some: NDArray[np.bool_]) -> Cases:
            users = np.flatnonzero(some & judged & (places > begin))  # with an interaction before it
            cases = histories.cases_at(histories.user_starts[users] + 1 + places[users] - begin[users])
            return with_targets_at_once(dataset, cases) if as_set else cases

        test, validation = held_out(last, judged), held_out(before, before < last)
        split = Split(histories, trained, validation, test, "items", dataset.num_users - len(test))
        return require_parts(split, dataset, "leave_last_out")


def _last_groups(dataset: Dataset, starts: NDArray[np.bool_] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(U,) where each user's last group of interactions begins, and the one before it (the same where there is none).

    `starts` (N,) marks the first of each group; None where every interaction is one by itself.
    """
    begin, end = dataset.offsets[:-1], dataset.offsets[1:]
    if starts is None:
        last = np.maximum(end - 1, begin)
        return last, np.maximum(last - 1, begin)
    first = np.maximum.accumulate(np.where(starts, np.arange(dataset.num_interactions), 0))
    last = np.where(end > begin, first[np.maximum(end - 1, 0)], begin)
    return last, np.where(last > begin, first[np.maximum(last - 1, 0)], last)
