"""Novelty: how surprising are the recommended items?"""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.lists import Lists
from recformer.registry import LIST_METRICS


@LIST_METRICS.register("novelty")
def novelty(lists: Lists, k: int) -> NDArray[np.float64]:
    """Mean self-information of the first k items in bits: −log2 of each item's share of all training interactions.

    One interaction is added to every item, so that one that was never seen has a finite value. An item with 99 of
    398 interactions in a catalogue of two: −log2(100 / 400) = 2. Source: Zhou et al. 2010; Castells et al. 2015.

    Returns (N,) float64.
    """
    plays = lists.catalogue.plays
    share = (plays + 1) / (plays.sum() + len(plays))
    return lists.mean_of(-np.log2(share), k)
