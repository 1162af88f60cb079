"""Gini coefficient: how unequally are the recommendations spread over the catalogue?"""

import numpy as np

from recformer.metric.lists import Lists
from recformer.registry import CATALOGUE_METRICS


@CATALOGUE_METRICS.register("gini")
def gini(lists: Lists, k: int) -> float:
    """Gini coefficient of how often each item of the catalogue occurs in a top k: 0 = all alike, near 1 = one item.

    With x sorted upwards: Σ (2i − n − 1) x_i / (n Σ x). Four items shown 0, 0, 0 and 8 times give 0.75. Items that
    are never shown count. Source: Fleder and Hosanagar 2009.
    """
    first = lists.items[:, :k]
    shown = np.sort(np.bincount(first[first >= 0], minlength=lists.catalogue.num_items))
    count = len(shown)
    weights = 2 * np.arange(1, count + 1) - count - 1
    return float(weights @ shown / (count * max(shown.sum(), 1)))
