"""What a reviewer asks of a split before any model: how much of it is order, future and strangers."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from recformer.config import parse_section
from recformer.data.arrays import let_go, pieces, taken
from recformer.data.dataset import Dataset
from recformer.data.describe import description_of
from recformer.data.histories import interactions
from recformer.data.kept import kept
from recformer.data.prepared import Prepared, prepare
from recformer.data.split.base import Part
from recformer.data.ties import tied_at

HOUR_S = 3600
MANY_COLD = 0.05


@dataclass(frozen=True)
class SplitFacts:
    """Shares from 0 to 1."""

    tied_targets: float
    """Of the cases: the target has its time in common with the interaction before or after it of its user."""
    later_training: float
    """Of the training interactions: they lie after a test target in time, mean over the cases. Nobody could have
    trained on them when the case was still open (Ji et al. 2023)."""
    users_within_an_hour: float
    """Of the users: all of their interactions lie within one hour, so that their order is that of a form filled in."""
    cold_users: float
    """Of the users of the part: they have no interaction in the training part."""
    cold_items: float
    """Of the cases: their target has no interaction in the training part."""
    times_are_real: bool
    """Where they are placeholders, the shares that times tell mean nothing."""

    @property
    def is_cold(self) -> bool:
        """Whether so much is new that results of warm and cold cases are to be read apart."""
        return max(self.cold_users, self.cold_items) >= MANY_COLD

    def sentences(self) -> list[str]:
        """What they mean, for people; what times tell only where these are real."""
        said = {
            "of training interactions lie after a held-out target in time, on average": self.later_training,
            "of users gave all of their interactions within an hour": self.users_within_an_hour,
        }
        cold = {
            "of the users held out are new: they have no interaction in the training part": self.cold_users,
            "of the targets held out are new: nobody has them in the training part": self.cold_items,
        }
        shares = (said if self.times_are_real else {}) | cold
        return [f"{100 * share:.{0 if share > 0.01 else 1}f}% {what}." for what, share in shares.items() if share]


def _later_training(prepared: Prepared, times: NDArray[np.int64]) -> float:
    """Share of the training interactions after a time, mean over the times (C,) of the cases."""
    dataset, histories = prepared.dataset, prepared.histories
    of_pieces: list[tuple[int, int]] = []
    for piece in pieces(dataset.num_interactions):
        of_pieces.append((int(dataset.timestamps[piece].min()), int(dataset.timestamps[piece].max())))
        let_go(dataset.timestamps)
    first = min(low for low, _ in of_pieces)
    within_68_years = max(high for _, high in of_pieces) - first < 2**31  # seconds: then 4 bytes hold one
    trained = np.empty(np.count_nonzero(prepared.split.trained), np.int32 if within_68_years else np.int64)
    read = filled = 0
    for piece in pieces(len(histories.tokens)):
        items = histories.tokens[piece] < histories.num_items
        some = prepared.split.trained[piece][items]
        found = dataset.timestamps[read : read + len(some)][some] - first
        trained[filled : filled + len(found)] = found
        read, filled = read + len(some), filled + len(found)
        let_go(dataset.timestamps)
    trained = trained[:filled]
    trained.sort()
    later = filled - np.searchsorted(trained, (times - first).astype(trained.dtype), side="right")
    return float((later / max(filled, 1)).mean())


def usual_split_facts(dataset: Dataset) -> SplitFacts:
    """Facts of the test part of leave_last_out, kept beside the dataset's arrays. Raises DataError where it cannot be
    made of the dataset."""
    usual = parse_section("split", "leave_last_out")
    return kept(dataset, "split-facts-1", _FACTS, lambda: split_facts(prepare(dataset, usual), "test"))


@lru_cache(maxsize=4)
def split_facts(prepared: Prepared, part: Part) -> SplitFacts:
    """Facts of one part of a split. EOS, a target of random_windows, is at no time and is left out."""
    dataset, histories, split = prepared.dataset, prepared.histories, prepared.split
    cases = prepared.cases(part)
    cases = cases[histories.targets(cases) != histories.eos]
    places = interactions(cases)
    lengths = np.diff(dataset.offsets)
    there = lengths > 0
    first, last = dataset.offsets[:-1][there], dataset.offsets[1:][there] - 1
    spans = taken(dataset.timestamps, last) - taken(dataset.timestamps, first)
    known_items = np.zeros(histories.num_items, dtype=np.bool_)
    for piece in pieces(len(split.trained)):
        tokens = histories.tokens[piece][split.trained[piece]]
        known_items[tokens[tokens < histories.num_items]] = True
    return SplitFacts(
        tied_targets=float(tied_at(dataset, places).mean()),
        later_training=_later_training(prepared, taken(dataset.timestamps, places)),
        users_within_an_hour=float((spans <= HOUR_S).mean()),
        cold_users=float((split.trained_by_user()[np.unique(cases.users)] == 0).mean()),
        cold_items=float((~known_items[histories.targets(cases)]).mean()),
        times_are_real=description_of(dataset).times_are_real,
    )


_FACTS = TypeAdapter(SplitFacts)
