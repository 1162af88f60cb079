"""MovieLens-1M's own format: `::` between fields, no header. Codes are those of its README."""

from collections.abc import Iterator
from pathlib import Path

from recformer.data.assemble import RawTables
from recformer.data.table import (
    RATING_FIELDS,
    code_word,
    movie_table,
    read_bytes,
    read_lines,
    read_ratings,
    require_files,
    required,
    split_line,
    user_table,
)
from recformer.data.titles import split_title
from recformer.registry import READERS

FILES = ("ratings.dat", "movies.dat", "users.dat")
GENDERS = {"F": "F", "M": "M"}
AGES = {
    "1": "Under 18",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56+",
}
OCCUPATIONS = {
    "0": "other",
    "1": "academic/educator",
    "2": "artist",
    "3": "clerical/admin",
    "4": "college/grad student",
    "5": "customer service",
    "6": "doctor/health care",
    "7": "executive/managerial",
    "8": "farmer",
    "9": "homemaker",
    "10": "K-12 student",
    "11": "lawyer",
    "12": "programmer",
    "13": "retired",
    "14": "sales/marketing",
    "15": "scientist",
    "16": "self-employed",
    "17": "technician/engineer",
    "18": "tradesman/craftsman",
    "19": "unemployed",
    "20": "writer",
}


@READERS.register("movielens_dat")
class MovieLensDat:
    """ratings.dat, movies.dat and users.dat."""

    looks_for = ", ".join(FILES)

    def detect(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in FILES)

    def files(self, folder: Path) -> list[Path]:
        return require_files(folder, FILES)

    def read(self, folder: Path) -> RawTables:
        ratings, movies, users = self.files(folder)
        return RawTables(
            ratings=read_ratings(ratings, read_bytes(ratings), "::", RATING_FIELDS, 1, highest=5),
            movies=movie_table(movies, _movie_rows(movies)),
            movies_path=movies,
            users=user_table(users, _user_rows(users)),
            users_path=users,
        )


def _movie_rows(path: Path) -> Iterator[tuple[int, str, str, int | None, list[str]]]:
    for line, text in enumerate(read_lines(path), 1):
        item_id, title, genres = split_line(path, line, text, "::", 3)
        name, year = split_title(title)
        yield line, item_id, name, year, required(path, line, "genres", genres).split("|")


def _user_rows(path: Path) -> Iterator[tuple[int, str, str, str, str]]:
    for line, text in enumerate(read_lines(path), 1):
        user_id, gender, age, occupation, zip_code = split_line(path, line, text, "::", 5)
        required(path, line, "zip code", zip_code)
        yield (
            line,
            user_id,
            code_word(path, line, "gender", gender, GENDERS),
            code_word(path, line, "age", age, AGES),
            code_word(path, line, "occupation", occupation, OCCUPATIONS),
        )
