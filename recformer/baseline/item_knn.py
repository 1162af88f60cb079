"""Item-based nearest neighbours: what is watched by the same people as the user's movies?"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recformer.baseline.popularity import popularity_of
from recformer.data.prepared import Prepared
from recformer.registry import BASELINES

NEIGHBOURS = 200
BLOCK = 512  # items whose similarities to all others are held at once
CASES = 128  # cases whose neighbours are held at once


@BASELINES.register("item_knn")
class ItemKnn:
    """The score of an item is the sum of its cosine similarities to those of the user's earlier items that have it
    among their 200 nearest neighbours (Deshpande and Karypis 2004).

    The similarity of two items is the number of training users who had both, over the root of the product of the
    numbers who had each: 2 in common of 4 and 4 users give 0.5. Popularity, scaled below any similarity, breaks ties
    and ranks what is nobody's neighbour.
    """

    TITLE = "Item kNN"
    DESCRIPTION = "Movies watched by the same people as the user's own, then what is popular."

    def __init__(self, prepared: Prepared) -> None:
        self._windows = prepared.windows
        self._neighbours, self._similarities = nearest_neighbours(prepared)
        popularity = popularity_of(prepared)
        self._popularity = (popularity / (popularity.max() + 1) * 1e-6).astype(np.float32)

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of all tokens for the cases `rows`: (B,) → (B, V)."""
        pieces = [self._sums(rows[start : start + CASES]) for start in range(0, len(rows), CASES)]
        return np.concatenate(pieces) + self._popularity

    def _sums(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        windows, size = self._windows, self._windows.num_tokens
        begins = windows.user_starts[windows.users[rows]] + 1  # SOS is no item
        lengths = windows.target_positions(rows) - begins
        row = np.repeat(np.arange(len(rows)), lengths)
        place = np.arange(len(row)) + np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
        had = windows.tokens[place]
        cells = (row[:, None] * size + self._neighbours[had]).reshape(-1)
        sums = np.bincount(cells, self._similarities[had].reshape(-1), minlength=len(rows) * size)
        return sums.reshape(len(rows), size).astype(np.float32)


def nearest_neighbours(prepared: Prepared) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each token its nearest neighbours and their similarities, (V, n) each; a similarity of 0 is no neighbour."""
    user, item = _who_had_what(prepared)
    size = prepared.windows.num_tokens
    weight = (1 / torch.bincount(item, minlength=size).clamp(min=1).double().sqrt())[item].float()
    shape = (size, len(prepared.windows.user_starts) - 1)
    by_item = _compressed(torch.sparse_coo_tensor(torch.stack([item, user]), weight, shape, check_invariants=True))
    neighbours, similarities = np.zeros((size, NEIGHBOURS), np.int64), np.zeros((size, NEIGHBOURS), np.float32)
    for start in range(0, prepared.windows.num_items, BLOCK):
        block = torch.arange(start, min(start + BLOCK, prepared.windows.num_items))
        inside = (item >= start) & (item < start + BLOCK)
        columns = torch.zeros(shape[1], len(block))
        columns[user[inside], item[inside] - start] = weight[inside]
        similar = by_item @ columns  # (V, block)
        similar[block, block - start] = 0.0  # nobody is their own neighbour
        nearest = similar.T.topk(min(NEIGHBOURS, size), dim=1)
        neighbours[block, : nearest.indices.shape[1]] = nearest.indices.numpy()
        similarities[block, : nearest.values.shape[1]] = nearest.values.numpy()
    return neighbours, similarities


def _who_had_what(prepared: Prepared) -> tuple[Tensor, Tensor]:
    """(n,) users and (n,) items: every pair of the training part once."""
    windows, positions = prepared.windows, prepared.training_positions()
    tokens = windows.tokens[positions].astype(np.int64)
    users = np.searchsorted(windows.user_starts, positions, side="right") - 1
    pairs = np.unique((users * windows.num_tokens + tokens)[tokens < windows.num_items])
    return torch.from_numpy(pairs // windows.num_tokens), torch.from_numpy(pairs % windows.num_tokens)


def _compressed(matrix: Tensor) -> Tensor:
    """By rows, which multiplies several times faster."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return matrix.coalesce().to_sparse_csr()
