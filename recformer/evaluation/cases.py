"""What is known of the cases without any model: who had how much before, the catalogue, and which were trained on."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.arrays import pieces
from recformer.data.categories import categories_of, category_columns
from recformer.data.prepared import Prepared
from recformer.data.split.base import Part
from recformer.metric.lists import Catalogue, category_bits
from recformer.model.baseline.counts import token_counts, training_marks

MOST_CATEGORIES = 2000
"""Of a column whose diversity is measured: a set of them is a bit each. What has more is nearly a name."""


@dataclass(frozen=True, eq=False)
class Facts:
    """Of N cases, as metrics of lists and slices need them."""

    catalogue: Catalogue
    history_lengths: NDArray[np.int64]
    """(N,) items the user had before the target."""
    trained: NDArray[np.int64]
    """(N,) interactions of the user in the training part."""


@lru_cache(maxsize=4)
def facts_of(prepared: Prepared, part: Part) -> Facts:
    """Facts of a part's cases, with popularity counted on the training part alone."""
    histories = prepared.histories
    plays = token_counts(prepared)[: histories.num_items]
    counted = np.logical_or.reduceat(training_marks(prepared), histories.user_starts[:-1])
    table = prepared.dataset.item_table
    columns = {name: categories_of(pd.Series(table[name])) for name in category_columns(table)}
    categories = {
        name: category_bits(found, histories.num_items)
        for name, found in columns.items()
        if 0 < len(found.names) <= MOST_CATEGORIES
    }
    cases = prepared.cases(part)
    trained = prepared.split.trained_by_user()[cases.users]
    catalogue = Catalogue(plays, int(counted.sum()), categories)
    return Facts(catalogue, histories.lengths(cases), trained)


@dataclass(frozen=True)
class Known:
    """Cases that a model has seen before it is evaluated on them; None where nobody knows."""

    trained_on: int | None
    """Those whose target it was trained to predict."""
    validated_on: int | None
    """Those whose target it was validated on: its best checkpoint was chosen by them."""

    @property
    def nothing(self) -> bool:
        """Whether it is known to have seen none of them."""
        return self.trained_on == 0 and self.validated_on == 0


@lru_cache(maxsize=8)  # models of one training ask for the same
def known_cases(cases: Prepared, part: Part, trainings: tuple[Prepared, ...]) -> Known:
    """How many cases of a part have a target that is one of any of the trainings, all of one dataset.

    Interactions are the same where user, item and time are: their places differ with the order of what is tied.
    """
    held_out = cases.cases(part)
    wanted = _interactions(cases, held_out.target_places)
    owners = np.repeat(np.arange(len(held_out)), held_out.target_counts)

    def hits(trained_part: Part) -> int:
        known: set[tuple[int, ...]] = set()
        for training in trainings:
            for piece in pieces(len(training.histories.tokens)):
                there = _interactions(training, _targets(training, trained_part, piece))
                known |= set(map(tuple, there[np.isin(there[:, 0], wanted[:, 0])].tolist()))
        found = np.array([tuple(entry) in known for entry in wanted.tolist()], dtype=np.bool_)
        return len(np.unique(owners[found]))

    return Known(hits("train"), hits("validation"))


def _targets(prepared: Prepared, part: Part, piece: slice) -> NDArray[np.int64]:
    """(P,) the targets of a part among a piece of the places."""
    if part == "train":
        return piece.start + np.flatnonzero(prepared.split.trained[piece])
    places = prepared.split.cases(part).target_places
    return places[(places >= piece.start) & (places < piece.stop)]


def _interactions(prepared: Prepared, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) user and token as one number, and time (−1 for EOS), of positions (P,) in `histories.tokens`."""
    histories = prepared.histories
    users = histories.users_at(positions)
    tokens = histories.tokens[positions].astype(np.int64)
    times = np.full(len(positions), -1)
    items = tokens < histories.num_items
    times[items] = prepared.dataset.timestamps[positions[items] - 2 * users[items] - 1]
    return np.stack([users * histories.num_tokens + tokens, times], axis=1)
