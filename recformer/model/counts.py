"""Items by how often they came soon after a user's latest items in other histories."""

import numpy as np
from torch import Tensor

from recformer.config import Options, option
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import token_counts
from recformer.model.sizes import Sizes
from recformer.model.vote_table import VoteTable, option_votes
from recformer.registry import MODELS


class CountsOptions(Options):
    name: str = "counts"
    reach: int = option(10, "Reach", "How many places after an item others count as following it.", ge=1, le=200)
    decay: float = option(
        0.8, "Decay", "How much an item counts as against the one after it: 1 counts all alike.", gt=0, le=1
    )
    distance: float = option(
        0.5,
        "Distance exponent",
        "What follows at distance d counts 1/d to this power: 0 counts all distances alike.",
        ge=0,
        le=4,
    )
    before: float = option(
        0.7,
        "Popularity exponent, before",
        "What follows an item is divided by how often that item is there, to this power: 1 gives shares.",
        ge=0,
        le=2,
    )
    after: float = option(
        0.3,
        "Popularity exponent, after",
        "And by how often the item that follows is there, to this power: the higher, the less popular are recommended.",
        ge=0,
        le=2,
    )
    votes: int = option_votes()


@MODELS.register("counts")
class Counts(VoteTable):
    """score(j) = Σ decay^age(i) · r(i → j) / (count(i)^before · count(j)^after) over the latest items i of the history.

    r(i → j) sums 1 / d^distance over the places of the training part where j follows i at a distance d of at most
    `reach`. The logarithm serves as logit. Items without votes come last, by popularity. Source: sequential rules
    (Ludewig and Jannach 2018), with several items of the history, and exponents as in item kNN (Deshpande and Karypis
    2004).

    Trained on [a b c] with distance 1 and without exponents: r(a → b) = 1, r(a → c) = 1/2, r(b → c) = 1. After a, b
    with decay 0.8: c 1 + 0.8 · 1/2 = 1.4, b 0.8.
    """

    Options = CountsOptions

    def __init__(self, options: CountsOptions, sizes: Sizes) -> None:
        super().__init__(sizes, options.votes)
        self.options = options

    def forward(self, tokens: Tensor, users: Tensor) -> Tensor:  # noqa: ARG002  one signature for every model
        """Logits (B, V) of what comes next, from the latest tokens (B, T); users are not read."""
        return self.with_marks(self.votes(tokens, self.options.decay).log())

    def fit(self, prepared: Prepared) -> None:
        """Count the training part."""
        from scipy import sparse  # here: no other model's training needs its time to load

        from recformer.model.baseline.votes import follow_counts

        options = self.options
        follows = follow_counts(prepared, np.arange(1, options.reach + 1) ** -options.distance)
        counts = np.maximum(token_counts(prepared)[: self.num_items], 1).astype(np.float32)
        before, after = (sparse.diags_array(counts**-power) for power in (options.before, options.after))
        self.keep((before @ follows @ after).tocsr(), prepared)
