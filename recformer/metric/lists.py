"""What metrics of a recommended list look at: the list, its repeats, and the catalogue it comes from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recformer.data.categories import Categories


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What is known of the items without any model. Row i is item token i."""

    plays: NDArray[np.int64]
    """(I,) how often each item occurs in the training part."""
    num_users: int
    """Users of the training part."""
    categories: dict[str, NDArray[np.uint64]]
    """By column of the item table: (I, G) sets of categories as bits."""

    @property
    def num_items(self) -> int:
        return len(self.plays)


@dataclass(frozen=True, eq=False)
class Lists:
    """Recommendations of N cases, best first."""

    items: NDArray[np.int32]
    """(N, 20) item tokens; −1 where there is none (too few candidates, or a token that is no item)."""
    window_repeats: NDArray[np.uint8]
    """(N, 20) items of the input window among the first 1 to 20."""
    history_repeats: NDArray[np.uint8]
    """(N, 20) items of the history among the first 1 to 20."""
    catalogue: Catalogue

    def mean_of(self, of_items: NDArray[np.float64], k: int) -> NDArray[np.float64]:
        """(N,) mean over the first k items of a quantity (I,) that each item has; 0 for an empty list."""
        first = self.items[:, :k]
        there = first >= 0
        total = np.where(there, of_items[first], 0.0).sum(axis=1)
        return total / np.maximum(there.sum(axis=1), 1)


def category_bits(found: Categories, num_items: int) -> NDArray[np.uint64]:
    """(I, G) one bit a category: two items' sets can then be compared without Python."""
    bits = np.zeros((num_items, max(-(-len(found.names) // 64), 1)), dtype=np.uint64)
    words, places = np.divmod(found.codes.astype(np.uint64), np.uint64(64))
    np.bitwise_or.at(bits, (found.rows, words.astype(np.int64)), np.uint64(1) << places)
    return bits
