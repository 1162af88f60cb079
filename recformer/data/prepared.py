"""A dataset made ready for training or evaluation: its windows and their split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recformer.config import Options
from recformer.data.dataset import Dataset
from recformer.data.splits.split import Split
from recformer.data.windows import Windows, windows_of
from recformer.registry import SPLITS


@dataclass(frozen=True, eq=False)
class Prepared:
    """One dataset, its windows of one size, and one split of them."""

    dataset: Dataset
    windows: Windows
    split: Split

    def training_positions(self) -> NDArray[np.int64]:
        """Ascending positions in `windows.tokens` of all that a model may see in training: inputs and targets."""
        return self._covered(self.windows.size + 1)

    def training_pairs(self) -> NDArray[np.int64]:
        """Ascending positions in `windows.tokens` of the first of two neighbours that one training window holds."""
        return self._covered(self.windows.size)

    def _covered(self, length: int) -> NDArray[np.int64]:
        """Positions among the `length` from the start of any training window."""
        starts = self.windows.starts[self.split.train]
        bounds = np.zeros(len(self.windows.tokens) + 1, dtype=np.int64)
        np.add.at(bounds, starts, 1)
        np.add.at(bounds, starts + length, -1)
        return np.flatnonzero(np.cumsum(bounds[:-1]) > 0)


def prepare(dataset: Dataset, window: int, split: Options) -> Prepared:
    """Windows and split of a dataset. Raises DataError when a part of the split would be empty."""
    windows = windows_of(dataset, window)
    return Prepared(dataset, windows, SPLITS.get(split.name)(split)(dataset, windows))
