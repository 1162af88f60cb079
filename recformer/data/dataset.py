"""The one in-memory form behind every dataset format."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.repeats import NO_REPEATS, Repeats

MOVIE_COLUMNS = ["item_id", "title", "year", "genres"]  # year: nullable Int64; genres: list of str
USER_COLUMNS = ["user_id", "gender", "age", "occupation"]  # str; "" where the set does not say


@dataclass(frozen=True, eq=False)
class Dataset:
    """Every user's interactions in the order of time, as one flat array.

    The interactions of user token u are positions `offsets[u]` to `offsets[u + 1]` of the flat arrays; ties
    in time keep the order of the file. Tokens are positions in the sorted ids (the article's vocabulary).
    """

    name: str
    """Short name for people, such as ml-100k."""
    source: Path
    """Folder it was read from."""
    reader: str
    """Registered name of the reader that read it."""
    user_ids: NDArray[np.int64]
    """(U,) sorted ids; row u is user token u."""
    item_ids: NDArray[np.int64]
    """(I,) sorted ids of the whole catalogue, rated or not; row i is item token i."""
    offsets: NDArray[np.int64]
    """(U + 1,) bounds of each user in the flat arrays."""
    items: NDArray[np.int32]
    """(N,) item tokens."""
    timestamps: NDArray[np.int64]
    """(N,) seconds since 1970."""
    ratings: NDArray[np.float32]
    """(N,)"""
    movies: pd.DataFrame
    """I rows of MOVIE_COLUMNS, row i is item token i."""
    users: pd.DataFrame
    """U rows of USER_COLUMNS, row u is user token u."""
    fingerprint: str
    """16 hex digits over everything a model or an evaluation can depend on; see `fingerprint_of`."""
    repeats: Repeats = NO_REPEATS
    """Rows of the files that repeat one before, and whether they are among the interactions."""

    @property
    def num_users(self) -> int:
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        return len(self.item_ids)

    @property
    def num_interactions(self) -> int:
        return len(self.items)

    def history(self, user_token: int) -> NDArray[np.int32]:
        """Item tokens of one user in the order of time, shape (n,)."""
        return self.items[self.offsets[user_token] : self.offsets[user_token + 1]]


def fingerprint_of(
    user_ids: NDArray[np.int64],
    item_ids: NDArray[np.int64],
    offsets: NDArray[np.int64],
    items: NDArray[np.int32],
    timestamps: NDArray[np.int64],
) -> str:
    """16 hex digits that are equal exactly when ids, sequences and times are equal, whatever the file format."""
    digest = hashlib.sha256()
    for array in (user_ids, item_ids, offsets, items, timestamps):
        digest.update(str(array.dtype.str).encode() + str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
