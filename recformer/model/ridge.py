"""Ridge regression from a user's latest items to the next one, in closed form."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recformer.config import Options, option
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import training_marks
from recformer.model.sizes import Sizes
from recformer.model.vote_table import VoteTable, option_votes
from recformer.registry import MODELS

LARGEST = 15_000  # items whose matrix is solved whole; for 12,000 that took 90 s of one core and 1.6 GB
AT_ONCE = 1 << 17  # training cases


class RidgeOptions(Options):
    name: str = "ridge"
    decay: float = option(
        0.85, "Decay", "How much an item counts as against the one after it: 1 counts all alike.", gt=0, le=1
    )
    regularisation: float = option(
        100.0,
        "Regularisation",
        "λ, which draws all weights to zero: the fewer interactions there are, the more of it is right.",
        gt=0,
        le=1e9,
    )
    votes: int = option_votes()


@MODELS.register("ridge")
class Ridge(VoteTable):
    """scores = x W, where W = (XᵀX + λI)⁻¹ XᵀY = argmin |Y − XW|² + λ |W|².

    A row of X (N, I) is the history of a training case, its latest items weighted decay^age; that of Y is its target.
    Above 15,000 items each item is taken by itself: XᵀX is replaced by its diagonal, so W is as sparse as XᵀY (marginal
    regression; Fan and Lv 2008). On Amazon Beauty that costs .002 NDCG@10.

    A score is an estimate of a probability, but may be below 0; as logits serve asinh(score / 2ε) with ε = 1 / I, the
    logarithm where scores are large against ε. Source: Hoerl and Kennard 1970; EASE (Steck 2019) is its like without
    order.
    """

    Options = RidgeOptions

    def __init__(self, options: RidgeOptions, sizes: Sizes) -> None:
        super().__init__(sizes, options.votes)
        self.options = options

    def forward(self, tokens: Tensor, users: Tensor) -> Tensor:  # noqa: ARG002  one signature for every model
        """Logits (B, V) of what comes next, from the latest tokens (B, T); users are not read."""
        return self.with_marks(torch.asinh(self.votes(tokens, self.options.decay) * (self.num_items / 2)))

    def fit(self, prepared: Prepared) -> None:
        """Solve for W on the training part."""
        solve = _each_alone if self.num_items > LARGEST else _solved
        cases = _cases(prepared, self.sizes.window, self.options.decay)
        self.keep(solve(cases, self.num_items, self.options.regularisation), prepared)


Sparse = Any
"""A sparse matrix of SciPy, which is imported where it is needed: no other model's training takes that time."""
_Cases = Iterator[tuple[Sparse, Sparse]]
"""X and Y in pieces of rows, each (B, I)."""


def _solved(cases: _Cases, num_items: int, regularisation: float) -> NDArray[np.float32]:
    import scipy.linalg

    # Column by column, as LAPACK has them: it would else copy both.
    gram = np.eye(num_items, dtype=np.float32, order="F")
    gram *= regularisation
    cross = np.zeros_like(gram)
    for x, y in cases:
        gram += (x.T @ x).toarray(order="F")
        cross += (x.T @ y).toarray(order="F")
    return scipy.linalg.solve(  # pyright: ignore[reportReturnType]  it keeps float32
        gram, cross, assume_a="pos", overwrite_a=True, overwrite_b=True, check_finite=False
    )


def _each_alone(cases: _Cases, num_items: int, regularisation: float) -> Sparse:
    from scipy import sparse

    squares = np.full(num_items, regularisation, dtype=np.float32)
    cross: Sparse = sparse.csr_array((num_items, num_items), dtype=np.float32)
    for x, y in cases:
        squares += x.power(2).sum(axis=0)
        cross += x.T @ y
    return sparse.diags_array(1 / squares) @ cross


def _cases(prepared: Prepared, latest: int, decay: float) -> _Cases:
    """All training cases, without what is held out: a history then lacks it, as where it is counted."""
    from scipy import sparse

    histories = prepared.histories
    tokens, counted = histories.tokens, training_marks(prepared) & (histories.tokens < histories.num_items)
    ends = np.flatnonzero(counted & prepared.split.trained)
    ages = np.arange(latest)
    for start in range(0, len(ends), AT_ONCE):
        some = ends[start : start + AT_ONCE]
        firsts = histories.user_starts[histories.users_at(some)]
        places = np.maximum(some[:, None] - 1 - ages, firsts[:, None])  # (B, n); SOS is no item
        read = counted[places]
        rows, columns = np.nonzero(read)
        x = (np.power(decay, ages, dtype=np.float32)[columns], (rows, tokens[places][read]))
        y = (np.ones(len(some), np.float32), (np.arange(len(some)), tokens[some]))
        shape = (len(some), histories.num_items)
        yield sparse.coo_array(x, shape=shape).tocsr(), sparse.coo_array(y, shape=shape).tocsr()
