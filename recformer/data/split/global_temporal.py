"""One cut in time for everybody: train on what came before it, validate and test on what came after."""

import numpy as np

from recformer.data.dataset import Dataset
from recformer.data.histories import Histories, interactions
from recformer.data.split.base import (
    Fractions,
    Split,
    item_cases,
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
        ordered = np.sort(dataset.timestamps)
        test_start = ordered[_cut(len(ordered), self.options.test_fraction)]
        validation_start = ordered[_cut(len(ordered), self.options.test_fraction + self.options.validation_fraction)]
        cases = item_cases(histories)
        places = interactions(cases)
        times = dataset.timestamps[places]
        judged = places > dataset.offsets[:-1][cases.users]  # with an interaction before it
        train = cases[times < validation_start]
        if self.options.time_ties == "as_set":
            judged &= group_starts(dataset)[places]
            cases = with_targets_at_once(dataset, cases)
        validation = cases[(times >= validation_start) & (times < test_start) & judged]
        test = cases[(times >= test_start) & judged]
        skipped = len(np.unique(cases.users[times >= test_start])) - len(np.unique(test.users))
        return require_parts(Split(train, validation, test, "items", skipped), dataset, "global_temporal")


def _cut(count: int, fraction_after: float) -> int:
    return min(max(round(count * (1 - fraction_after)), 0), count - 1)
