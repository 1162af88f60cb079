"""EASE: a linear model from items to items in closed form, which knows no order."""

from typing import Any

import numpy as np
import scipy.linalg.lapack
from numpy.typing import NDArray

from recformer.data.histories import Cases
from recformer.data.prepared import Prepared
from recformer.errors import EvaluationError
from recformer.model.baseline.item_knn import user_items
from recformer.model.baseline.votes import latest_items
from recformer.registry import BASELINES

lapack: Any = scipy.linalg.lapack
LARGEST = 15_000  # items, of which there are two matrices of 900 MB at a time


@BASELINES.register("ease")
class Ease:
    """score(j) = Σ B(i, j) over the distinct items i of the history, where B = argmin |X − XB|² + λ |B|² with zeros on
    its diagonal, X the binary matrix of users and items of the training part.

    B(i, j) = −P(i, j) / P(j, j) with P = (XᵀX + λ)⁻¹. SOS and EOS come last. Source: Steck 2019.
    """

    TITLE = "EASE"
    DESCRIPTION = "Recommends by a linear model of which items the same users have, in closed form."
    GRID = ({"regularisation": 100.0}, {"regularisation": 300.0}, {"regularisation": 1000.0})

    def __init__(self, prepared: Prepared) -> None:
        self._histories = prepared.histories
        if (items := self._histories.num_items) > LARGEST:
            raise EvaluationError(
                f"EASE inverts a matrix of items by items, which is done for up to {LARGEST:,}; this dataset has "
                f"{items:,}. Compare with the other baselines"
            )
        matrix = user_items(prepared)
        self._gram = (matrix.T @ matrix).toarray()
        self._weights: dict[float, NDArray[np.float32]] = {}

    def scores(self, cases: Cases, regularisation: float) -> NDArray[np.float32]:
        """(B, V) scores of all tokens for cases (B)."""
        history = latest_items(self._histories, cases, 0, 1.0)
        history.data[:] = 1  # an item that is there twice counts once
        scores = np.full((len(cases), self._histories.num_tokens), -np.inf, dtype=np.float32)
        scores[:, : self._histories.num_items] = history @ self._solved(regularisation)
        scores[:, self._histories.num_items :] = scores[:, : self._histories.num_items].min(axis=1, keepdims=True) - 1
        return scores

    def _solved(self, regularisation: float) -> NDArray[np.float32]:
        """(I, I) B, kept for the last regularisation alone."""
        if regularisation not in self._weights:
            self._weights.clear()  # before the next is made: so there are two such matrices at most
            weights = _inverse(self._gram, regularisation)
            weights /= -np.diag(weights)
            np.fill_diagonal(weights, 0)
            self._weights[regularisation] = weights
        return self._weights[regularisation]


def _inverse(gram: NDArray[np.float32], regularisation: float) -> NDArray[np.float32]:
    """(I, I) (G + λ)⁻¹ of a symmetric G, by its Cholesky factor, in the memory of one copy."""
    matrix = np.array(gram, order="F")
    np.fill_diagonal(matrix, np.diag(matrix) + np.float32(regularisation))
    matrix, _ = lapack.spotrf(matrix, overwrite_a=True)
    matrix, _ = lapack.spotri(matrix, overwrite_c=True)
    for row in range(1, len(matrix)):  # it gives the upper triangle alone
        matrix[row, :row] = matrix[:row, row]
    return matrix.T  # the same, and by rows: products with sparse histories would copy it otherwise
