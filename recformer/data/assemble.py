"""From the tables of any format to the one Dataset."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.dataset import Dataset, fingerprint_of, ids_of
from recformer.data.layouts.base import Layout, RawTables
from recformer.data.mapping import read_settings
from recformer.data.repeats import Choice, Repeats, repeated
from recformer.data.report import LEAST, Report
from recformer.data.table import Interactions, fault
from recformer.errors import DataError
from recformer.files import gate
from recformer.registry import READERS


def find_reader(folder: Path) -> tuple[str, Layout]:
    """Registered name and reader of the format in `folder`.

    Raises DataError when there is no such folder, when no reader knows its files, and when it holds the whole
    files of more than one format.
    """
    if not gate.is_folder(folder):
        raise DataError(f"{folder} is not a folder; give the folder that holds the dataset's files")
    found = [(name, reader) for name, reader in _readers() if reader.detect(folder)]
    if not found:
        raise _unrecognised(folder)
    whole = [entry for entry in found if _is_whole(entry[1], folder)]
    if len(whole) > 1:
        names = " and ".join(name for name, _ in whole)
        raise DataError(f"{folder} holds files of {names}; keep the files of one format in a folder")
    return whole[0] if whole else found[0]


def layout_in(folder: Path) -> str | None:
    """Name of the layout all of whose files are in `folder`; None where there is none, or more than one."""
    whole = [name for name, reader in _readers() if reader.detect(folder) and _is_whole(reader, folder)]
    return whole[0] if len(whole) == 1 else None


def is_dataset(folder: Path) -> bool:
    """Whether some reader knows a file of `folder`, by names alone, or its settings have a mapping."""
    return any(reader.detect(folder) for _, reader in _readers()) or has_mapping(folder)


def has_mapping(folder: Path) -> bool:
    """Whether a mapping says how the files of `folder` are read; so too where it is damaged, which loading tells."""
    try:
        return read_settings(folder).mapping is not None
    except DataError:
        return True


def datasets(data_dir: Path) -> list[Path]:
    """Folders under `data_dir` that hold a dataset of a known format, sorted.

    Looks at the sub-folders and, where one is no dataset itself, one level deeper (an unpacked archive with a
    top folder). Hidden folders are left out. A folder that lacks one of its files is listed: loading it
    says which.
    """
    found: list[Path] = []
    for folder in _folders(data_dir):
        found += [folder] if is_dataset(folder) else [inner for inner in _folders(folder) if is_dataset(inner)]
    return found


def read_dataset(folder: Path) -> Dataset:
    """Parse the dataset in `folder`, without any cache. Raises DataError."""
    name, reader = find_reader(folder)
    return assemble(reader.read(folder), folder, name, read_settings(folder).repeats)


def assemble(tables: RawTables, folder: Path, reader: str, repeats: Choice | None = None) -> Dataset:
    """The Dataset of `tables`: sorted ids become tokens, interactions are ordered by user and time.

    Interactions of one user at one time keep the order of the file. Users without any interaction keep an
    empty history. Rows that repeat one before are dropped where `repeats` says so. Raises DataError for an interaction
    with an unknown item or user.
    """
    rows, nouns = tables.interactions, tables.nouns
    item_table, item_tokens = _encoded(
        f"{nouns.item} id", "item_id", tables.items, rows.item_ids, rows, tables.items_path
    )
    user_table, user_tokens = _encoded("user id", "user_id", tables.users, rows.user_ids, rows, tables.users_path)

    # Without times every row has the same until it is in order: ties keep the order of the file.
    times = np.zeros(len(item_tokens), dtype=np.int64) if rows.timestamps is None else rows.timestamps
    order = order_of(user_tokens, times)
    again = repeated(user_tokens[order], times[order], item_tokens[order])
    if repeats == "drop":
        order = order[~again]
    offsets = np.zeros(len(user_table) + 1, dtype=np.int64)
    np.cumsum(np.bincount(user_tokens[order], minlength=len(user_table)), out=offsets[1:])
    items = item_tokens[order].astype(np.int32)
    timestamps = np.arange(len(items)) - np.repeat(offsets[:-1], np.diff(offsets))
    if rows.timestamps is not None:
        timestamps = times[order]
    report = Report(
        rows=len(item_tokens),
        duplicates=int(again.sum()),
        duplicates_said="first" if repeats == "drop" else repeats,
        interactions=len(items),
        users=len(user_table),
        items=len(item_table),
        short_users=int(np.count_nonzero(np.diff(offsets) < LEAST)),
    )
    if rows.timestamps is not None:
        report.note_times(user_tokens[order], timestamps)
    user_ids, item_ids = pd.Index(user_table["user_id"]), pd.Index(item_table["item_id"])
    return Dataset(
        name=folder.resolve().name,
        source=folder,
        reader=reader,
        offsets=offsets,
        items=items,
        timestamps=timestamps,
        item_table=item_table,
        user_table=user_table,
        fingerprint=fingerprint_of(user_ids, item_ids, offsets, items, timestamps),
        ratings=None if rows.ratings is None else rows.ratings[order],
        has_times=rows.timestamps is not None,
        nouns=nouns,
        repeats=Repeats(int(again.sum()), repeats),
        report=report,
    )


def order_of(user_tokens: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) rows by user, then by time; ties keep the order of the file."""
    earliest = int(times.min())
    span = int(times.max()) - earliest + 1
    if (int(user_tokens.max()) + 1) * span > np.iinfo(np.int64).max:  # 29 million users over 9999 years
        return np.lexsort((times, user_tokens))
    # One number a row is sorted much faster than two, the more so where the file is in order, as most are.
    return np.argsort(user_tokens * span + (times - earliest), kind="stable")


