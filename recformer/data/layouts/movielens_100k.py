"""MovieLens-100K's own format: u.data with tabs, u.item and u.user with `|`, no header."""

from pathlib import Path

import pandas as pd

from recformer.data.layouts.base import Layout, split_title, year_of
from recformer.data.table import Interactions, read_lines, read_ratings, read_table
from recformer.registry import READERS

# The order of the flags in u.item; u.genre says the same and is often left out of copies.
_GENRES = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical "
    "Mystery Romance Sci-Fi Thriller War Western"
)
GENRES = tuple(_GENRES.split())
MOVIE_FIELDS = ("movie id", "title", "released", "video released", "address")


@READERS.register("movielens_100k")
class MovieLens100K(Layout):
    """u.data, u.item and u.user."""

    FILES = ("u.data", "u.item", "u.user")

    def interactions(self, path: Path) -> Interactions:
        return read_ratings(path, "\t", highest=5)

    def items(self, path: Path) -> pd.DataFrame:
        # Release dates and the address may be empty: movie 267 ("unknown") has neither.
        table = read_table(path, "|", (*MOVIE_FIELDS, *GENRES), read_lines(path))
        flags = [
            table.check(genre, table.columns[genre].isin(["0", "1"]), "0 or 1", f"the flag of genre {genre}") == "1"
            for genre in GENRES
        ]
        genres = [[genre for genre, has in zip(GENRES, row, strict=True) if has] for row in zip(*flags, strict=True)]
        titles = [
            (title, year or year_of(released[-4:]))
            for (title, year), released in zip(
                map(split_title, table.filled("title")), table.columns["released"], strict=True
            )
        ]
        return table.movies(titles, genres)

    def users(self, path: Path) -> pd.DataFrame:
        table = read_table(path, "|", ("user id", "age", "gender", "occupation", "zip code"), read_lines(path))
        table.filled("zip code")
        age = pd.Series(table.whole("age")).astype("str")
        return table.users(table.filled("gender"), age, table.filled("occupation"))
