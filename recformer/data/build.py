"""From files of any size to arrays on disk, in bounded memory.

Ids become numbers batch by batch, rows go to a temporary file (`rows.py`, `values.py`), are sorted by ranges of users
(`partition.py`), and users and items with too few interactions are taken out. Only the ids, some numbers a user, and a
part of the rows are in memory at a time; with a k-core also 10 bytes an interaction.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from recformer.data import partition
from recformer.data.arrays import write_array
from recformer.data.attributes import read_attributes, table_for
from recformer.data.dataset import ids_of
from recformer.data.mapping import Mapping
from recformer.data.report import LEAST, Report
from recformer.data.rows import Column, Rows, Told, pc, read_rows
from recformer.data.table import shown
from recformer.data.values import is_filled, ratings_of, times_of
from recformer.errors import DataError

PARTS = ("train", "validation", "test")
Progress = Callable[[int, int], object]
"""Is told how many bytes of how many have been read."""


def build(folder: Path, mapping: Mapping, out: Path, progress: Progress | None = None) -> Report:
    """Write the arrays and the tables of items and users of the dataset in `folder` into `out`.

    Raises DataError for the first fault of a file and where no interaction is left, OSError when the disk refuses.
    """
    report = Report(duplicates_said=mapping.duplicates)
    users, items = _Codes(), _Codes()
    with tempfile.TemporaryDirectory(dir=out, prefix="work-") as work:
        rows, kind = Path(work) / "rows", partition.row_type(mapping)
        with rows.open("wb") as file:
            for some in _interactions(folder, mapping, users, items, report, progress):
                file.write(some.tobytes())
        user_table, user_tokens = _catalogue(folder, mapping, "user", users, report)
        item_table, item_tokens = _catalogue(folder, mapping, "item", items, report)
        del users, items
        parts = partition.spread(rows, kind, user_tokens, item_tokens)

        def repeated_row(row: Any) -> DataError:
            user, item = user_table["user_id"].iloc[row["user"]], item_table["item_id"].iloc[row["item"]]
            return _repeated_row(folder, mapping, str(user), str(item), row)

        counts = partition.sort_into(out, parts, kind, mapping, len(user_table), report, repeated_row)
    if report.interactions and (mapping.min_user > 1 or mapping.min_item):
        counts, user_table, item_table = _with_enough(out, counts, user_table, item_table, mapping, report)
    if not report.interactions:
        why = "; ".join(report.left_out()) or "there is none in the files"
        raise DataError(f"no interaction is left of {report.rows:,} rows: {why}. Ask less of them")
    write_array(out, "offsets", np.concatenate([[0], np.cumsum(counts)]))
    for name, table in (("users", user_table), ("items", item_table)):
        table.to_parquet(out / f"{name}.parquet", index=False, write_page_checksum=True)
    report.users, report.items = len(user_table), len(item_table)
    report.short_users = int(np.count_nonzero(counts < LEAST))
    return report


class _Codes:
    """A number for each id, in the order in which they first come."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def of(self, column: Column) -> NDArray[np.int32]:
        """(n,) the number of each id."""
        encoded = column.dictionary_encode()
        known = self.codes
        codes = np.fromiter((known.setdefault(text, len(known)) for text in encoded.dictionary.to_pylist()), np.int32)
        return codes[encoded.indices.to_numpy()]


def _columns(mapping: Mapping) -> list[str]:
    names = (mapping.user, mapping.item, mapping.time, mapping.rating, mapping.event)
    return list(dict.fromkeys(name for name in names if name))


def _interactions(
    folder: Path, mapping: Mapping, users: _Codes, items: _Codes, report: Report, progress: Progress | None
) -> Iterator[NDArray[Any]]:
    """The rows of all files that count, as `partition.row_type`; what is left out is counted."""
    kind = partition.row_type(mapping)
    paths = [(folder / name).resolve() for name in mapping.files]  # where links lead is what people can mend
    total, before = sum(path.stat().st_size for path in paths if path.exists()), 0
    for number, path in enumerate(paths):
        told = _after(before, total, progress)
        for rows in read_rows(path, mapping.form, _columns(mapping), told):
            rows = _that_count(rows, mapping, report)
            if not len(rows):
                continue
            some = np.zeros(len(rows), kind)
            some["user"], some["item"] = users.of(rows.columns[mapping.user]), items.of(rows.columns[mapping.item])
            if mapping.time:
                some["time"] = times_of(rows, mapping.time, mapping.time_unit)
            if mapping.rating:
                some["rating"] = ratings_of(rows, mapping.rating)
            if mapping.parts:
                some["part"] = PARTS.index(mapping.parts[number])
            yield some
        before += path.stat().st_size


