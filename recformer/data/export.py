"""The parts of a split as files for other libraries, with the ids of the dataset."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from recformer.config import Options
from recformer.data.dataset import Dataset
from recformer.data.histories import interactions
from recformer.data.prepared import Prepared, prepare
from recformer.errors import StoreError, UsageError
from recformer.files.temporary_folder import temporary_folder

ExportFormat = Literal["recbole", "csv", "parquet", "sequences"]
Tables = Iterator[Any]
"""Of pyarrow, with the same columns."""
PARTS = ("train", "validation", "test")
CHUNK_ROWS = 1 << 20


def export(dataset: Dataset, split: Options, kind: ExportFormat, out: Path) -> list[Path]:
    """Write the parts of a split into the new folder `out`, and a README that says how they were made.

    Returns the files. Raises UsageError where `out` is there or the split's parts overlap, DataError as the split, and
    StoreError when the disk refuses.
    """
    if split.name == "random_windows":
        raise UsageError(
            "the windows of random_windows overlap, so its parts are no tables of their own. Choose leave_last_out or "
            "global_temporal"
        )
    if out.exists():
        raise UsageError(f"{out} is there already. Name a folder that is not")
    prepared = prepare(dataset, split)
    try:
        with temporary_folder(out.parent, "export") as temporary:
            names = [_write_part(prepared, part, kind, temporary) for part in PARTS]
            (temporary / "README.md").write_text(_readme(prepared, split, names), encoding="utf-8")
            temporary.rename(out)
    except OSError as error:
        raise StoreError(
            f"could not write {out}: {error.strerror or error}. Check its folder and free space"
        ) from error
    return [out / name for name in [*names, "README.md"]]


def _places(prepared: Prepared, part: str) -> NDArray[np.int64]:
    """Which interactions are in a part, ascending."""
    split = prepared.split
    if part != "train":
        cases = split.validation if part == "validation" else split.test
        several = np.ones(len(cases), np.int64) if cases.num_targets is None else cases.num_targets
        first = interactions(cases)
        return np.repeat(first - np.cumsum(several) + several, several) + np.arange(several.sum())
    tokens = np.flatnonzero(split.trained & (prepared.histories.tokens < prepared.histories.num_items))
    return tokens - 2 * prepared.histories.users_at(tokens) - 1


def _tables(prepared: Prepared, part: str) -> Tables:
    """A part's interactions, some at a time: user_id, item_id and, where there are any, timestamp and rating."""
    dataset, places = prepared.dataset, _places(prepared, part)
    for begin in range(0, len(places), CHUNK_ROWS):
        some = places[begin : begin + CHUNK_ROWS]
        users = np.searchsorted(dataset.offsets, some, side="right") - 1
        columns = {"user_id": dataset.user_ids[users], "item_id": dataset.item_ids[dataset.items[some]]}
        if dataset.has_times:
            columns["timestamp"] = dataset.timestamps[some]
        if dataset.ratings is not None:
            columns["rating"] = dataset.ratings[some]
        yield pa.table({name: pa.array(column) for name, column in columns.items()})


def _write_part(prepared: Prepared, part: str, kind: ExportFormat, folder: Path) -> str:
    short = "valid" if part == "validation" else part
    write: Callable[[Tables, IO[bytes]], None] = {
        "recbole": _recbole,
        "csv": _csv,
        "parquet": _parquet,
        "sequences": _sequences,
    }[kind]
    suffix = {"recbole": "inter", "csv": "csv", "parquet": "parquet", "sequences": "txt"}[kind]
    name = f"{prepared.dataset.name}.{short}.{suffix}" if kind == "recbole" else f"{part}.{suffix}"
    with (folder / name).open("wb") as file:
        write(_tables(prepared, part), file)
    return name


def _csv(tables: Tables, file: IO[bytes], separator: str = ",", types: dict[str, str] | None = None) -> None:
    for number, table in enumerate(tables):
        if number == 0:
            names = [f"{name}:{types[name]}" if types else name for name in table.column_names]
            file.write((separator.join(names) + "\n").encode())
        quoting = "needed" if types is None else "none"
        options = arrow_csv.WriteOptions(include_header=False, delimiter=separator, quoting_style=quoting)
        arrow_csv.write_csv(table, file, options)


def _recbole(tables: Tables, file: IO[bytes]) -> None:
    types = {"user_id": "token", "item_id": "token", "timestamp": "float", "rating": "float"}
    try:
        _csv(tables, file, "\t", types)
    except pa.ArrowInvalid:
        raise UsageError(
            "an id holds a quote, a tab or a line break, which RecBole's files cannot. Choose csv or parquet"
        ) from None


def _parquet(tables: Tables, file: IO[bytes]) -> None:
    first = next(tables)
    with parquet.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _sequences(tables: Tables, file: IO[bytes]) -> None:
    """A user a line, and then their items; a user whose rows are in two tables goes on in the second."""
    last: str | None = None
    for table in tables:
        users, items = (table[name].cast(pa.string()).to_pylist() for name in ("user_id", "item_id"))
        for user, item in zip(users, items, strict=True):
            if set(user + item) & set(" \t\r\n"):
                raise UsageError(f"the id {user!r} or {item!r} holds a blank, which sequence files cannot. Choose csv")
            file.write(
                f" {item}".encode() if user == last else f"{'' if last is None else chr(10)}{user} {item}".encode()
            )
            last = user
    file.write(b"\n")


def _readme(prepared: Prepared, split: Options, names: list[str]) -> str:
    dataset, options = prepared.dataset, ", ".join(f"{name} {value}" for name, value in split.model_dump().items())
    counts = [len(_places(prepared, part)) for part in PARTS]
    listed = zip(names, PARTS, counts, strict=True)
    files = "\n".join(f"- `{name}`: {part}, {count:,} interactions" for name, part, count in listed)
    times = "in seconds since 1970" if dataset.has_times else "not known: the order of lines is the order in time"
    return (
        f"# {dataset.name}, split by {split.name}\n\n{files}\n\n"
        f"Made by Recformer. Dataset fingerprint {dataset.fingerprint}; split: {options}. Ids are those of the "
        f"dataset; times are {times}.\n\n"
        f"To evaluate as Recformer does: each interaction of the test is one case, its history all interactions of its "
        f"user in the files before it and in the lines before it; rank all {dataset.num_items:,} items, those of the "
        f"history left out; rank = 1 + the number of other items that score at least as much as the target. "
        f"{prepared.split.skipped_users:,} users have no test case.\n"
    )
