"""What is known of the cases and of the catalogue without any model; metrics of lists and slices need it."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.metric.lists import Catalogue, genre_bits
from recformer.model.baseline.counts import token_counts, training_positions, users_at


@dataclass(frozen=True, eq=False)
class Facts:
    """Of N cases."""

    catalogue: Catalogue
    history_lengths: NDArray[np.int64]
    """(N,) items the user had before the target."""


def facts_of(prepared: Prepared, rows: NDArray[np.int64]) -> Facts:
    """Facts of the cases `rows` (N,), with popularity counted on the training part alone."""
    windows = prepared.windows
    plays = token_counts(prepared)[: windows.num_items]
    owners = users_at(windows, training_positions(prepared))
    genres = cast("list[list[str]]", prepared.dataset.movies["genres"].tolist())
    before = windows.target_positions(rows) - windows.user_starts[windows.users[rows]] - 1  # SOS is no item
    return Facts(Catalogue(plays, len(np.unique(owners)), genre_bits(genres)), before)
