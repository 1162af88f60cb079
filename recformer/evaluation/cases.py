"""What is known of the cases without any model: who had how much before, the catalogue, and which were trained on."""

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from recformer.data.histories import Cases
from recformer.data.prepared import Prepared
from recformer.data.split.base import Part
from recformer.metric.lists import Catalogue, genre_bits
from recformer.model.baseline.counts import ranges, token_counts, training_positions


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
    owners = histories.users_at(training_positions(prepared))
    genres = cast("list[list[str]]", prepared.dataset.movies["genres"].tolist())
    cases = prepared.split.cases(part)
    trained = np.bincount(prepared.split.train.users, minlength=histories.num_users)[cases.users]
    catalogue = Catalogue(plays, len(np.unique(owners)), genre_bits(genres))
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
    held_out = cases.split.cases(part)
    counts = _target_counts(held_out)
    wanted = _interactions(cases, ranges(held_out.ends, counts))

    def hits(trained_part: Part) -> int:
        seen = [_targets(training, trained_part) for training in trainings]
        there = np.concatenate(seen) if seen else wanted[:0]
        known = set(map(tuple, there[np.isin(there[:, 0], wanted[:, 0])].tolist()))
        found = np.array([tuple(entry) in known for entry in wanted.tolist()], dtype=np.bool_)
        return len(np.unique(np.repeat(np.arange(len(held_out)), counts)[found]))

    return Known(hits("train"), hits("validation"))


def _targets(prepared: Prepared, part: Part) -> NDArray[np.int64]:
    targets = prepared.split.cases(part)
    return _interactions(prepared, ranges(targets.ends, _target_counts(targets)))


def _target_counts(cases: Cases) -> NDArray[np.int64]:
    return np.ones(len(cases), dtype=np.int64) if cases.num_targets is None else cases.num_targets


def _interactions(prepared: Prepared, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) user and token as one number, and time (−1 for EOS), of positions (P,) in `histories.tokens`."""
    histories = prepared.histories
    users = histories.users_at(positions)
    tokens = histories.tokens[positions].astype(np.int64)
    times = np.full(len(positions), -1)
    items = tokens < histories.num_items
    times[items] = prepared.dataset.timestamps[positions[items] - 2 * users[items] - 1]
    return np.stack([users * histories.num_tokens + tokens, times], axis=1)
