"""Sequential rules: each of a user's latest items votes for what followed it in other histories."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.histories import Cases
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import token_counts
from recformer.model.baseline.votes import Fallback, follow_counts, latest_items
from recformer.registry import BASELINES

REACH = 20  # steps


@BASELINES.register("sequential_rules")
class SequentialRules:
    """score(j) = Σ decay^age(i) · r(i → j) over the `latest` items i of the history, divided by count(j)^popularity.

    r(i → j) sums 1/distance over the places of the training part where j follows i within 20 steps.
    Source: rules of Ludewig and Jannach 2018 ("SR"), here with several items of the history and a correction for
    popularity.

    Trained on [a b c]: r(a → b) = 1, r(a → c) = 1/2, r(b → c) = 1. After a, b with decay 0.8 and popularity 0:
    c 1 + 0.8 · 1/2 = 1.4, b 0.8.
    """

    TITLE = "Sequential rules"
    DESCRIPTION = "Recommends what soon followed the user's latest items in other histories."
    GRID = tuple(
        {"latest": latest, "decay": 0.8, "popularity": popularity} for latest in (1, 5, 10) for popularity in (0.0, 0.3)
    )

    def __init__(self, prepared: Prepared) -> None:
        self._histories = prepared.histories
        self._rules = follow_counts(prepared, 1 / np.arange(1, REACH + 1))  # (I, I)
        self._counts = np.maximum(token_counts(prepared)[: prepared.histories.num_items], 1).astype(np.float32)
        self._fallback = Fallback(prepared)

    def scores(self, cases: Cases, latest: float, decay: float, popularity: float) -> NDArray[np.float32]:
        """(B, V) scores of all tokens for cases (B)."""
        votes = latest_items(self._histories, cases, int(latest), decay) @ self._rules
        return self._fallback.below(votes.toarray() / self._counts ** np.float32(popularity))
