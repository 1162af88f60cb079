"""Columns of any dataset in the app's tables."""

from typing import Any

import pandas as pd
from streamlit.column_config import ListColumn, NumberColumn, TextColumn


def heading(name: str) -> str:
    """A column's name as a title: "Genre", "Zip code"."""
    words = name.replace("_", " ").strip() or name
    return words[:1].upper() + words[1:]


def column_of(frame: pd.DataFrame, name: str) -> Any:
    """How a column of a dataset's own is shown: by its kind, whatever it is called."""
    if pd.api.types.is_object_dtype(frame[name].dtype):
        return ListColumn(heading(name))
    if pd.api.types.is_numeric_dtype(frame[name].dtype):
        return NumberColumn(heading(name), format="%g", width="small")
    return TextColumn(heading(name))
