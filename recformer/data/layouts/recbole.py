"""RecBole's atomic files: NAME.inter, NAME.item and NAME.user, with tabs and a typed header."""

from pathlib import Path

import pandas as pd

from recformer.data.dataset import ids_of
from recformer.data.layouts.base import Layout, RawTables, split_title, year_of
from recformer.data.nouns import ITEMS, MOVIES
from recformer.data.rows import refuse_examples
from recformer.data.table import (
    ID_FIELDS,
    Interactions,
    Table,
    fault,
    read_lines,
    read_ratings,
    read_table,
    require_files,
    shown,
)
from recformer.errors import DataError
from recformer.registry import READERS

TYPES = ("token", "token_seq", "float", "float_seq")
TITLES = ("movie_title", "title", "name")
GENRES = ("class", "genres")  # how RecBole's MovieLens sets call what the others call genre
OF_MOVIELENS = ("user_id", "gender", "age", "occupation")  # of users, as GroupLens' own files are read
# How RecBole spells the title of ML-100K's movie 267, which the original calls "unknown".
MISPRINTS = {"unkonwn": "unknown"}
_NUMBER = r"\s*|-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"


@READERS.register("recbole")
class RecBole(Layout):
    """One .inter file, and an .item and a .user file where there are any."""

    FILES = ("NAME.inter (NAME.item, NAME.user)",)

    def detect(self, folder: Path) -> bool:
        return any(folder.glob("*.inter")) or any(folder.glob("*.item"))

    def files(self, folder: Path) -> list[Path]:
        found = sorted(folder.glob("*.inter")) or sorted(folder.glob("*.item"))
        if len(found) != 1:
            names = ", ".join(path.name for path in found)
            raise DataError(f"{folder} holds {names}; allowed: one .inter file. Keep one of them in the folder")
        name = found[0].stem
        others = [folder / f"{name}.item", folder / f"{name}.user"]
        return [*require_files(folder, [f"{name}.inter"]), *filter(Path.is_file, others)]

    def read(self, folder: Path) -> RawTables:
        interactions, *others = self.files(folder)
        paths = {path.suffix: path for path in others}
        items, users = paths.get(".item"), paths.get(".user")
        item_table = None if items is None else self.items(items)
        user_table = None if users is None else self.users(users)
        is_movies = item_table is not None and "year" in item_table
        if is_movies and user_table is not None:
            user_table = user_table.filter(items=OF_MOVIELENS)
        nouns = MOVIES if is_movies else ITEMS
        return RawTables(self.interactions(interactions), item_table, items, user_table, users, nouns)

    def interactions(self, path: Path) -> Interactions:
        return read_ratings(path, "\t", lambda header: list(_types(path, header, ID_FIELDS)), whole_ids=False)

    def items(self, path: Path) -> pd.DataFrame:
        table, types = _table(path, "item_id")
        is_movies = "movie_title" in types
        frame = pd.DataFrame({"item_id": _ids(table, "item_id", "movie id" if is_movies else "item id")})
        title = next((name for name in TITLES if name in types), None)
        if title is not None:
            titles = table.filled(title) if is_movies else table.columns[title]
            years = table.columns.get("release_year", pd.Series("", index=titles.index))
            named = [_title(*both) for both in zip(titles, years, strict=True)] if is_movies else []
            frame["title"] = pd.Series([name for name, _ in named], dtype="str") if is_movies else titles
            if is_movies:
                frame["year"] = pd.Series([year for _, year in named], dtype="Int64")
        others = {name: kind for name, kind in types.items() if name not in ("item_id", title)}
        if is_movies:
            others.pop("release_year", None)
        return _with(frame, table, others, dict.fromkeys(GENRES, "genre") if is_movies else {})

    def users(self, path: Path) -> pd.DataFrame:
        table, types = _table(path, "user_id")
        del types["user_id"]
        return _with(pd.DataFrame({"user_id": _ids(table, "user_id", "user id")}), table, types, {})


def _types(path: Path, header: str, needed: tuple[str, ...]) -> dict[str, str]:
    """Name to type of the columns of a header such as `user_id:token<tab>age:token`, `needed` among them."""
    types: dict[str, str] = {}
    for field in header.split("\t"):
        name, _, kind = field.partition(":")
        if not name or kind not in TYPES:
            raise fault(path, 1, f"the column {shown(field)}", f"NAME:TYPE with type {', '.join(TYPES)}")
        if name in types:
            raise fault(path, 1, f"the column {name} is there twice", "each column once")
        types[name] = kind
    refuse_examples(path, list(types))
    for name in needed:
        if name not in types:
            raise fault(path, 1, f"there is no column {name} in {shown(header)}", f"a column {name}")
    return types


def _table(path: Path, needed: str) -> tuple[Table, dict[str, str]]:
    """An .item or .user file, whose header must hold the column `needed`, and the types of its columns."""
    header, *lines = read_lines(path)
    types = _types(path, header, (needed,))
    return read_table(path, "\t", list(types), lines, 2), types


def _ids(table: Table, name: str, label: str) -> pd.Series:
    """A column's ids, each given once: what is a number is compared as one."""
    table.columns[label] = table.columns[name]
    (ids,) = ids_of(table.filled(label))
    return table.once(label, ids).astype("str")


def _with(frame: pd.DataFrame, table: Table, types: dict[str, str], names: dict[str, str]) -> pd.DataFrame:
    """The frame with further columns by their types, some under other `names`: tokens as text, sequences of tokens as
    lists, numbers as numbers. Sequences of numbers are left out: they describe, and name nothing."""
    for name, kind in types.items():
        column, called = table.columns[name], names.get(name, name)
        if called == "year":  # that is a whole number wherever there is one
            called = "year (2)"
        if kind == "token":
            frame[called] = column
        elif kind == "token_seq":
            frame[called] = column.str.split()
        elif kind == "float":
            numbers = table.check(name, column.str.fullmatch(_NUMBER), "a number, or nothing")
            frame[called] = numbers.where(numbers.str.strip() != "").astype("float64")
    return frame


def _title(title: str, release_year: str) -> tuple[str, int | None]:
    """Title and year. Where the year's column holds none ("V" for movie 1412) the title has kept it."""
    name, year_in_title = split_title(MISPRINTS.get(title, title))
    year = year_of(release_year) or year_in_title
    return (name if year == year_in_title else title.strip()), year
