"""Item-based nearest neighbours: what was watched by those who watched what this user did."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recformer.data.histories import Cases
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import training_marks
from recformer.model.baseline.votes import Fallback, Sparse, latest_items
from recformer.registry import BASELINES

NEIGHBOURS = 200
BLOCK = 256  # items at once: similarities of 256 × 60,000 float32 are 61 MB


@BASELINES.register("item_knn")
class ItemKnn:
    """score(j) = Σ decay^age(i) · sim(i, j) over the `latest` items i of the history (0: all) that are among the 200
    nearest neighbours of j.

    sim(i, j) = n(i, j) / (√(n(i) n(j)) + shrinkage) with the users who have i, j or both in the training part: without
    shrinkage the cosine of two columns of the binary user-item matrix. Neighbours as near as the 200th all stay; no
    item is its own neighbour. Items without votes, and SOS and EOS, come last, by popularity, with scores below 0.

    Source: Sarwar, Karypis, Konstan and Riedl 2001 (cosine; the neighbours are those of the item that is scored); for
    binary data and top-N lists, sums of similarities as in Deshpande and Karypis 2004.

    Three users had {a, b}, {a, b, c} and {a}: sim(a, b) = 2 / √(3 · 2) = 0.816, sim(a, c) = 1 / √(3 · 1) = 0.577,
    sim(b, c) = 1 / √(2 · 1) = 0.707; who had a and b gets c with 0.577 + 0.707 = 1.284.
    """

    TITLE = "Item kNN"
    DESCRIPTION = "Recommends what users had who had the same items."
    GRID = (
        {"latest": 0, "decay": 1.0, "shrinkage": 0.0},
        *({"latest": 10, "decay": 0.8, "shrinkage": shrinkage} for shrinkage in (0.0, 10.0, 50.0)),
    )

    def __init__(self, prepared: Prepared) -> None:
        self._histories = prepared.histories
        self._user_items = user_items(prepared)
        self._fallback = Fallback(prepared)
        self._similar: dict[float, Sparse] = {}

    def scores(self, cases: Cases, latest: float, decay: float, shrinkage: float) -> NDArray[np.float32]:
        """(B, V) scores of all tokens for cases (B)."""
        history = latest_items(self._histories, cases, int(latest), decay)
        if not latest:
            history.data[:] = 1  # an item that is there twice counts once
        return self._fallback.below((history @ self._similar_with(shrinkage)).toarray())

    def _similar_with(self, shrinkage: float) -> Sparse:
        """(I, I) in row i the similarity to every j that has i as a neighbour; kept for the last shrinkage alone."""
        if shrinkage not in self._similar:
            self._similar = {shrinkage: nearest_neighbours(self._user_items, shrinkage).T.tocsr()}
        return self._similar[shrinkage]


def user_items(prepared: Prepared) -> Sparse:
    """(U, I) float32: 1 where a user has an item in the training part."""
    histories = prepared.histories
    places = np.flatnonzero(training_marks(prepared) & (histories.tokens < histories.num_items))  # no SOS, no EOS
    cells = (histories.users_at(places), histories.tokens[places])
    found = sparse.coo_array(
        (np.ones(len(places), np.float32), cells), shape=(histories.num_users, histories.num_items)
    )
    matrix: Sparse = found.tocsr()
    matrix.data[:] = 1
    return matrix


def nearest_neighbours(user_items: Sparse, shrinkage: float = 0.0, count: int = NEIGHBOURS) -> Sparse:
    """(I, I): in row i the similarities of i to its `count` nearest neighbours, from who had what (U, I)."""
    item_users: Sparse = user_items.T.tocsr()
    users = np.maximum(np.diff(item_users.indptr), 1).astype(np.float32)  # (I,)
    blocks: list[Sparse] = []
    for start in range(0, item_users.shape[0], BLOCK):
        block = item_users[start : start + BLOCK]
        items = np.arange(start, start + block.shape[0])
        norms = np.sqrt(users[items][:, None] * users)  # one root: n(i) = n(j) divides exactly
        similarity = (block @ user_items).toarray() / (norms + np.float32(shrinkage))  # (block, I)
        similarity[np.arange(len(items)), items] = 0
        if count < similarity.shape[1]:
            similarity[similarity < np.partition(similarity, -count, axis=1)[:, -count, None]] = 0
        blocks.append(sparse.csr_array(similarity))
    return sparse.vstack(blocks).tocsr()
