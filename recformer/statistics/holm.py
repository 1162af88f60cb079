"""Holm's correction: of many differences on one page, some look clear by chance."""

import numpy as np
from numpy.typing import NDArray


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) p-values adjusted so that the chance of even one false alarm among all M stays below the level (Holm 1979).

    The least is multiplied by M, the next by M − 1, and so on, each at least as large as the one before, at most 1:
    .01, .04, .03 become .03, .06, .06.
    """
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted
