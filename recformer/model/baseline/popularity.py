"""The same list for everybody: what is most frequent in the training part."""

import numpy as np
from numpy.typing import NDArray

from recformer.data.histories import Cases
from recformer.data.prepared import Prepared
from recformer.model.baseline.counts import token_counts
from recformer.registry import BASELINES


@BASELINES.register("popularity")
class Popularity:
    """score(j) = how often j is in the training part. Trained on [a b a] alone: a 2, b 1, everything else 0."""

    TITLE = "Popularity"
    DESCRIPTION = "Recommends to everybody what most people watched."
    GRID = ({},)

    def __init__(self, prepared: Prepared) -> None:
        self._counts = token_counts(prepared).astype(np.float32)  # (V,)

    def scores(self, cases: Cases) -> NDArray[np.float32]:
        """(B, V) scores of all tokens for cases (B), each row the same."""
        return np.tile(self._counts, (len(cases), 1))
