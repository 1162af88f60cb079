"""Item-based nearest neighbours: what was watched by those who watched what this user did."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.data.windows import Windows
from recformer.model.baseline.counts import fractions, ranges, token_counts, training_positions, users_at
from recformer.registry import BASELINES

NEIGHBOURS = 200
BLOCK = 256  # items at once: similarities of 256 × 60,000 float32 are 61 MB

warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # the product goes through it inside


@dataclass(frozen=True, eq=False)
class Sparse:
    """The cells of a matrix that are not 0, ordered by row and column."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]
    shape: tuple[int, int]


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
        self._similar_to = _transposed(nearest_neighbours(_item_users(prepared)))  # in row i: j with i as neighbour
        self._fallback = (fractions(token_counts(prepared)) - 1).astype(np.float32)  # (V,) in [−1, 0)

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of all tokens for the windows `rows`: (B,) → (B, V)."""
        similar = _product(_histories(self._windows, rows), self._similar_to)  # (B, I)
        scores = np.tile(self._fallback, (len(rows), 1))
        np.copyto(scores[:, : self._windows.num_items], similar, where=similar > 0)
        return scores


def nearest_neighbours(item_users: Sparse, count: int = NEIGHBOURS) -> Sparse:
    """(I, I): in row i the similarities of i to its `count` nearest neighbours, from which items (I, U) users had."""
    num_items = item_users.shape[0]
    users = np.maximum(np.bincount(item_users.rows, minlength=num_items), 1).astype(np.float32)  # (I,)
    user_items = _transposed(item_users)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
    for start in range(0, num_items, BLOCK):
        block = _rows_between(item_users, start, min(start + BLOCK, num_items))
        items = np.arange(start, start + block.shape[0])
        norms: NDArray[np.float32] = np.sqrt(users[items][:, None] * users)  # one root: n(i) = n(j) divides exactly
        similarity = _product(block, user_items) / norms  # (block, I)
        similarity[np.arange(len(items)), items] = 0
        rows, columns = _largest(similarity, count)
        parts.append((rows + start, columns, similarity[rows, columns]))
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Sparse(rows, columns, values, (num_items, num_items))


def _largest(dense: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the `count` largest values above 0 in each row, and of all that equal the last of them."""
    keep = dense > 0
    if count < dense.shape[1]:
        keep &= dense >= np.partition(dense, -count, axis=1)[:, -count, None]
    rows, columns = np.nonzero(keep)
    return rows, columns


def _item_users(prepared: Prepared) -> Sparse:
    """(I, U): 1 where a user has an item in the training part."""
    windows = prepared.windows
    positions = training_positions(prepared)
    positions = positions[windows.tokens[positions] < windows.num_items]  # without SOS and EOS
    num_users = len(windows.user_starts) - 1
    return _binary(windows.tokens[positions], users_at(windows, positions), (windows.num_items, num_users))


def _histories(windows: Windows, rows: NDArray[np.int64]) -> Sparse:
    """(B, I): 1 where a user had an item before the target."""
    first = windows.user_starts[windows.users[rows]] + 1  # after SOS
    lengths = windows.target_positions(rows) - first
    items = windows.tokens[ranges(first, lengths)]
    return _binary(np.repeat(np.arange(len(rows)), lengths), items, (len(rows), windows.num_items))


def _binary(rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]) -> Sparse:
    """1 at each of these cells, however often it is named."""
    cells = np.unique(rows.astype(np.int64) * shape[1] + columns)
    return Sparse(cells // shape[1], cells % shape[1], np.ones(len(cells), dtype=np.float32), shape)


def _transposed(matrix: Sparse) -> Sparse:
    order = np.argsort(matrix.columns, kind="stable")
    return Sparse(matrix.columns[order], matrix.rows[order], matrix.values[order], (matrix.shape[1], matrix.shape[0]))


def _rows_between(matrix: Sparse, start: int, stop: int) -> Sparse:
    cells = slice(*np.searchsorted(matrix.rows, [start, stop]))
    shape = (stop - start, matrix.shape[1])
    return Sparse(matrix.rows[cells] - start, matrix.columns[cells], matrix.values[cells], shape)


def _product(left: Sparse, right: Sparse) -> NDArray[np.float32]:
    """Dense left · right. Torch multiplies sparse matrices, numpy does not."""
    import torch  # here, so that listing the baselines does not load it

    def tensor(matrix: Sparse) -> torch.Tensor:
        cells = torch.from_numpy(np.stack([matrix.rows, matrix.columns]))
        values = torch.from_numpy(matrix.values)
        return torch.sparse_coo_tensor(cells, values, matrix.shape, check_invariants=False, is_coalesced=True)

    return torch.sparse.mm(tensor(left), tensor(right)).to_dense().numpy()
