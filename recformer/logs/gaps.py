"""What of a curve cannot be drawn: values that are no numbers, where they begin, and how many there are."""

from dataclasses import dataclass

import numpy as np

from recformer.logs.bounds import LARGEST, is_number
from recformer.logs.series import Curve


@dataclass(frozen=True)
class Gaps:
    """The values of a curve that are no numbers (see bounds.is_number)."""

    count: int
    since: int | None
    """From which step on there is no number any more; None where the last value is one."""
    by_time: bool
    earlier: int
    """How many of them stand before that step; all of them where the last value is a number."""
    too_large: int
    """How many of them are finite."""

    @property
    def words(self) -> str:
        """For example "not a number since step 5", or "3 values are not a number"."""
        what = "not a number" if not self.too_large else f"not a number or beyond {LARGEST:.0e}"
        if self.since is None:
            return f"{self.count:,} {'value is' if self.count == 1 else 'values are'} {what}"
        since = f"{what} since {'point' if self.by_time else 'step'} {self.since:,}"
        return f"{since}, and {self.earlier:,} before" if self.earlier else since


def gaps(curve: Curve) -> Gaps | None:
    """None where every value is a number. Example: 5, NaN, 4, NaN, inf at steps 1 to 5: 3 of them, since step 4."""
    wrong = ~is_number(curve.value)
    count = int(wrong.sum())
    if not count:
        return None
    right = np.flatnonzero(~wrong)
    first = int(right[-1]) + 1 if len(right) else 0
    since = int(curve.step[first]) if first < len(curve) else None
    earlier = int(wrong[:first].sum())
    return Gaps(count, since, curve.by_time, earlier, int(np.isfinite(curve.value[wrong]).sum()))
