"""RecBole's atomic files: NAME.inter, NAME.item and NAME.user, with tabs and a typed header."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from recformer.data.layouts.base import Layout, split_title, year_of
from recformer.data.table import (
    RATING_FIELDS,
    Interactions,
    Table,
    fault,
    header_columns,
    read_lines,
    read_ratings,
    read_table,
    require_files,
    shown,
)
from recformer.errors import DataError
from recformer.registry import READERS

TYPES = ("token", "token_seq", "float", "float_seq")
TITLE_COLUMNS = ("movie_title", "title")
GENRE_COLUMNS = ("class", "genre", "genres")  # ml-100k says class, the larger sets genre or genres
# How RecBole spells the title of ML-100K's movie 267, which the original calls "unknown".
MISPRINTS = {"unkonwn": "unknown"}


@READERS.register("recbole")
class RecBole(Layout):
    """One .inter and one .item file, and a .user file where there is one."""

    FILES = ("NAME.inter", "NAME.item (NAME.user)")

    def detect(self, folder: Path) -> bool:
        return any(folder.glob("*.inter")) or any(folder.glob("*.item"))

    def files(self, folder: Path) -> list[Path]:
        found = sorted(folder.glob("*.inter")) or sorted(folder.glob("*.item"))
        if len(found) != 1:
            names = ", ".join(path.name for path in found)
            raise DataError(f"{folder} holds {names}; allowed: one .inter file. Keep one of them in the folder")
        name = found[0].stem
        paths = require_files(folder, [f"{name}.inter", f"{name}.item"])
        users = folder / f"{name}.user"
        return [*paths, users] if users.is_file() else paths

    def interactions(self, path: Path) -> Interactions:
        return read_ratings(path, "\t", lambda header: header_columns(path, _names(path, header), RATING_FIELDS))

    def items(self, path: Path) -> pd.DataFrame:
        table = _table(path, "item_id", "movie id")
        _column(table, "title", TITLE_COLUMNS)
        titles = map(_title, table.filled("title"), _column(table, "release_year", ("release_year",)))
        return table.movies(list(titles), [text.split() for text in _column(table, "genres", GENRE_COLUMNS)])

    def users(self, path: Path) -> pd.DataFrame:
        table = _table(path, "user_id", "user id")
        return table.users(*(_column(table, name, (name,)) for name in ("gender", "age", "occupation")))


def _names(path: Path, header: str) -> list[str]:
    """Column names of a header such as `user_id:token<tab>age:token`."""
    names: list[str] = []
    for field in header.split("\t"):
        name, _, kind = field.partition(":")
        if not name or kind not in TYPES:
            raise fault(path, 1, f"the column {shown(field)}", f"NAME:TYPE with type {', '.join(TYPES)}")
        if name in names:
            raise fault(path, 1, f"the column {name} is there twice", "each column once")
        names.append(name)
    return names


def _table(path: Path, needed: str, label: str) -> Table:
    """An .item or .user file, whose header must hold the column `needed`, here called `label`."""
    header, *lines = read_lines(path)
    names = _names(path, header)
    if needed not in names:
        raise fault(path, 1, f"there is no column {needed} in {shown(header)}", f"a column {needed}")
    return read_table(path, "\t", [label if name == needed else name for name in names], lines, 2)


def _column(table: Table, name: str, columns: Iterable[str]) -> pd.Series:
    """The first of `columns` that is there, from now on called `name`; blank where none is."""
    found = next((column for column in columns if column in table.columns), None)
    rows = len(table.columns[next(iter(table.columns))])
    table.columns[name] = pd.Series([""] * rows, dtype="str") if found is None else table.columns[found]
    return table.columns[name]


def _title(title: str, release_year: str) -> tuple[str, int | None]:
    """Title and year. Where the year's column holds none ("V" for movie 1412) the title has kept it."""
    name, year_in_title = split_title(MISPRINTS.get(title, title))
    year = year_of(release_year) or year_in_title
    return (name if year == year_in_title else title.strip()), year
