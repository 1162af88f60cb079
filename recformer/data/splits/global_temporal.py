"""One cut in time for everybody: train on what came before it, validate and test on what came after."""

import numpy as np

from recformer.data.dataset import Dataset
from recformer.data.splits.split import Fractions, Split, require_parts
from recformer.data.windows import Windows
from recformer.registry import SPLITS


class GlobalTemporalOptions(Fractions):
    name: str = "global_temporal"


@SPLITS.register("global_temporal")
class GlobalTemporal:
    """A target belongs to the part its time falls into; EOS is no target, since it has no time. Needs real times
    (the Data page says whether a set has them)."""

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
        item_positions = windows.target_positions(rows) - 2 * windows.users[rows] - 1  # undo SOS and EOS
        times = dataset.timestamps[item_positions]
        split = Split(
            rows[times < validation_start],
            rows[(times >= validation_start) & (times < test_start)],
            rows[times >= test_start],
            "items",
            dataset.num_users - len(np.unique(windows.users[rows])),
        )
        return require_parts(split, windows, "global_temporal")


def _cut(count: int, fraction_after: float) -> int:
    return min(max(round(count * (1 - fraction_after)), 0), count - 1)
