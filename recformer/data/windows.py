"""Windows over one flat token array: index arithmetic instead of a million small tensors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recformer.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Windows:
    """Every run of `size` consecutive tokens of a user's [SOS] + items + [EOS], with the token after it as target.

    A user with n items has n + 2 tokens and so n + 2 − size windows (none where that is not positive):
    4 items and size 5 give one window, [SOS a b c d] → EOS.
    """

    size: int
    num_items: int
    tokens: NDArray[np.int32]
    """(N + 2U,) every user's [SOS] + items + [EOS], one after the other."""
    starts: NDArray[np.int64]
    """(W,) where each window begins in `tokens`."""
    users: NDArray[np.int32]
    """(W,) user token of each window."""
    user_starts: NDArray[np.int64]
    """(U + 1,) where each user's tokens begin."""

    @property
    def sos(self) -> int:
        return self.num_items

    @property
    def eos(self) -> int:
        return self.num_items + 1

    @property
    def num_tokens(self) -> int:
        """V: items, SOS and EOS."""
        return self.num_items + 2

    def __len__(self) -> int:
        return len(self.starts)

    def inputs(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Input tokens of the windows `rows`: (B,) → (B, T)."""
        return self.tokens[self.starts[rows][:, None] + np.arange(self.size)]

    def targets(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Target tokens of the windows `rows`: (B,) → (B,)."""
        return self.tokens[self.target_positions(rows)]

    def target_positions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the targets of the windows `rows` stand in `tokens`: (B,) → (B,)."""
        return self.starts[rows] + self.size


def windows_of(dataset: Dataset, size: int) -> Windows:
    """All windows of a dataset, user after user in the order of time. `size` ≥ 1 tokens."""
    lengths = np.diff(dataset.offsets) + 2  # SOS and EOS
    user_starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = np.empty(user_starts[-1], dtype=np.int32)
    user_of_item = np.repeat(np.arange(dataset.num_users), np.diff(dataset.offsets))
    tokens[np.arange(dataset.num_interactions) + 2 * user_of_item + 1] = dataset.items
    tokens[user_starts[:-1]] = dataset.num_items
    tokens[user_starts[1:] - 1] = dataset.num_items + 1
    counts = np.maximum(lengths - size, 0)
    users = np.repeat(np.arange(dataset.num_users, dtype=np.int32), counts)
    first_rows = np.cumsum(counts) - counts
    starts = user_starts[users] + np.arange(len(users)) - first_rows[users]
    return Windows(size, dataset.num_items, tokens, starts.astype(np.int64), users, user_starts)
