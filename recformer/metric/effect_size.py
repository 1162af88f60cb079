"""Effect size of a paired difference: how large is it beside how much users differ?"""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.users import UserSums


def paired_effect_size(differences: UserSums) -> NDArray[np.float64]:
    """(M,) mean over users of their mean difference, over its standard deviation (Cohen's d for pairs, d_z).

    Differences 0.1 and 0.3 give 0.2 / 0.1414 = 1.41. 0 where no user differs from another or there is only one.
    """
    means = differences.sums / differences.counts  # (U, M)
    if len(means) < 2:
        return np.zeros(means.shape[1])
    spread = means.std(axis=0, ddof=1)
    return np.divide(means.mean(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
