"""Columns of categories, as item and user tables have them: one text a row, or a list of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

NOT_CATEGORIES = ("item_id", "user_id", "title", "year", "image")


@dataclass(frozen=True, eq=False)
class Categories:
    """Which row has which categories; a row may have several, or none."""

    names: list[str]
    """Sorted."""
    rows: NDArray[np.int64]
    """(C,) a row of the table,"""
    codes: NDArray[np.int64]
    """(C,) and the place of one of its categories in `names`."""


def category_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns that hold categories."""
    return [name for name in table if name not in NOT_CATEGORIES and not types.is_numeric_dtype(table[name].dtype)]


def number_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns that hold numbers."""
    return [name for name in table if name not in NOT_CATEGORIES and types.is_numeric_dtype(table[name].dtype)]


def categories_of(column: pd.Series) -> Categories:
    """The categories of a column; blank text is none. Rows [a b], [], a give the names a, b, the rows 0 0 2 and the
    codes 0 1 0."""
    entries = pd.Series(column.to_numpy(object)).explode().dropna().astype("str")
    there = (entries.str.strip() != "").to_numpy()
    codes, names = pd.factorize(entries.to_numpy(object)[there], sort=True)
    return Categories(list(names), entries.index.to_numpy()[there], codes.astype(np.int64))


def as_text(column: pd.Series) -> pd.Series:
    """A column for people to read and search: lists joined by commas, "" where there is nothing."""
    return column.str.join(", ").astype("str") if types.is_object_dtype(column.dtype) else column
