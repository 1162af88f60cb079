"""Sums by user: cases of one user are not independent, so users are what is drawn, flipped and counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class UserSums:
    """For U users and M quantities, the sum over each user's cases, and how many cases those are."""

    counts: NDArray[np.float64]
    """(U, 1) cases of each user; (U, M) where the quantities are about different cases."""
    sums: NDArray[np.float64]
    """(U, M)"""

    @property
    def mean(self) -> NDArray[np.float64]:
        """(M,) mean over cases."""
        return self.sums.sum(axis=0) / self.counts.sum(axis=0)

    def columns(self, places: Sequence[int]) -> "UserSums":
        """Some of the quantities."""
        counts = self.counts if self.counts.shape[1] == 1 else self.counts[:, places]
        return UserSums(counts, self.sums[:, places])

    def minus(self, other: "UserSums") -> "UserSums":
        """Differences on the same cases."""
        return UserSums(self.counts, self.sums - other.sums)


def side_by_side(tables: Sequence[UserSums]) -> UserSums:
    """The quantities of several tables about the same cases, one after the other. `tables` is not empty."""
    return UserSums(tables[0].counts, np.concatenate([table.sums for table in tables], axis=1))


def user_sums(values: NDArray[np.float64], users: NDArray[np.integer]) -> UserSums:
    """Sum (N, M) values of cases by who they belong to, (N,) user numbers in any order."""
    _, group = np.unique(users, return_inverse=True)
    num_users = int(group.max()) + 1
    counts = np.bincount(group, minlength=num_users).astype(np.float64)[:, None]
    sums = np.empty((num_users, values.shape[1]))
    for place, column in enumerate(values.T):
        sums[:, place] = np.bincount(group, weights=column, minlength=num_users)
    return UserSums(counts, sums)
