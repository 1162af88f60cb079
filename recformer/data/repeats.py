"""Rows that repeat user, item and time of a row before, as in a file that was appended to itself: kept or dropped.

Nobody but whoever knows the data can say which is right, so it is asked, and remembered in dataset.yaml beside the
files. Dropping changes the sequences, and so the fingerprint.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recformer.data.mapping import Choice, Duplicates, Settings, read_settings, write_settings
from recformer.errors import DataError


@dataclass(frozen=True)
class Repeats:
    """Rows that repeat one before."""

    rows: int = 0
    """How many there are in the files, whether kept or dropped."""
    choice: Choice | None = None
    """What was said of them; where nothing was, they are kept."""


NO_REPEATS = Repeats()


def write_choice(folder: Path, choice: Choice) -> None:
    """Remember beside the files what was said of repeated rows, in place of settings that are damaged.

    Raises StoreError when the disk refuses.
    """
    settings = Settings(repeats=choice)
    with suppress(DataError):
        if (mapping := read_settings(folder).mapping) is not None:
            duplicates: Duplicates = "keep" if choice == "keep" else "first"
            settings = Settings(mapping=replace(mapping, duplicates=duplicates))
    write_settings(folder, settings)


def repeated(users: NDArray[np.int64], times: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) which rows repeat user, time and item of a row before. Rows are in the order of users, then times.

    One user's items a b a c at times 1 1 1 2: no, no, yes, no.
    """
    same = np.zeros(len(users) + 1, dtype=np.bool_)
    same[1:-1] = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
    tied = np.flatnonzero(same[:-1] | same[1:])  # a row that is alone at its time repeats none
    group = np.cumsum(~same[:-1])[tied]
    order = np.lexsort((items[tied], group))  # stable: of equal rows the first stays
    group, own = group[order], items[tied][order]
    found = np.zeros(len(users), dtype=np.bool_)
    found[tied[order[1:]]] = (group[1:] == group[:-1]) & (own[1:] == own[:-1])
    return found


def unanswered(repeats: Repeats, interactions: int, folder: Path) -> str | None:
    """What to say of repeated rows of which nobody has said what they are; None where there is nothing to say."""
    if not repeats.rows or repeats.choice is not None:
        return None
    twice = ", as if the file had been appended to itself" if 2 * repeats.rows == interactions else ""
    return (
        f"{repeats.rows:,} of {interactions:,} rows of {folder} repeat user, item and time of a row before{twice}; "
        f"they are kept. Say what is right on the Data page, or by the option of data info: repeats, drop or keep"
    )
