"""What the training part tells without training: which tokens come soon after which, as factors a model begins with.

The logarithm of the lift, pointwise mutual information, is what embeddings trained on neighbours come to factorize
(Levy and Goldberg 2014). Here it is counted and factorized at once, which takes about a second on MovieLens-1M.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from recformer.data.histories import Cases, Histories
from recformer.model.factors import Factors

SMOOTHING = 0.3  # added to counts found and expected: one sight of a rare pair is weak evidence
FREQUENT = 5000  # tokens whose pairs are counted: a matrix of 100 MB. Rarer ones begin as unknown
LATEST = 20  # positions of the window that are counted
OVERSAMPLED, ITERATIONS = 8, 3  # of the randomized factorization (Halko, Martinsson and Tropp 2011)


def recency(window: int) -> NDArray[np.float32]:
    """(T,) how much each position's token says about the target: the last 1, the one before 0.8, then 0.67, …"""
    return (1 / (1 + np.arange(window)[::-1] / 4)).astype(np.float32)


def factors_of(histories: Histories, cases: Cases, window: int, rank: int) -> Factors:
    """Factors of `rank` columns, from training `cases` and the `window` tokens before each; zeros where there are
    fewer. Draws random numbers."""
    targets = histories.targets(cases)
    popularity = np.bincount(targets, minlength=histories.num_tokens)
    tokens = np.sort(np.argsort(-popularity, kind="stable")[:FREQUENT])
    left, right = _factorized(_log_lift(_counts(histories, cases, window, tokens)), rank)
    before, after = torch.zeros(2, histories.num_tokens, rank)
    before[torch.from_numpy(tokens)], after[torch.from_numpy(tokens)] = left, right
    return Factors(
        before=before,
        after=after,
        users=_means(before, targets, cases.users, histories.num_users),
        log_popularity=log_popularity(histories, cases),
    )


def log_popularity(histories: Histories, cases: Cases) -> Tensor:
    """(V,) float32: the logarithm of 1 + how often each token is a target of the cases."""
    counts = np.bincount(histories.targets(cases), minlength=histories.num_tokens)
    return torch.from_numpy(np.log(1.0 + counts)).to(torch.float32)


def _counts(histories: Histories, cases: Cases, window: int, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, N) how often each of `tokens` (N,) is in a window with each as its target, recent ones counting more."""
    size, firsts = len(tokens), histories.user_starts[cases.users]
    place = np.full(histories.num_tokens, -1)
    place[tokens] = np.arange(size)
    counts = np.zeros(size * size, dtype=np.float32)
    columns, weights = place[histories.targets(cases)], recency(window)
    for position in range(max(window - LATEST, 0), window):
        places = cases.ends - window + position
        rows = place[histories.tokens[np.maximum(places, firsts)]]
        counted = (places >= firsts) & (rows >= 0) & (columns >= 0)
        found = np.bincount(rows[counted] * size + columns[counted], minlength=size * size)
        counts += weights[position] * found.astype(np.float32)
    return counts.reshape(size, size)


def _log_lift(counts: NDArray[np.float32]) -> Tensor:
    """(N, N) logarithm of counts over those expected if tokens were independent, both smoothed."""
    found = torch.from_numpy(counts)
    expected = torch.outer(found.sum(1), found.sum(0)) / found.sum()
    return found.add_(SMOOTHING).div_(expected.add_(SMOOTHING)).log_()


def _factorized(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(N, rank) each, whose product is close to `matrix` (N, N)."""
    width = min(rank + OVERSAMPLED, len(matrix))
    left, scales, right = torch.svd_lowrank(matrix, q=width, niter=ITERATIONS)
    roots, padding = scales[:rank].sqrt(), (0, max(rank - width, 0))
    return pad(left[:, :rank] * roots, padding), pad(right[:, :rank] * roots, padding)


def _means(before: Tensor, targets: NDArray[np.int32], users: NDArray[np.int32], count: int) -> Tensor:
    """(U, R) the mean of `before` over each user's targets."""
    owners = torch.from_numpy(users).long()
    sums = torch.zeros(count, before.shape[1]).index_add_(0, owners, before[torch.from_numpy(targets).long()])
    return sums / torch.bincount(owners, minlength=count).clamp(min=1)[:, None]
