"""MovieLens-100K's own format: u.data with tabs, u.item and u.user with `|`, no header."""

from collections.abc import Iterator
from pathlib import Path

from recformer.data.assemble import RawTables
from recformer.data.table import (
    RATING_FIELDS,
    fault,
    movie_table,
    read_bytes,
    read_lines,
    read_ratings,
    require_files,
    required,
    shown,
    split_line,
    user_table,
    whole_number,
)
from recformer.data.titles import split_title, year_of
from recformer.registry import READERS

FILES = ("u.data", "u.item", "u.user")
# The order of the flags in u.item; u.genre says the same and is often left out of copies.
GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)


@READERS.register("movielens_100k")
class MovieLens100K:
    """u.data, u.item and u.user."""

    looks_for = ", ".join(FILES)

    def detect(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in FILES)

    def files(self, folder: Path) -> list[Path]:
        return require_files(folder, FILES)

    def read(self, folder: Path) -> RawTables:
        ratings, movies, users = self.files(folder)
        return RawTables(
            ratings=read_ratings(ratings, read_bytes(ratings), "\t", RATING_FIELDS, 1, highest=5),
            movies=movie_table(movies, _movie_rows(movies)),
            movies_path=movies,
            users=user_table(users, _user_rows(users)),
            users_path=users,
        )


def _movie_rows(path: Path) -> Iterator[tuple[int, str, str, int | None, list[str]]]:
    for line, text in enumerate(read_lines(path), 1):
        # Release dates and the address may be empty: movie 267 ("unknown") has neither.
        item_id, title, released, _, _, *flags = split_line(path, line, text, "|", 5 + len(GENRES))
        name, year = split_title(title)
        yield line, item_id, name, year or year_of(released[-4:]), _genres(path, line, flags)


def _genres(path: Path, line: int, flags: list[str]) -> list[str]:
    for flag, genre in zip(flags, GENRES, strict=True):
        if flag not in ("0", "1"):
            raise fault(path, line, f"the flag of genre {genre} is {shown(flag)}", "0 or 1")
    return [genre for flag, genre in zip(flags, GENRES, strict=True) if flag == "1"]


def _user_rows(path: Path) -> Iterator[tuple[int, str, str, str, str]]:
    for line, text in enumerate(read_lines(path), 1):
        user_id, age, gender, occupation, zip_code = split_line(path, line, text, "|", 5)
        required(path, line, "zip code", zip_code)
        yield (
            line,
            user_id,
            required(path, line, "gender", gender),
            str(whole_number(path, line, "age", age)),
            required(path, line, "occupation", occupation),
        )
