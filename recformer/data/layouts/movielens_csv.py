"""The format of MovieLens' newer sets (ml-latest, ml-20m to ml-32m): CSV with headers, and no users."""

from pathlib import Path

import pandas as pd

from recformer.data.layouts.base import NO_GENRES, Layout, split_title
from recformer.data.table import Interactions, csv_fields, header_columns, read_lines, read_ratings, read_table
from recformer.registry import READERS

RATING_COLUMNS = {"userId": "user_id", "movieId": "item_id", "rating": "rating", "timestamp": "timestamp"}
MOVIE_COLUMNS = {"movieId": "movie id", "title": "title", "genres": "genres"}


@READERS.register("movielens_csv")
class MovieLensCsv(Layout):
    """ratings.csv and movies.csv; the users are those who rated."""

    FILES = ("ratings.csv", "movies.csv")

    def interactions(self, path: Path) -> Interactions:
        return read_ratings(path, ",", lambda header: _columns(path, header, RATING_COLUMNS), highest=5)

    def items(self, path: Path) -> pd.DataFrame:
        header, *lines = read_lines(path)
        table = read_table(path, ",", _columns(path, header, MOVIE_COLUMNS), lines, 2, quoted=True)
        genres = [[] if text == NO_GENRES else text.split("|") for text in table.filled("genres")]
        return table.movies(list(map(split_title, table.filled("title"))), genres)


def _columns(path: Path, header: str, known: dict[str, str]) -> list[str]:
    return [known[name] for name in header_columns(path, csv_fields(path, 1, header), tuple(known))]
