"""What one pass over a model's scores keeps of every case: ranks, repeats and lists, raw, window and history masked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recformer.data.histories import Cases

MAX_K = 20
MOST_RECENT = 200
RECENT = 5  # the article's; latest tokens of a history that count as its window, for masking and for duplication
Masking = Literal["none", "window", "history"]
NOT_LISTED = int(np.iinfo(np.int32).max)
"""Rank of a target that is not in a list of which nobody knows how it goes on: beyond any cutoff."""
MASKINGS: tuple[Masking, ...] = ("none", "window", "history")


@dataclass(frozen=True, eq=False)
class Ranks:
    """One row a case. Ranks begin at 1; a tie counts against the model."""

    user: NDArray[np.int32]
    """(N,) user tokens."""
    target: NDArray[np.int32]
    """(N,) target tokens."""
    rank_none: NDArray[np.int32]
    """(N,) 1 + other candidates that score at least as much as the target."""
    rank_window: NDArray[np.int32]
    """(N,) the same without the items of the window, the latest `recent` tokens of the history."""
    rank_history: NDArray[np.int32]
    """(N,) the same without all items the user had before the target."""
    window_repeats_none: NDArray[np.uint8]
    """(N, 20) items of the window among the first 1 to 20 with nothing masked."""
    history_repeats_none: NDArray[np.uint8]
    """(N, 20) items of the history among the first 1 to 20 with nothing masked."""
    history_repeats_window: NDArray[np.uint8]
    """(N, 20) items of the history among the first 1 to 20 with the window masked."""
    top_none: NDArray[np.int32]
    """(N, 20) tokens of the first 20 with nothing masked, best first; −1 where there are fewer candidates."""
    top_window: NDArray[np.int32]
    """(N, 20) the same with the window masked."""
    top_history: NDArray[np.int32]
    """(N, 20) the same with the history masked."""

    num_targets: NDArray[np.int32] | None = None
    """(N,) how many different targets each case has, of which `target` is one and `rank_…` are the best; None: one
    each, and then there are no `places_…`."""
    places_none: NDArray[np.int32] | None = None
    """(N, 20) places of the first 20 targets with nothing masked, best first; 0 where there are fewer."""
    places_window: NDArray[np.int32] | None = None
    """(N, 20) the same with the window masked. A target is never masked."""
    places_history: NDArray[np.int32] | None = None
    """(N, 20) the same with the history masked."""

    known_none: NDArray[np.integer] | None = None
    """(N,) up to which place, 20 at most, each case's list is known; None where models score all items, so that every
    rank is known."""
    known_window: NDArray[np.integer] | None = None
    known_history: NDArray[np.integer] | None = None

    def __len__(self) -> int:
        return len(self.user)

    @property
    def are_lists(self) -> bool:
        """Whether they are of lists that were made elsewhere, of which only the first places are known."""
        return self.known_none is not None

    def known_to(self, masking: Masking) -> int:
        """The largest cutoff for which every case is known."""
        known = getattr(self, f"known_{masking}")
        return MAX_K if known is None else int(known.min())

    def rank(self, masking: Masking) -> NDArray[np.int32]:
        """(N,) ranks under one masking."""
        return getattr(self, f"rank_{masking}")

    def repeats(self, of: Literal["window", "history"], masking: Masking) -> NDArray[np.uint8]:
        """(N, 20) repeats among the first 1 to 20 under one masking; what is masked cannot repeat."""
        known = getattr(self, f"{of}_repeats_{masking}", None)
        return np.zeros_like(self.window_repeats_none) if known is None else known

    def top(self, masking: Masking) -> NDArray[np.int32]:
        """(N, 20) recommended tokens under one masking. The target is never masked, even where it repeats."""
        return getattr(self, f"top_{masking}")

    def places(self, masking: Masking) -> NDArray[np.int32]:
        """Where each case's targets stand, as `metric.places` says: (N,), or (N, 20) where cases have several."""
        return self.rank(masking) if self.num_targets is None else getattr(self, f"places_{masking}")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that is there, by the names of the fields."""
        return {name: values for name, values in vars(self).items() if values is not None}


def concatenate(parts: list[Ranks]) -> Ranks:
    """All parts as one. `parts` is not empty, and all have one target a case or all have several."""
    return Ranks(**{name: np.concatenate([part.arrays()[name] for part in parts]) for name in parts[0].arrays()})


def reordered(ranks: Ranks, rows: NDArray[np.int64]) -> Ranks:
    """The rows (N,) of ranks, in that order."""
    return Ranks(**{name: array[rows] for name, array in ranks.arrays().items()})


Progress = Callable[[int, int], None]
"""Called with cases done and cases in all."""


SCORES = 1 << 22  # of a batch: 16 MB of float32, however large the catalogue is


def batches(cases: Cases, size: int, num_tokens: int) -> Iterator[Cases]:
    """The cases in consecutive pieces of at most `size`, fewer where each has many scores."""
    size = max(min(size, SCORES // num_tokens), 1)
    for start in range(0, len(cases), size):
        yield cases[start : start + size]
