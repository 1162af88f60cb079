"""Each user's last item is the test, the one before it validation, everything earlier training."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.dataset import Dataset
from recformer.data.split.base import Split, SplitOptions, item_places, require_parts, targets_at_once, time_ties_option
from recformer.data.ties import TimeTies, group_starts
from recformer.data.windows import Windows
from recformer.registry import SPLITS


class LeaveLastOutOptions(SplitOptions):
    name: str = "leave_last_out"
    time_ties: TimeTies = time_ties_option()


@SPLITS.register("leave_last_out")
class LeaveLastOut:
    """The usual split of sequential recommendation (Kang and McAuley 2018, SASRec). EOS is never a target here:
    where a history ends would tell what is held out.

    With ties as sets, "last" are all interactions at the last time together, and nothing at a held-out time is trained
    on. A user all of whose interactions are at one time has no history before it, and gives no case.
    """

    Options = LeaveLastOutOptions

    def __init__(self, options: LeaveLastOutOptions) -> None:
        self.options = options

    def __call__(self, dataset: Dataset, windows: Windows) -> Split:
        """Rows for each part. Raises DataError when a part is empty."""
        as_set = self.options.time_ties == "as_set"
        test_from, validation_from = _last_groups(dataset, group_starts(dataset) if as_set else None)
        rows = np.arange(len(windows))
        rows = rows[windows.targets(rows) != windows.eos]
        places, users = item_places(windows, rows), windows.users[rows]
        test = rows[places == test_from[users]]
        split = Split(
            rows[places < validation_from[users]],
            rows[(places == validation_from[users]) & (places < test_from[users])],
            test,
            "items",
            dataset.num_users - len(test),
            targets_at_once(dataset, windows) if as_set else None,
        )
        return require_parts(split, windows, "leave_last_out")


def _last_groups(dataset: Dataset, starts: NDArray[np.bool_] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(U,) where each user's last group of interactions begins, and the one before it (the same where there is none).

    `starts` (N,) marks the first of each group; None where every interaction is one by itself.
    """
    places = np.arange(dataset.num_interactions)
    first = places if starts is None else np.maximum.accumulate(np.where(starts, places, 0))
    begin, end = dataset.offsets[:-1], dataset.offsets[1:]
    last = np.where(end > begin, first[np.maximum(end - 1, 0)], begin)
    return last, np.where(last > begin, first[np.maximum(last - 1, 0)], last)
