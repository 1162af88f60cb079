"""Tables of items and users: a line for each, with any columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from recformer.data.mapping import Attributes
from recformer.data.rows import column_names, read_rows
from recformer.data.values import is_filled
from recformer.errors import DataError

_OURS = ("id", "title", "item_id", "user_id")
"""Names of columns that mean something to us, and so nothing else."""


def read_attributes(folder: Path, asked: Attributes) -> tuple[pd.DataFrame, int]:
    """A line for each id, and how many lines were left out because their id was there before.

    Columns: `id` (str, as it came), `title` where one is named, then the others under their own names. Texts of which
    all are numbers become numbers. Raises DataError for a file that cannot be read and for an empty id.
    """
    path = (folder / asked.file).resolve()
    kept = column_names(path, asked.form) if asked.columns is None else list(asked.columns)
    wanted: list[str] = list(dict.fromkeys([asked.id, *([asked.title] if asked.title else []), *kept]))
    tables: list[pa.Table] = []
    for rows in read_rows(path, asked.form, wanted):
        filled = is_filled(rows.columns[asked.id])
        if not filled.all():
            raise rows.fault(int(np.argmin(filled)), f"{asked.id} is empty", "Fill it in, or remove the line")
        tables.append(pa.table(rows.columns))
    if not tables:
        raise DataError(f"{path}: there is no row in it, only a header. Name another file, or none")
    frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    names = {asked.id: "id"} | ({asked.title: "title"} if asked.title else {})
    others = {
        name: f"{name} (2)" for name in wanted if name in ("id", "title", "item_id", "user_id") and name not in names
    }
    frame = frame.rename(columns=names | others)
    again = frame["id"].duplicated()
    frame = frame[~again].reset_index(drop=True)
    if "title" in frame:
        titles = frame["title"]
        frame["title"] = [" ".join(text) if isinstance(text, list | np.ndarray) else text for text in titles]
    for name in frame.columns.difference(["id", "title", "image"]):
        frame[name] = _typed(frame[name])
    if "year" in frame and frame["year"].dtype != "Int64":
        frame = frame.rename(columns={"year": "year (2)"})  # `year` is a whole number wherever there is one
    return frame, int(again.sum())


def _typed(column: Any) -> Any:
    """Numbers where every text is one, lists as lists, else texts."""
    if any(isinstance(value, list | np.ndarray) for value in column):
        return pd.Series([[] if value is None else [str(entry) for entry in value if entry] for value in column])
    blank = column.isna() | (column.str.strip() == "")
    numbers: Any = pd.to_numeric(column.where(~blank), errors="coerce")
    if blank.all() or numbers[~blank].isna().any() or column.str.fullmatch(r"0\d+").any():
        return column.fillna("")
    whole = (numbers.dropna() % 1 == 0).all() and (numbers.dropna().abs() < 2**53).all()
    return numbers.astype("Int64") if whole else numbers.astype("float64")


def table_for(ids: Any, texts: Any, frame: pd.DataFrame | None, name: str) -> pd.DataFrame:
    """A row for each id (n,), in their order, with the columns of `frame` where `texts` (n,) are in it.

    `name` is what the column of ids is called. What the frame does not know is blank.
    """
    if frame is None:
        return pd.DataFrame({name: ids})
    found: Any = frame.set_index("id").reindex(texts.to_list())
    for column in found:
        if pd.api.types.is_numeric_dtype(found[column].dtype):
            continue
        lists = any(isinstance(value, list) for value in found[column])
        found[column] = (
            [value if isinstance(value, list) else [] for value in found[column]] if lists else found[column].fillna("")
        )
    return pd.concat([ids.rename(name).reset_index(drop=True), found.reset_index(drop=True)], axis=1)
