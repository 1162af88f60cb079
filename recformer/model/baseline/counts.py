"""What all baselines share: their interface, and the training part of a split, counted."""

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from recformer.data.arrays import pieces
from recformer.data.histories import Cases, marks_between
from recformer.data.prepared import Prepared


class Baseline(Protocol):
    """A recommender counted from the training part of a split: nothing is drawn or kept on disk."""

    TITLE: ClassVar[str]
    """Name for people."""
    DESCRIPTION: ClassVar[str]
    """One sentence for people."""
    GRID: ClassVar[tuple[dict[str, float], ...]]
    """The settings among which validation chooses; one of nothing where there is no choice."""

    def __init__(self, prepared: Prepared) -> None: ...

    def scores(self, cases: Cases, **settings: float) -> NDArray[np.float32]:
        """(B, V) finite scores of all tokens for cases (B)."""
        ...


def training_marks(prepared: Prepared) -> NDArray[np.bool_]:
    """(N + 2U,) which of `histories.tokens` are counted: a user's tokens up to the last one that is trained to be
    predicted, without the targets of held-out cases.

    Under `random_windows` a held-out target lies before later training targets. A model may read it there, but what is
    counted is remembered as an answer: counting it raised NDCG@10 of a Markov chain on ml-100k from .065 to .189.

    [SOS a b c d EOS] under `leave_last_out` is trained on a and b (c is validation, d test): the places 0, 1, 2.
    """
    split, starts = prepared.split, prepared.histories.user_starts
    ends = ends_of_training(split.trained, starts)
    marks = marks_between(starts[:-1], ends, len(split.trained))
    for part in (split.validation, split.test):
        marks[part.target_places] = split.trained[part.target_places]  # a refit is trained on those of validation
    return marks


def ends_of_training(trained: NDArray[np.bool_], user_starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(U,) the place after each user's last token that is trained (N + 2U,); the user's first place without any."""
    ends = user_starts[:-1].copy()
    for piece in pieces(len(trained)):
        places = piece.start + np.flatnonzero(trained[piece])
        users = np.searchsorted(user_starts, places, side="right") - 1
        ends[users] = places + 1  # ascending, so the last one stays
    return ends


def step_marks(prepared: Prepared) -> NDArray[np.bool_]:
    """(N + 2U,) places p for which p and p + 1 are counted tokens of one user.

    In the example of `training_marks`: 0 and 1, the steps SOS → a and a → b.
    """
    marks = training_marks(prepared)
    marks[:-1] &= marks[1:]
    marks[prepared.histories.user_starts[1:] - 1] = False
    return marks


def token_counts(prepared: Prepared) -> NDArray[np.int64]:
    """(V,) how often each token is in the training part. SOS counts 0: nobody can go on with it."""
    histories, marks = prepared.histories, training_marks(prepared)
    counts = np.zeros(histories.num_tokens, dtype=np.int64)
    for piece in pieces(len(marks)):  # bincount makes 8 bytes of each token
        counts += np.bincount(histories.tokens[piece][marks[piece]], minlength=histories.num_tokens)
    counts[histories.sos] = 0
    return counts


def fractions(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(V,) counts in their order, pressed into [0, 1): what breaks ties of whole numbers. [0, 3, 1] → [0, .75, .25]."""
    return counts / (counts.max() + 1)
