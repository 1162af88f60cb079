"""The format of MovieLens' newer sets (ml-latest, ml-25m): CSV with headers, and no users."""

from collections.abc import Iterator
from pathlib import Path

from recformer.data.assemble import RawTables
from recformer.data.table import (
    csv_fields,
    header_columns,
    movie_table,
    read_bytes,
    read_lines,
    read_ratings,
    require_files,
    required,
    wrong_width,
)
from recformer.data.titles import split_title
from recformer.registry import READERS

FILES = ("ratings.csv", "movies.csv")
RATING_COLUMNS = {"userId": "user_id", "movieId": "item_id", "rating": "rating", "timestamp": "timestamp"}
MOVIE_FIELDS = ("movieId", "title", "genres")
NO_GENRES = "(no genres listed)"


@READERS.register("movielens_csv")
class MovieLensCsv:
    """ratings.csv and movies.csv; the users are those who rated."""

    looks_for = ", ".join(FILES)

    def detect(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in FILES)

    def files(self, folder: Path) -> list[Path]:
        return require_files(folder, FILES)

    def read(self, folder: Path) -> RawTables:
        ratings, movies = self.files(folder)
        header, _, body = read_bytes(ratings).partition(b"\n")
        fields = csv_fields(ratings, 1, header.decode("utf-8", "replace"))
        names = header_columns(ratings, fields, tuple(RATING_COLUMNS))
        columns = [RATING_COLUMNS[name] for name in names]
        return RawTables(
            ratings=read_ratings(ratings, body, ",", columns, 2, highest=5),
            movies=movie_table(movies, _movie_rows(movies)),
            movies_path=movies,
            users=None,
            users_path=None,
        )


def _movie_rows(path: Path) -> Iterator[tuple[int, str, str, int | None, list[str]]]:
    records = _records(path)
    _, header = next(records)  # read_lines has refused an empty file
    header_columns(path, header, MOVIE_FIELDS)
    places = [header.index(name) for name in MOVIE_FIELDS]
    for line, record in records:
        if len(record) != len(MOVIE_FIELDS):
            raise wrong_width(path, line, ",".join(record), len(record), len(MOVIE_FIELDS), ",")
        item_id, title, genres = (record[place] for place in places)
        name, year = split_title(title)
        required(path, line, "genres", genres)
        yield line, item_id, name, year, [] if genres == NO_GENRES else genres.split("|")


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of a CSV file. A field may be quoted, but not reach over a line break."""
    for line, text in enumerate(read_lines(path), 1):
        yield line, csv_fields(path, line, text)
