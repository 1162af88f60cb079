"""RecBole's atomic files: NAME.inter, NAME.item and NAME.user, with tabs and a typed header."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from recformer.data.assemble import RawTables
from recformer.data.table import (
    RATING_FIELDS,
    fault,
    header_columns,
    movie_table,
    read_bytes,
    read_lines,
    read_ratings,
    require_files,
    shown,
    split_line,
    user_table,
)
from recformer.data.titles import split_title, year_of
from recformer.errors import DataError
from recformer.registry import READERS

TYPES = ("token", "token_seq", "float", "float_seq")
TITLE_COLUMNS = ("movie_title", "title")
GENRE_COLUMNS = ("class", "genre", "genres")  # ml-100k says class, the larger sets genre or genres
# How RecBole spells the title of ML-100K's movie 267, which the original calls "unknown".
MISPRINTS = {"unkonwn": "unknown"}


@READERS.register("recbole")
class RecBole:
    """One .inter and one .item file, and a .user file where there is one."""

    looks_for = "NAME.inter, NAME.item (NAME.user)"

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

    def read(self, folder: Path) -> RawTables:
        ratings, movies, *users = self.files(folder)
        header, _, body = read_bytes(ratings).partition(b"\n")
        columns = header_columns(ratings, _names(ratings, header.decode("utf-8", "replace")), RATING_FIELDS)
        return RawTables(
            ratings=read_ratings(ratings, body, "\t", columns, 2, highest=None),
            movies=movie_table(movies, _movie_rows(movies)),
            movies_path=movies,
            users=user_table(users[0], _user_rows(users[0])) if users else None,
            users_path=users[0] if users else None,
        )


def _names(path: Path, header: str) -> list[str]:
    """Column names of a header such as `user_id:token<tab>age:token`."""
    names: list[str] = []
    for field in header.split("\t"):
        name, _, kind = field.partition(":")
        if not name or kind not in TYPES:
            raise fault(path, 1, f"the column {shown(field)}", f"NAME:TYPE with type {', '.join(TYPES)}")
        names.append(name)
    return names


def _rows(path: Path, needed: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line, values by column name) of an .item or .user file, whose header must hold the column `needed`."""
    header, *lines = read_lines(path)
    names = _names(path, header)
    if needed not in names:
        raise fault(path, 1, f"there is no column {needed} in {shown(header)}", f"a column {needed}")
    for line, text in enumerate(lines, 2):
        yield line, dict(zip(names, split_line(path, line, text, "\t", len(names)), strict=True))


def _movie_rows(path: Path) -> Iterator[tuple[int, str, str, int | None, list[str]]]:
    for line, row in _rows(path, "item_id"):
        title, year = _title(_first(row, TITLE_COLUMNS), row.get("release_year", ""))
        yield line, row["item_id"], title, year, _first(row, GENRE_COLUMNS).split()


def _title(title: str, release_year: str) -> tuple[str, int | None]:
    """Title and year. Where the year's column holds none ("V" for movie 1412) the title has kept it."""
    name, year_in_title = split_title(MISPRINTS.get(title, title))
    year = year_of(release_year) or year_in_title
    return (name if year == year_in_title else title), year


def _first(row: Mapping[str, str], columns: tuple[str, ...]) -> str:
    return next((row[column] for column in columns if column in row), "")


def _user_rows(path: Path) -> Iterator[tuple[int, str, str, str, str]]:
    for line, row in _rows(path, "user_id"):
        yield line, row["user_id"], row.get("gender", ""), row.get("age", ""), row.get("occupation", "")
