"""Each user's last item is the test, the one before it validation, everything earlier training."""

import numpy as np

from recformer.config import Options
from recformer.data.dataset import Dataset
from recformer.data.splits.split import Split, require_parts
from recformer.data.windows import Windows
from recformer.registry import SPLITS


class LeaveLastOutOptions(Options):
    name: str = "leave_last_out"


@SPLITS.register("leave_last_out")
class LeaveLastOut:
    """The usual split of sequential recommendation (Kang and McAuley 2018, SASRec). EOS is never a target here:
    where a history ends would tell what is held out."""

    Options = LeaveLastOutOptions

    def __init__(self, options: LeaveLastOutOptions) -> None:
        self.options = options

    def __call__(self, dataset: Dataset, windows: Windows) -> Split:
        """Rows for each part. Raises DataError when a part is empty."""
        rows = np.arange(len(windows))
        from_end = windows.user_starts[windows.users + 1] - 2 - windows.target_positions(rows)  # 0 = the last item
        test = rows[from_end == 0]
        split = Split(rows[from_end >= 2], rows[from_end == 1], test, "items", dataset.num_users - len(test))
        return require_parts(split, windows, "leave_last_out")
