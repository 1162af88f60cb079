"""A dataset made ready for training or evaluation: its windows and their split."""

from dataclasses import dataclass

from recformer.config import Options
from recformer.data.dataset import Dataset
from recformer.data.split.base import Split, time_ties_of
from recformer.data.ties import in_order
from recformer.data.windows import Windows, windows_of
from recformer.registry import SPLITS


@dataclass(frozen=True, eq=False)
class Prepared:
    """One dataset, its windows of one size, and one split of them."""

    dataset: Dataset
    """With ties in time in the order that the split says."""
    windows: Windows
    split: Split


def prepare(dataset: Dataset, window: int, split: Options) -> Prepared:
    """Windows and split of a dataset. Raises DataError when a part of the split would be empty."""
    ordered = in_order(dataset, time_ties_of(split))
    windows = windows_of(ordered, window)
    return Prepared(ordered, windows, SPLITS.get(split.name)(split)(ordered, windows))
