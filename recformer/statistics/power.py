"""Power: how large must a difference be for this number of users to show it?"""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from recformer.statistics.users import UserSums

LEVEL = 0.05
POWER = 0.8


def standard_error(differences: UserSums) -> NDArray[np.float64]:
    """(M,) standard error of each mean difference, over users; infinite for a single user.

    With one case a user it is sd / √n of the users' differences. With several it is that of a ratio of sums
    (Cochran 1977, section 6.3): a user counts by how far their sum is from what their cases would give at the mean.
    Differences 0.1 and 0.3 give 0.1414 / √2 = 0.1.
    """
    num_users = len(differences.sums)
    if num_users < 2:
        return np.full(differences.sums.shape[1], np.inf)
    apart = (differences.sums - differences.mean * differences.counts) / differences.counts.mean(axis=0)
    return np.sqrt((apart**2).sum(axis=0) / (num_users - 1) / num_users)


def detectable(error: float, comparisons: int = 1) -> float:
    """The minimum detectable difference: a true one of this size is found significant 80 times of 100.

    (z(1 − α/2) + z(0.8)) · `error`, the standard error, where α is 0.05 over the number of `comparisons` in the family,
    the level of Holm's first step. An error of 0.1 gives (1.960 + 0.842) · 0.1 = 0.280 for one comparison.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - LEVEL / comparisons / 2) + normal.inv_cdf(POWER)) * error
