"""The one in-memory form behind every dataset format."""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.nouns import ITEMS, Nouns
from recformer.data.repeats import NO_REPEATS, Repeats
from recformer.data.report import Report

Id = int | str
"""What a dataset calls a user or an item, as it came."""
_PLAIN = "(0|[1-9][0-9]{0,18})"  # a whole number as Python writes it
_HIGHEST = np.iinfo(np.int64).max
IDS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Dataset:
    """Every user's interactions in the order of time, as one flat array.

    The interactions of user token u are positions `offsets[u]` to `offsets[u + 1]` of the flat arrays; ties
    in time keep the order of the file. Tokens are positions in the sorted ids (the article's vocabulary).
    Arrays may be read-only maps of files: nothing writes into them.
    """

    name: str
    """Short name for people, such as ml-100k."""
    source: Path
    """Folder it was read from."""
    reader: str
    """Registered name of the reader that read it."""
    offsets: NDArray[np.int64]
    """(U + 1,) bounds of each user in the flat arrays."""
    items: NDArray[np.int32]
    """(N,) item tokens."""
    timestamps: NDArray[np.int64]
    """(N,) seconds since 1970; where there are none, 0, 1, 2, … within each user."""
    item_table: pd.DataFrame
    """I rows, the whole catalogue, row i is item token i: `item_id` (see `ids_of`); where known `title` (str), `year`
    (Int64), `image` (str); and any other columns, of categories or of numbers (data/categories.py)."""
    user_table: pd.DataFrame
    """U rows, row u is user token u: `user_id` (see `ids_of`), and any other columns."""
    fingerprint: str
    """16 hex digits over everything a model or an evaluation can depend on; see `fingerprint_of`."""
    ratings: NDArray[np.float32] | None = None
    """(N,); None where there are none."""
    has_times: bool = True
    """Whether there were times; else the order of a user's interactions is that of the file."""
    nouns: Nouns = ITEMS
    repeats: Repeats = NO_REPEATS
    """Rows of the files that repeat one before, and whether they are among the interactions."""
    parts: NDArray[np.uint8] | None = None
    """(N,) 0, 1 or 2 for training, validation or test where the data came split; a user's go in this order."""
    report: Report = field(default_factory=Report)
    """What became of the rows of its files."""
    kept_in: Path | None = None
    """Folder of its arrays, found by content, where what is computed of them is kept too; None where it has none."""

    @cached_property
    def user_ids(self) -> pd.Index:
        """(U,) sorted ids, int64 or str; position u is user token u."""
        return pd.Index(self.user_table["user_id"])

    @cached_property
    def item_ids(self) -> pd.Index:
        """(I,) sorted ids of the whole catalogue, int64 or str; position i is item token i."""
        return pd.Index(self.item_table["item_id"])

    @property
    def num_users(self) -> int:
        return len(self.user_table)

    @property
    def num_items(self) -> int:
        return len(self.item_table)

    @property
    def num_interactions(self) -> int:
        return len(self.items)

    def history(self, user_token: int) -> NDArray[np.int32]:
        """Item tokens of one user in the order of time, shape (n,)."""
        return self.items[self.offsets[user_token] : self.offsets[user_token + 1]]

    @cached_property
    def titles(self) -> pd.Series:
        """(I,) titles by item token, as text; the id where there is none."""
        ids = cast("pd.Series", self.item_table["item_id"].astype("str"))
        if "title" not in self.item_table:
            return ids
        titles = cast("pd.Series", self.item_table["title"].astype("str"))
        return titles.where(titles.notna() & (titles.str.strip() != ""), ids)

    def title_of(self, item_token: int) -> str:
        """Title of one item; its id as text where it has none."""
        return self.titles.iloc[item_token]


def ids_of(*columns: pd.Series) -> list[pd.Series]:
    """Columns of text that name the same things, as ids.

    All are int64 where every value is a whole number as Python writes it, from 0 to 2⁶³ − 1; else all are kept exactly
    as they came, as str: "007" is another id than "7".
    """
    texts = [column.astype("str") for column in columns]
    if not all(text.str.fullmatch(_PLAIN).all() for text in texts):
        return texts
    longest = (text[text.str.len() == len(str(_HIGHEST))] for text in texts)
    if any(int(value) > _HIGHEST for text in longest for value in text):
        return texts
    return [text.astype("int64") for text in texts]


def id_of(ids: pd.Index, text: str) -> Id | None:
    """The one of `ids` that a text means, as in an address or a command; None where it is none of them."""
    wanted: Id = text
    if ids.dtype == np.int64:
        if not re.fullmatch("[0-9]{1,19}", text):
            return None
        wanted = int(text)
    return wanted if token_of(ids, wanted) is not None else None


def id_at(ids: pd.Index, token: int) -> Id:
    """The id of a token."""
    found = ids[token]
    return found if isinstance(found, str) else int(found)


def token_of(ids: pd.Index, wanted: Id) -> int | None:
    """Where an id stands among the sorted `ids`, None where it does not."""
    try:
        return cast("int", ids.get_loc(wanted))
    except (KeyError, OverflowError):
        return None


def numbers_of(ids: pd.Index) -> NDArray[np.uint64]:
    """(n,) a number for each id, the same in every dataset and version: a whole number is its own, of a text it is a
    64-bit hash of its UTF-8 bytes."""
    if ids.dtype == np.int64:
        return ids.to_numpy().astype(np.uint64)
    found = np.empty(len(ids), dtype=np.uint64)
    for start in range(0, len(ids), IDS_AT_ONCE):  # as objects, millions would take hundreds of bytes each
        digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in ids[start : start + IDS_AT_ONCE])
        found[start : start + IDS_AT_ONCE] = np.frombuffer(b"".join(digests), dtype="<u8")
    return found


def fingerprint_of(
    user_ids: pd.Index,
    item_ids: pd.Index,
    offsets: NDArray[np.int64],
    items: NDArray[np.int32],
    timestamps: NDArray[np.int64],
    parts: NDArray[np.uint8] | None = None,
) -> str:
    """16 hex digits that are equal exactly when ids, sequences, times and parts are equal, whatever the file format."""
    digest = hashlib.sha256()
    for ids in (user_ids, item_ids):
        if ids.dtype == np.int64:
            _digest(digest, ids.to_numpy())
        else:
            texts = [text.encode() for text in ids]
            digest.update(b"str")
            _digest(digest, np.array([len(text) for text in texts], dtype=np.int64))
            digest.update(b"".join(texts))
    for array in (offsets, items, timestamps, *([] if parts is None else [parts])):
        _digest(digest, array)
    return digest.hexdigest()[:16]


def _digest(digest: Any, array: NDArray[Any]) -> None:
    digest.update(str(array.dtype.str).encode() + str(array.shape).encode())
    digest.update(np.ascontiguousarray(array))
