"""Average popularity: how many people already know what is recommended?"""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.lists import Lists
from recformer.registry import LIST_METRICS


@LIST_METRICS.register("popularity")
def average_popularity(lists: Lists, k: int) -> NDArray[np.float64]:
    """Mean over the first k items of training interactions per training user.

    Items that 30 and 10 of 100 users have give 0.2 at k = 2. Source: Abdollahpouri et al. 2019 (ARP).

    Returns (N,) float64.
    """
    return lists.mean_of(lists.catalogue.plays / max(lists.catalogue.num_users, 1), k)
