"""Item-based nearest neighbours: what was watched by those who watched what this user did."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.data.windows import Windows
from recformer.model.baseline.counts import fractions, ranges, token_counts, training_positions, users_at
from recformer.registry import BASELINES

if TYPE_CHECKING:
    from torch import Tensor  # imported where it is used, so that listing the baselines does not load it

NEIGHBOURS = 200
BLOCK = 256  # items at once: similarities of 256 × 60,000 float32 are 61 MB

warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # the product goes through it inside


@BASELINES.register("item_knn")
class ItemKnn:
    """score(j) = Σ sim(i, j) over the distinct items i that the user had before the target and that are among the 200
    nearest neighbours of j.

    sim(i, j) = n(i, j) / √(n(i) n(j)) with the users who have i, j or both in the training part: the cosine of two
    columns of the binary user-item matrix. Neighbours as near as the 200th all stay; no item is its own neighbour.
    Items without a neighbour in the history, and SOS and EOS, come last, by popularity, with scores below 0.

    Source: Sarwar, Karypis, Konstan and Riedl 2001 (cosine; the neighbours are those of the item that is
    scored); for binary data and top-N lists, sums of similarities as in Deshpande and Karypis 2004.

    Three users had {a, b}, {a, b, c} and {a}: sim(a, b) = 2 / √(3 · 2) = 0.816, sim(a, c) = 1 / √(3 · 1) = 0.577,
    sim(b, c) = 1 / √(2 · 1) = 0.707; who had a and b gets c with 0.577 + 0.707 = 1.284.
    """

    TITLE = "Item kNN"
    DESCRIPTION = "Recommends what was watched by people who watched the same movies, in whatever order."

    def __init__(self, prepared: Prepared) -> None:
        self._windows = prepared.windows
        self._similar_to = nearest_neighbours(_item_users(prepared)).t().coalesce()  # in row i: j with i as neighbour
        self._fallback = (fractions(token_counts(prepared)) - 1).astype(np.float32)  # (V,) in [−1, 0)

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of all tokens for the windows `rows`: (B,) → (B, V)."""
        similar = _product(_histories(self._windows, rows), self._similar_to).numpy()  # (B, I)
        scores = np.tile(self._fallback, (len(rows), 1))
        np.copyto(scores[:, : self._windows.num_items], similar, where=similar > 0)
        return scores


def nearest_neighbours(item_users: "Tensor", count: int = NEIGHBOURS) -> "Tensor":
    """Sparse (I, I): in row i the similarities of i to its `count` nearest neighbours, and to all as near as the last.

    `item_users`: (I, U), sparse, 1 where a user had an item.
    """
    import torch

    num_items = len(item_users)
    users = torch.bincount(item_users.indices()[0], minlength=num_items).clamp(min=1).float()  # (I,)
    user_items = item_users.t().coalesce()
    parts: list[Tensor] = []
    for items in torch.arange(num_items).split(BLOCK):
        norms = np.sqrt(
            (users[items, None] * users).numpy()
        )  # rounded right, unlike torch.sqrt: n(i) = n(j) divides exactly
        similarity = _product(item_users.index_select(0, items), user_items) / torch.from_numpy(norms)  # (block, I)
        similarity[torch.arange(len(items)), items] = 0
        last = similarity.topk(min(count, num_items), dim=1).values[:, -1:]
        parts.append(similarity.where(similarity >= last, 0).to_sparse())
    return torch.cat(parts).coalesce()


def _item_users(prepared: Prepared) -> "Tensor":
    """Sparse (I, U): 1 where a user has an item in the training part."""
    windows = prepared.windows
    positions = training_positions(prepared)
    positions = positions[windows.tokens[positions] < windows.num_items]  # without SOS and EOS
    num_users = len(windows.user_starts) - 1
    return _binary(windows.tokens[positions], users_at(windows, positions), (windows.num_items, num_users))


def _histories(windows: Windows, rows: NDArray[np.int64]) -> "Tensor":
    """Sparse (B, I): 1 where a user had an item before the target."""
    first = windows.user_starts[windows.users[rows]] + 1  # after SOS
    lengths = windows.target_positions(rows) - first
    items = windows.tokens[ranges(first, lengths)]
    return _binary(np.repeat(np.arange(len(rows)), lengths), items, (len(rows), windows.num_items))


def _binary(rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]) -> "Tensor":
    """Sparse: 1 at each of these cells, however often it is named."""
    import torch

    cells = np.unique(rows.astype(np.int64) * shape[1] + columns)
    places = torch.from_numpy(np.stack(np.divmod(cells, shape[1])))
    return torch.sparse_coo_tensor(places, torch.ones(len(cells)), shape, check_invariants=False, is_coalesced=True)


def _product(left: "Tensor", right: "Tensor") -> "Tensor":
    """Dense product of two sparse matrices."""
    import torch

    return torch.sparse.mm(left, right).to_dense()
