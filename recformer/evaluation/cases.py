"""What is known of the cases without any model: who had how much before, the catalogue, and which were trained on."""

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from recformer.data.prepared import Prepared
from recformer.data.split.base import Part
from recformer.metric.lists import Catalogue, genre_bits
from recformer.model.baseline.counts import ranges, token_counts, training_positions, users_at


@dataclass(frozen=True, eq=False)
class Facts:
    """Of N cases, as metrics of lists and slices need them."""

    catalogue: Catalogue
    history_lengths: NDArray[np.int64]
    """(N,) items the user had before the target."""


@lru_cache(maxsize=4)
def facts_of(prepared: Prepared, part: Part) -> Facts:
    """Facts of a part's cases, with popularity counted on the training part alone."""
    windows, rows = prepared.windows, prepared.split.rows(part)
    plays = token_counts(prepared)[: windows.num_items]
    owners = users_at(windows, training_positions(prepared))
    genres = cast("list[list[str]]", prepared.dataset.movies["genres"].tolist())
    before = windows.target_positions(rows) - windows.user_starts[windows.users[rows]] - 1  # SOS is no item
    return Facts(Catalogue(plays, len(np.unique(owners)), genre_bits(genres)), before)


@lru_cache(maxsize=8)  # models of one split ask for the same
def cases_trained_on(cases: Prepared, part: Part, training: Prepared) -> int:
    """How many cases of a part have a target that is a target of a training window, both of one dataset.

    Interactions are the same where user, item and time are: their places differ with the order of what is tied.
    """
    rows = cases.split.rows(part)
    counts = cases.split.targets_of(rows)
    counts = np.ones(len(rows), dtype=np.int64) if counts is None else counts
    wanted = _interactions(cases, ranges(cases.windows.target_positions(rows), counts))
    trained = _interactions(training, training.windows.target_positions(training.split.train))
    known = set(map(tuple, trained[np.isin(trained[:, 0], wanted[:, 0])].tolist()))
    hits = np.array([tuple(entry) in known for entry in wanted.tolist()], dtype=np.bool_)
    return len(np.unique(np.repeat(np.arange(len(rows)), counts)[hits]))


def _interactions(prepared: Prepared, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) user and token as one number, and time (−1 for EOS), of positions (P,) in `windows.tokens`."""
    windows = prepared.windows
    users = users_at(windows, positions)
    tokens = windows.tokens[positions].astype(np.int64)
    times = np.full(len(positions), -1)
    items = tokens < windows.num_items
    times[items] = prepared.dataset.timestamps[positions[items] - 2 * users[items] - 1]
    return np.stack([users * windows.num_tokens + tokens, times], axis=1)
