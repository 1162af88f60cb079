"""The gate for what foreign logs say: stamps, values and names outside of sane bounds go no further as they are.

Steps need none: protobuf holds them to 64 bits, and negative ones are allowed. Charts bound their axes themselves.
"""

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command line lists runs without NumPy
    import numpy as np
    from numpy.typing import NDArray

LATEST_S = 4_102_444_800.0  # the year 2100: later than that are milliseconds, or dates written as one number
LARGEST = 1e100  # the squares and differences of what is drawn and averaged must be finite too
MOST_NAME = 200  # characters of a tag
_STAMP_IN_NAME = re.compile(r"tfevents\.(\d+)")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def known_stamp(seconds: Any) -> float | None:
    """Seconds since 1970 where they lie before the year 2100; None for everything else, which is no time.

    >>> known_stamp(1.7e9), known_stamp(1.7e12), known_stamp(float("nan")), known_stamp(-1)
    (1700000000.0, None, None, None)
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < LATEST_S:
        return None
    return float(seconds)


def stamp_in_name(name: str) -> float | None:
    """When an event file was begun, by its name; None where that says nothing that can be a time."""
    match = _STAMP_IN_NAME.search(name)
    # Digits without end would take long to read as a number; ten are enough up to the year 2286.
    return known_stamp(int(match[1])) if match and len(match[1]) <= 20 else None


def known_times(wall_time: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """(n,) the same, with NaN for what is no time (see known_stamp)."""
    known = (wall_time >= 0) & (wall_time < LATEST_S)
    if known.all():
        return wall_time
    held = wall_time.copy()
    held[~known] = math.nan
    return held


def is_number(values: "NDArray[np.float64]") -> "NDArray[np.bool_]":
    """(n,) which values can be drawn, ranked and averaged: finite, and not beyond ±LARGEST."""
    return abs(values) <= LARGEST


def finite(value: Any) -> float | None:
    """`value` where it is a number that can be shown; None for true, text, NaN, and what is beyond ±LARGEST."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
        return None
    return float(value)


def visible(text: str) -> str:
    """`text` with control characters and halves of characters, which no page can show, replaced."""
    return _UNPRINTABLE.sub("�", text)


def printable(name: str) -> str:
    """A tag or a folder's name as it can be shown (see visible); the middle of a long one is left out."""
    name, half = visible(name), MOST_NAME // 2
    return name if len(name) <= MOST_NAME else f"{name[: half - 1]}…{name[-half:]}"