def _readers() -> list[tuple[str, Layout]]:
    return [(name, READERS.get(name)()) for name in READERS.names()]


def _folders(parent: Path) -> list[Path]:
    try:
        entries = sorted(parent.iterdir())
    except OSError:
        return []  # no data/ yet, or a folder that may not be read
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _is_whole(reader: Layout, folder: Path) -> bool:
    try:
        reader.files(folder)
    except DataError:
        return False
    return True


def _unrecognised(folder: Path) -> DataError:
    looked_for = "; ".join(f"{name}: {reader.looks_for}" for name, reader in _readers())
    inside = [entry.name for entry in sorted(folder.iterdir()) if entry.is_dir() and is_dataset(entry)]
    hint = f"Its sub-folder {inside[0]} is one: give that" if inside else "Give a folder with the files of one"
    return DataError(f"{folder} is no dataset of a known format; looked for {looked_for}. {hint}")


def _encoded(
    label: str,
    column: str,
    table: pd.DataFrame | None,
    found: pd.Series,
    interactions: Interactions,
    path: Path | None,
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The table in the order of its ids, and the position (N,) in it of each id `found` among the interactions.

    Where there is no table, it is that of the ids found. Raises DataError for the first id that is not in the table.
    """
    if table is None:
        table = pd.DataFrame({column: found.unique()})
    if found.dtype != np.int64:
        found, known = ids_of(found, pd.Series(table[column]))
        table = table.assign(**{column: known})
    table = table.sort_values(column, ignore_index=True)
    tokens = pd.Index(table[column]).get_indexer(
        pd.Index(found)
    )  # hashed: faster than searching a million in sorted ids
    unknown = np.flatnonzero(tokens < 0)
    if not len(unknown):
        return table, tokens
    row, listed = int(unknown[0]), path.name if path else "the interactions"
    more = "" if len(unknown) == 1 else f" (the first of {len(unknown)} such lines)"
    said = f"{label} {found.iloc[row]} is not in {listed}{more}"
    raise fault(interactions.path, interactions.first_line + row, said, f"the ids of {listed}")
