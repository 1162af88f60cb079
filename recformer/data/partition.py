"""Rows sorted by user and time in bounded memory: spread over files by ranges of users, then sorted one by one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from recformer.data.arrays import DTYPES, array_path, map_array
from recformer.data.assemble import order_of
from recformer.data.mapping import Duplicates, GivenPart, Mapping
from recformer.data.repeats import repeated
from recformer.data.report import Report
from recformer.data.values import MICRO
from recformer.errors import DataError

PART_ROWS = 1 << 21
CHUNK_ROWS = 1 << 20
Rows = NDArray[Any]
"""(n,) of `row_type`."""


@dataclass(frozen=True, eq=False)
class Remaining:
    """Which users and items have enough interactions."""

    users: NDArray[np.bool_]
    items: NDArray[np.bool_]
    counts: NDArray[np.int64]
    """Interactions of each user that remains."""


def row_type(mapping: Mapping) -> np.dtype[Any]:
    """One interaction: 8 bytes for user and item, 8 for a time in microseconds, 4 for a rating, 1 for a part."""
    fields = [("user", "<i4"), ("item", "<i4")]
    fields += [("time", "<i8")] if mapping.time else []
    fields += [("rating", "<f4")] if mapping.rating else []
    return np.dtype([*fields, ("part", "u1")] if mapping.parts else fields)


def _names(kind: np.dtype[Any]) -> tuple[str, ...]:
    return kind.names or ()


def chunks(path: Path, kind: np.dtype[Any]) -> Iterator[Rows]:
    """The rows of a temporary file, some at a time."""
    with path.open("rb") as file:
        while len(rows := np.fromfile(file, kind, CHUNK_ROWS)):
            yield rows


def spread(path: Path, kind: np.dtype[Any], users: NDArray[np.int32], items: NDArray[np.int32]) -> list[Path]:
    """Files beside `path` with its rows, each of a range of users, in the order of the ranges and of the file.

    `users` (U,) and `items` (I,) say which token each number of the rows becomes.
    """
    counts = np.zeros(len(users), dtype=np.int64)
    for rows in chunks(path, kind):
        counts += np.bincount(users[rows["user"]], minlength=len(users))
    part_of_user = ((np.cumsum(counts) - counts) // PART_ROWS).astype(np.int16)
    paths = [path.with_name(f"part-{number}") for number in range(int(part_of_user[-1]) + 1)] if len(users) else []
    with ExitStack() as stack:
        files = [stack.enter_context(part.open("wb")) for part in paths]
        for rows in chunks(path, kind):
            rows["user"], rows["item"] = users[rows["user"]], items[rows["item"]]
            parts = part_of_user[rows["user"]]
            order = np.argsort(parts, kind="stable")
            ends = np.cumsum(np.bincount(parts, minlength=len(files)))
            for file, some in zip(files, np.split(order, ends[:-1]), strict=True):
                if len(some):
                    file.write(rows[some].tobytes())
    path.unlink()
    return paths


def sort_into(
    out: Path,
    parts: list[Path],
    kind: np.dtype[Any],
    mapping: Mapping,
    num_users: int,
    report: Report,
    repeated_row: Callable[[Any], DataError],
) -> NDArray[np.int64]:
    """Append each file's rows, sorted, to the arrays in `out`. Returns the interactions of each user (U,).

    A user's rows go by part, then time, then place in the file. Duplicates are counted, and dropped where the mapping
    says so. Where it says that there must be none, what `repeated_row` makes of the first one is raised.
    """
    counts = np.zeros(num_users, dtype=np.int64)
    names = ["items", "timestamps", *(["ratings"] if mapping.rating else []), *(["parts"] if mapping.parts else [])]
    with ExitStack() as stack:
        files = {name: stack.enter_context(array_path(out, name).open("wb")) for name in names}
        for path in parts:
            unsorted = np.fromfile(path, kind)
            order = _order(unsorted)
            rows, again = unsorted[order], _duplicates(unsorted[order], mapping.duplicates)
            path.unlink()
            report.duplicates += int(np.count_nonzero(again))
            if mapping.duplicates == "error" and again.any():
                raise repeated_row(unsorted[order[again].min()])
            if mapping.duplicates in ("first", "last"):
                rows = rows[~again]
            own = np.bincount(rows["user"], minlength=num_users)
            counts += own
            times = rows["time"] // MICRO if mapping.time else _places(own[own > 0])
            if mapping.time:
                report.note_times(rows["user"], times)
            columns = {"items": rows["item"], "timestamps": times}
            columns |= {f"{name}s": rows[name] for name in ("rating", "part") if name in _names(kind)}
            for name, file in files.items():
                file.write(np.ascontiguousarray(columns[name], DTYPES[name]).tobytes())
            report.interactions += len(rows)
    return counts


def _order(rows: Rows) -> NDArray[np.int64]:
    """(n,) rows by user, part and time; what is equal in all of them stays in the order of the file."""
    users = rows["user"].astype(np.int64)
    if "part" in _names(rows.dtype):
        users = users * len(get_args(GivenPart)) + rows["part"]
    times = rows["time"] if "time" in _names(rows.dtype) else np.zeros(len(rows), np.int64)
    if not (times % MICRO).any():
        times = times // MICRO  # numbers so small that one holds user and time
    return order_of(users, times)


def _duplicates(rows: Rows, said: Duplicates | None) -> NDArray[np.bool_]:
    """(n,) which of the sorted rows repeat another: all but the first, or all but the last where that is said."""
    if "time" not in _names(rows.dtype):
        return np.zeros(len(rows), dtype=np.bool_)  # without times nothing tells a repeated row from a second purchase
    user = rows["user"].astype(np.int64)
    columns = user * 4 + rows["part"] if "part" in _names(rows.dtype) else user, rows["time"], rows["item"]
    if said == "last":
        columns = tuple(column[::-1] for column in columns)
    again = repeated(*columns)
    return again[::-1] if said == "last" else again


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, … within each user, for users with so many interactions."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def remaining(out: Path, counts: NDArray[np.int64], num_items: int, mapping: Mapping) -> Remaining:
    """Users and items with at least min_user and min_item interactions, counted anew until all have them.

    Items without any interaction stay only where a table of items names the catalogue and nothing is asked of them.
    """
    items = np.asarray(map_array(out, "items"))
    users = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    alive = np.ones(len(items), dtype=np.bool_)
    least_of_items = mapping.min_item if mapping.items else max(mapping.min_item, 1)
    while True:
        of_users = np.bincount(users[alive], minlength=len(counts))
        of_items = np.bincount(items[alive], minlength=num_items)
        enough_users, enough_items = of_users >= max(mapping.min_user, 1), of_items >= least_of_items
        still = enough_users[users] & enough_items[items]
        if np.array_equal(still, alive):
            return Remaining(enough_users, enough_items, of_users[enough_users])
        alive = still


def take(out: Path, counts: NDArray[np.int64], left: Remaining) -> None:
    """Write the arrays in `out` anew with the interactions of those who remain, their items numbered anew."""
    old = map_array(out, "items")
    stays = np.repeat(left.users, counts) & left.items[old]
    tokens = (np.cumsum(left.items) - 1).astype(np.int32)
    for name in ("items", "timestamps", "ratings", "parts"):
        path = array_path(out, name)
        if not path.exists():
            continue
        array, anew = map_array(out, name), path.with_suffix(".new")
        with anew.open("wb") as file:
            for begin in range(0, len(array), CHUNK_ROWS):
                some = array[begin : begin + CHUNK_ROWS][stays[begin : begin + CHUNK_ROWS]]
                file.write(np.ascontiguousarray(tokens[some] if name == "items" else some, DTYPES[name]).tobytes())
        anew.replace(path)
