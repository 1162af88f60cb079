"""Is one recipe better than another? Chance gives a recipe its users, and the seed that it was trained with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recformer.statistics.paired import standard_error
from recformer.statistics.users import UserSums


@dataclass(frozen=True, eq=False)
class RecipeDifference:
    """Mean differences of two recipes and how sure they are; M quantities."""

    error: NDArray[np.float64]
    """(M,) standard error, of users and seeds together."""
    freedom: NDArray[np.float64]
    """(M,) Satterthwaite's degrees of freedom of that error."""
    p: NDArray[np.float64]
    """(M,) two-sided, against no difference."""

    def interval(self, mean: NDArray[np.float64], level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(M,) and (M,): the ends of the interval that holds the true difference in `level` percent."""
        from scipy.special import stdtrit  # when it is needed: a training does without

        reach = stdtrit(self.freedom, 0.5 + level / 200) * self.error
        return mean - reach, mean + reach


def recipe_difference(users: UserSums, seeds: Sequence[Sequence[UserSums]]) -> RecipeDifference:
    """How sure the difference of two recipes is that were each trained with several seeds.

    Variance of the mean difference = that between users (of each user's difference, averaged over seeds) + for each
    recipe the variance between its seeds' means over their number, without the part of it that is users who like one
    seed and not another: that is in the first term. Degrees of freedom after Satterthwaite (1946). Testing users alone
    calls one recipe different from itself far too often (benchmarks/inference.py).

    Args:
        users: differences by user, averaged over seeds.
        seeds: for each trained recipe the sums by user of its S ≥ 2 seeds. What is counted, not trained, has none.
    """
    from scipy.special import stdtr

    num_users = len(users.sums)
    parts, freedoms = [standard_error(users) ** 2], [num_users - 1]
    for recipe in seeds:
        means = np.stack([seed.mean for seed in recipe])  # (S, M)
        between = means.var(axis=0, ddof=1) / len(recipe)
        # Of two seeds the variance is too uncertain to take anything from it: the test then errs on the careful side.
        shared = _users_and_seeds(recipe) if len(recipe) > 2 else 0.0
        parts.append(np.maximum(between - shared, 0))
        freedoms.append(len(recipe) - 1)
    variance = np.sum(parts, axis=0)
    spread = np.sum([part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True)], axis=0)
    freedom = np.divide(variance**2, spread, out=np.full_like(variance, num_users - 1), where=spread > 0)
    error = np.sqrt(variance)
    far = np.divide(np.abs(users.mean), error, out=np.zeros_like(error), where=error > 0)
    p = np.where(error > 0, 2 * stdtr(freedom, -far), np.where(users.mean == 0, 1.0, 0.0))
    return RecipeDifference(error, freedom, np.maximum(p, np.finfo(np.float64).tiny))  # too small a p is not 0


def _users_and_seeds(recipe: Sequence[UserSums]) -> NDArray[np.float64]:
    """(M,) what the variance of the mean over seeds owes to users who have more by one seed and less by another:
    σ²/(S · U), from how each seed's users lie around their own means over seeds."""
    count = len(recipe)
    mean = UserSums(recipe[0].counts, np.mean([seed.sums for seed in recipe], axis=0))
    around = np.sum([standard_error(seed.minus(mean)) ** 2 for seed in recipe], axis=0)
    return around / (count - 1) / count
