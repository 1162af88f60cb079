"""How many of the cases a model is evaluated on it was trained on, whatever the order of what is tied in time."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.data.split.base import Part
from recformer.model.baseline.counts import ranges, users_at


@lru_cache(maxsize=8)  # models of one split ask for the same
def cases_trained_on(cases: Prepared, part: Part, training: Prepared) -> int:
    """How many cases of a part have a target that is a target of a training window, both of one dataset.

    Interactions are the same where user, item and time are: their places differ with the order of what is tied.
    """
    rows = cases.split.rows(part)
    several = cases.split.targets_of(rows)
    counts = np.ones(len(rows), dtype=np.int64) if several is None else several
    wanted = _interactions(cases, ranges(cases.windows.target_positions(rows), counts))
    trained = _interactions(training, training.windows.target_positions(training.split.train))
    # Few are left after users and items: times are looked at one by one.
    near, seen = wanted[np.isin(wanted[:, 0], trained[:, 0])], trained[np.isin(trained[:, 0], wanted[:, 0])]
    known = set(map(tuple, seen.tolist())) & set(map(tuple, near.tolist()))
    hits = np.array([tuple(entry) in known for entry in wanted.tolist()], dtype=np.bool_) if known else None
    return 0 if hits is None else len(np.unique(np.repeat(np.arange(len(rows)), counts)[hits]))


def _interactions(prepared: Prepared, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) user and token as one number, and time (−1 for EOS), of positions (P,) in `windows.tokens`."""
    windows = prepared.windows
    users = users_at(windows, positions)
    tokens = windows.tokens[positions].astype(np.int64)
    times = np.full(len(positions), -1)
    items = tokens < windows.num_items
    times[items] = prepared.dataset.timestamps[positions[items] - 2 * users[items] - 1]
    return np.stack([users * windows.num_tokens + tokens, times], axis=1)
