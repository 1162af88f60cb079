"""Catalogue coverage: how much of the catalogue does anybody get to see?"""

import numpy as np

from recformer.metric.lists import Lists
from recformer.registry import CATALOGUE_METRICS


@CATALOGUE_METRICS.register("coverage")
def coverage(lists: Lists, k: int) -> float:
    """Share of the catalogue's items that occur in at least one top k. 3 of 12 items give 0.25.

    It grows with the number of cases, so compare it under one protocol only. Source: Herlocker et al. 2004.
    """
    first = lists.items[:, :k]
    return len(np.unique(first[first >= 0])) / lists.catalogue.num_items
