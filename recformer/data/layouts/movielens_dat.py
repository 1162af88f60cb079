"""The format of MovieLens-1M and 10M: `::` between fields, no header. Codes are those of the README of 1M."""

import os
from pathlib import Path

import pandas as pd

from recformer.data.layouts.base import NO_GENRES, Layout, split_title
from recformer.data.table import Interactions, read_lines, read_ratings, read_table, require_files
from recformer.registry import READERS

GENDERS = {"F": "F", "M": "M"}
AGES = {"1": "Under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56+"}
_OCCUPATIONS = (
    "other, academic/educator, artist, clerical/admin, college/grad student, customer service, doctor/health care, "
    "executive/managerial, farmer, homemaker, K-12 student, lawyer, programmer, retired, sales/marketing, scientist, "
    "self-employed, technician/engineer, tradesman/craftsman, unemployed, writer"
)
OCCUPATIONS = {str(code): word for code, word in enumerate(_OCCUPATIONS.split(", "))}


@READERS.register("movielens_dat")
class MovieLensDat(Layout):
    """ratings.dat, movies.dat and, in 1M alone, users.dat."""

    FILES = ("ratings.dat", "movies.dat")

    def files(self, folder: Path) -> list[Path]:
        there = os.path.lexists(folder / "users.dat")  # what is there and no file is refused, not passed over
        return [*super().files(folder), *(require_files(folder, ["users.dat"]) if there else [])]

    def interactions(self, path: Path) -> Interactions:
        return read_ratings(path, "::", highest=5)

    def items(self, path: Path) -> pd.DataFrame:
        table = read_table(path, "::", ("movie id", "title", "genres"), read_lines(path))
        genres = [[] if text == NO_GENRES else text.split("|") for text in table.filled("genres")]
        return table.movies(list(map(split_title, table.filled("title"))), genres)

    def users(self, path: Path) -> pd.DataFrame:
        table = read_table(path, "::", ("user id", "gender", "age", "occupation", "zip code"), read_lines(path))
        table.filled("zip code")
        return table.users(
            table.words("gender", GENDERS), table.words("age", AGES), table.words("occupation", OCCUPATIONS)
        )
