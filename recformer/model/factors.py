"""What is known of tokens and users before any training, for a model that can begin with it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Factors:
    """Vectors whose products say how much likelier a token makes another; made by training/co_occurrence.py."""

    before: Tensor
    """(V, R) float: a token of the window."""
    after: Tensor
    """(V, R) float: the target. before[i] · after[j] ≈ log of how much oftener j comes soon after i than by chance."""
    users: Tensor
    """(U, R) float: the mean of `before` over a user's training targets; zeros for a user without one."""
    log_popularity: Tensor
    """(V,) float: logarithm of how often each token is a target, counted from 1."""
