"""Intra-list diversity: how different are the categories within one list?"""

import numpy as np
from numpy.typing import NDArray

from recformer.metric.lists import Lists
from recformer.registry import CATEGORY_METRICS


@CATEGORY_METRICS.register("diversity")
def diversity(lists: Lists, k: int, column: str) -> NDArray[np.float64]:
    """Mean over all pairs among the first k items of 1 − Jaccard similarity of their sets of categories
    in one column.

    {Comedy} beside {Comedy, Drama} gives 1 − 1/2 = 0.5 at k = 2. An item without any shares nothing with any
    other. A list of fewer than two items has 0. Source: Ziegler et al. 2005.

    Returns (N,) float64 in [0, 1].
    """
    first = lists.items[:, :k]  # (N, k)
    sets = lists.catalogue.categories[column][first]  # (N, k, G)
    total, pairs = np.zeros(len(first)), np.zeros(len(first))
    for step in range(1, first.shape[1]):  # each item with the one `step` places further down
        both, either = sets[:, step:] & sets[:, :-step], sets[:, step:] | sets[:, :-step]
        shared, united = (np.bitwise_count(bits).sum(axis=2, dtype=np.int64) for bits in (both, either))
        there = (first[:, step:] >= 0) & (first[:, :-step] >= 0)
        total += np.where(there, 1 - shared / np.maximum(united, 1), 0.0).sum(axis=1)
        pairs += there.sum(axis=1)
    return total / np.maximum(pairs, 1)