def _repeated_row(folder: Path, mapping: Mapping, user: str, item: str, row: Any) -> DataError:
    """The error that names the second of the rows of a user with an item at a time. The files are read again for it."""
    assert mapping.time is not None
    before = ""
    for number, name in enumerate(mapping.files):
        if mapping.parts and PARTS.index(mapping.parts[number]) != row["part"]:
            continue
        for rows in read_rows((folder / name).resolve(), mapping.form, _columns(mapping)):
            kept = _that_count(rows, mapping, Report())
            same = pc.and_(pc.equal(kept.columns[mapping.user], user), pc.equal(kept.columns[mapping.item], item))
            found = kept.only(same.to_numpy(zero_copy_only=False))
            times = times_of(found, mapping.time, mapping.time_unit) if len(found) else []
            for place in np.flatnonzero(np.asarray(times) == row["time"]).tolist():
                if before:
                    what = f"the row repeats user {shown(user)}, item {shown(item)} and time of {before}, and none may"
                    return found.fault(place, what, "Remove it, or say that the first, the last or all are kept")
                before = f"{name}, {found.place_of(place)}"
    raise AssertionError("a row that was read is read again")


def _after(before: int, total: int, progress: Progress | None) -> Told | None:
    return None if progress is None else lambda done: progress(before + done, total)


def _that_count(rows: Rows, mapping: Mapping, report: Report) -> Rows:
    """The rows with user and item, of the events that were chosen, and rated well enough."""
    report.rows += len(rows)
    for name in (mapping.user, mapping.item):
        if not pa.types.is_string(rows.columns[name].type):
            raise DataError(f"{rows.path}: the column {name!r} holds lists. Name another column")
    kept = rows.only(is_filled(rows.columns[mapping.user]) & is_filled(rows.columns[mapping.item]))
    report.empty += len(rows) - len(kept)
    if mapping.event and mapping.events:
        chosen = pc.is_in(kept.columns[mapping.event], pa.array(mapping.events)).to_numpy(zero_copy_only=False)
        report.other_events += int(np.count_nonzero(~chosen))
        kept = kept.only(chosen)
    if mapping.rating and mapping.min_rating is not None:
        enough = ratings_of(kept, mapping.rating) >= mapping.min_rating
        report.low_ratings += int(np.count_nonzero(~enough))
        kept = kept.only(enough)
    return kept


def _catalogue(
    folder: Path, mapping: Mapping, what: Literal["user", "item"], codes: _Codes, report: Report
) -> tuple[pd.DataFrame, NDArray[np.int32]]:
    """The table of users or items by token, and the token of each number that `codes` gave.

    Items that are in their table alone belong to the catalogue; users without any interaction do not.
    """
    asked = mapping.items if what == "item" else mapping.users
    frame, known = None, codes.codes
    if asked is not None:
        frame, again = read_attributes(folder, asked)
        report.repeated_ids += again
        listed = set(frame["id"])
        missing = sum(text not in listed for text in known)
        if what == "item":
            report.items_not_in_table = missing
            for text in frame["id"]:
                known.setdefault(text, len(known))
        else:
            report.users_not_in_table = missing
            report.users_without = len(listed) - (len(known) - missing)
    texts = pd.Series(list(known), dtype="str")
    ids = ids_of(texts)[0]
    order = pc.sort_indices(pa.array(ids)).to_numpy().astype(np.int64)
    tokens = np.empty(len(order), dtype=np.int32)
    tokens[order] = np.arange(len(order), dtype=np.int32)
    return table_for(ids.iloc[order], texts.iloc[order], frame, f"{what}_id"), tokens


def _with_enough(
    out: Path,
    counts: NDArray[np.int64],
    users: pd.DataFrame,
    items: pd.DataFrame,
    mapping: Mapping,
    report: Report,
) -> tuple[NDArray[np.int64], pd.DataFrame, pd.DataFrame]:
    """Counts and tables of the users and items that have enough interactions; the arrays are written anew."""
    left = partition.remaining(out, counts, len(items), mapping)
    partition.take(out, counts, left)
    report.users_of_few = int(np.count_nonzero(~left.users))
    report.items_of_few = int(np.count_nonzero(~left.items))
    report.rows_of_few = report.interactions - int(left.counts.sum())
    report.interactions = int(left.counts.sum())
    return left.counts, _only(users, left.users), _only(items, left.items)


def _only(table: pd.DataFrame, marks: NDArray[np.bool_]) -> pd.DataFrame:
    return table.loc[marks].reset_index(drop=True)
