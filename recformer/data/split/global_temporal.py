"""One cut in time for everybody: train on what came before it, validate and test on what came after."""

import numpy as np

from recformer.data.dataset import Dataset
from recformer.data.split.base import Fractions, Split, item_places, require_parts, targets_at_once, time_ties_option
from recformer.data.ties import TimeTies, group_starts
from recformer.data.windows import Windows
from recformer.registry import SPLITS


class GlobalTemporalOptions(Fractions):
    name: str = "global_temporal"
    time_ties: TimeTies = time_ties_option()


@SPLITS.register("global_temporal")
class GlobalTemporal:
    """A target belongs to the part its time falls into; EOS is no target, since it has no time. Needs real times
    (the Data page says whether a set has them). With ties as sets, a case is all that a user has at one time."""

    Options = GlobalTemporalOptions

    def __init__(self, options: GlobalTemporalOptions) -> None:
        self.options = options

    def __call__(self, dataset: Dataset, windows: Windows) -> Split:
        """Rows for each part. Raises DataError when a part is empty."""
        ordered = np.sort(dataset.timestamps)
        test_start = ordered[_cut(len(ordered), self.options.test_fraction)]
        validation_start = ordered[_cut(len(ordered), self.options.test_fraction + self.options.validation_fraction)]
        rows = np.arange(len(windows))
        rows = rows[windows.targets(rows) != windows.eos]
        places = item_places(windows, rows)
        times = dataset.timestamps[places]
        as_set = self.options.time_ties == "as_set"
        held_out = group_starts(dataset)[places] if as_set else np.ones(len(rows), dtype=np.bool_)
        split = Split(
            rows[times < validation_start],
            rows[(times >= validation_start) & (times < test_start) & held_out],
            rows[(times >= test_start) & held_out],
            "items",
            dataset.num_users - len(np.unique(windows.users[rows])),
            targets_at_once(dataset, windows) if as_set else None,
        )
        return require_parts(split, windows, "global_temporal")


def _cut(count: int, fraction_after: float) -> int:
    return min(max(round(count * (1 - fraction_after)), 0), count - 1)
