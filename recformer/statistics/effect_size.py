"""Effect size of a paired difference: how large is it beside how much users differ?"""

import numpy as np
from numpy.typing import NDArray

from recformer.statistics.users import UserSums

ROUNDING = 1e-9
"""A spread below this share of the difference is no spread: equal differences are summed with rounding."""


def paired_effect_size(differences: UserSums) -> NDArray[np.float64]:
    """(M,) mean over users of their mean difference, over its standard deviation (Cohen's d for pairs, d_z).

    Differences 0.1 and 0.3 give 0.2 / 0.1414 = 1.41. 0 where no user differs from another or there is only one.
    """
    means = differences.sums / differences.counts  # (U, M)
    if len(means) < 2:
        return np.zeros(means.shape[1])
    spread = means.std(axis=0, ddof=1)
    differs = spread > ROUNDING * np.abs(means).max(axis=0)
    return np.divide(means.mean(axis=0), spread, out=np.zeros_like(spread), where=differs)
