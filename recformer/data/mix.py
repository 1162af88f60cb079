"""SplitMix64: numbers that look drawn and are a pure function of what they are made of, in every version."""

import numpy as np
from numpy.typing import NDArray

STEP = np.uint64(0x9E3779B97F4A7C15)


def mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(N,) each number mixed so that one bit changed changes half of the bits (Steele, Lea and Flood 2014)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
