"""Some of the users that are held out: enough to compare models on, where there are millions."""

from dataclasses import dataclass

import numpy as np

from recformer.data.dataset import Dataset, numbers_of
from recformer.data.histories import Cases
from recformer.data.ties import hash_of


@dataclass(frozen=True)
class UserSample:
    """How many users of a part are evaluated, and which draw of them: the same seed gives the same users for ever,
    whatever the order of the files, and the smaller of two samples is within the larger."""

    users: int
    seed: int = 0


def sampled(cases: Cases, dataset: Dataset, sample: UserSample | None) -> Cases:
    """The cases of the sampled users, all of them where there are no more or nothing is sampled."""
    users = np.unique(cases.users)
    if sample is None or len(users) <= sample.users:
        return cases
    draws = hash_of(numbers_of(dataset.user_ids[users]), np.zeros(len(users), dtype=np.uint64), sample.seed)
    kept = np.zeros(dataset.num_users, dtype=np.bool_)
    kept[users[np.argsort(draws, kind="stable")[: sample.users]]] = True
    return cases[kept[cases.users]]
