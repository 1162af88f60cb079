"""What metrics of a recommended list look at: the list, its repeats, and the catalogue it comes from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What is known of the items without any model. Row i is item token i."""

    plays: NDArray[np.int64]
    """(I,) how often each item occurs in the training part."""
    num_users: int
    """Users of the training part."""
    genres: NDArray[np.uint64]
    """(I, G) genre sets as bits."""

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


def genre_bits(genres: list[list[str]]) -> NDArray[np.uint64]:
    """(I, G) one bit a genre: two movies' sets can then be compared without Python."""
    names = {name: place for place, name in enumerate(sorted({name for row in genres for name in row}))}
    bits = np.zeros((len(genres), max(-(-len(names) // 64), 1)), dtype=np.uint64)
    for row, own in enumerate(genres):
        for name in own:
            bits[row, names[name] // 64] |= np.uint64(1) << np.uint64(names[name] % 64)
    return bits
