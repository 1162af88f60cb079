"""Tiny datasets in each format on disk: plain functions, the same content whichever format is written."""

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset, fingerprint_of
from recformer.data.layouts.movielens_100k import GENRES
from recformer.data.nouns import Nouns

Interaction = tuple[int, int, float, int]  # user id, item id, rating, timestamp
Movie = tuple[str, int | None, list[str]]  # title, year, genres
FORMATS = ("movielens_dat", "movielens_100k", "recbole", "movielens_csv")

# Three users; user 2 has two interactions at one time, item 30 was never rated.
SMALL: list[Interaction] = [
    (1, 10, 4, 978300020),
    (1, 20, 3, 978300010),
    (2, 20, 5, 978300000),
    (2, 10, 1, 978300000),
    (2, 40, 2, 978299990),
    (3, 40, 3, 978300500),
]
SMALL_MOVIES: dict[int, Movie] = {
    10: ("Toy Story", 1995, ["Animation", "Children's", "Comedy"]),
    20: ("City of Lost Children, The", 1995, ["Adventure", "Sci-Fi"]),
    30: ("Misérables, Les", 1998, ["Drama"]),
    40: ("Heat", 1996, ["Action", "Crime", "Thriller"]),
}


def sequences(
    num_users: int = 30, num_items: int = 40, shortest: int = 12, longest: int = 30, seed: int = 0
) -> list[Interaction]:
    """Made-up histories without repeats, at times of which no two are equal; ids are no tokens (101, 104, …)."""
    draw = random.Random(seed)
    items = [10 + 7 * token for token in range(num_items)]
    rows: list[Interaction] = []
    for user in range(num_users):
        start = 978_300_000 + draw.randrange(50_000) * 100 + user
        history = draw.sample(items, draw.randint(shortest, longest))
        rows += [(101 + 3 * user, item, 1 + item % 5, start + 100 * place) for place, item in enumerate(history)]
    return rows


def dataset_in(folder: Path, interactions: Sequence[Interaction] | None = None) -> Dataset:
    """The dataset of `interactions` (those of `sequences` where none are given), written to `folder` and read."""
    return read_dataset(write_ml1m(folder, sequences() if interactions is None else interactions))


def dataset_of(histories: Sequence[Sequence[int]], num_items: int, times: Sequence[int] | None = None) -> Dataset:
    """A dataset in memory: item tokens of each user, repeats allowed; ids are 10 + token and 100 + user token."""
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])]).astype(np.int64)
    items = np.array([item for history in histories for item in history], dtype=np.int32)
    timestamps = np.array(times if times is not None else range(len(items)), dtype=np.int64)
    user_ids = pd.Index(np.arange(100, 100 + len(histories), dtype=np.int64))
    item_ids = pd.Index(np.arange(10, 10 + num_items, dtype=np.int64))
    titles = [f"Movie {item}" for item in item_ids]
    years = pd.array([1990] * num_items, dtype="Int64")
    genres = [["Drama"]] * num_items
    return Dataset(
        name="in memory",
        source=Path("in-memory"),
        reader="movielens_dat",
        offsets=offsets,
        items=items,
        timestamps=timestamps,
        ratings=np.ones(len(items), dtype=np.float32),
        item_table=pd.DataFrame({"item_id": item_ids, "title": titles, "year": years, "genre": genres}),
        user_table=pd.DataFrame({"user_id": user_ids, "gender": "", "age": "", "occupation": ""}),
        fingerprint=fingerprint_of(user_ids, item_ids, offsets, items, timestamps),
        parts=parts_of(offsets),
        nouns=Nouns("movie", "movies"),
    )


def parts_of(offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(N,) parts as data may come with: of who has three or more, the last interaction is the test (2), the one before
    it validation (1), all others training (0)."""
    parts = np.zeros(offsets[-1], dtype=np.uint8)
    ends = offsets[1:][np.diff(offsets) >= 3]
    parts[ends - 1], parts[ends - 2] = 2, 1
    return parts


def movies_of(interactions: Iterable[Interaction]) -> dict[int, Movie]:
    """A made-up catalogue that holds every item of `interactions`."""
    items = sorted({item for _, item, _, _ in interactions})
    return {item: (f"Movie {item}", 1950 + item % 50, ["Comedy", "Drama"]) for item in items}


def write_ml1m(
    folder: Path,
    interactions: Sequence[Interaction],
    movies: Mapping[int, Movie] | None = None,
    users: Iterable[int] | None = None,
    newline: str = "\n",
) -> Path:
    """ratings.dat, movies.dat and users.dat; every user is the same person."""
    catalogue = movies or movies_of(interactions)
    write_lines(folder / "ratings.dat", _ratings(interactions, "::"), newline, "iso-8859-1")
    lines = [f"{item}::{_titled(movie)}::{'|'.join(movie[2])}" for item, movie in catalogue.items()]
    write_lines(folder / "movies.dat", lines, newline, "iso-8859-1")
    lines = [f"{user}::F::25::10::48067" for user in _users(interactions, users)]
    write_lines(folder / "users.dat", lines, newline, "iso-8859-1")
    return folder


def write_ml100k(
    folder: Path,
    interactions: Sequence[Interaction],
    movies: Mapping[int, Movie] | None = None,
    users: Iterable[int] | None = None,
    newline: str = "\n",
) -> Path:
    """u.data, u.item and u.user."""
    write_lines(folder / "u.data", _ratings(interactions, "\t"), newline, "iso-8859-1")
    lines: list[str] = []
    for item, movie in (movies or movies_of(interactions)).items():
        flags = "|".join("1" if genre in movie[2] else "0" for genre in GENRES)
        released = f"01-Jan-{movie[1]}" if movie[1] else ""
        lines.append(f"{item}|{_titled(movie)}|{released}|||{flags}")
    write_lines(folder / "u.item", lines, newline, "iso-8859-1")
    lines = [f"{user}|24|F|technician|85711" for user in _users(interactions, users)]
    write_lines(folder / "u.user", lines, newline, "iso-8859-1")
    return folder


def write_recbole(
    folder: Path,
    interactions: Sequence[Interaction],
    movies: Mapping[int, Movie] | None = None,
    users: Iterable[int] | None = None,
    newline: str = "\n",
) -> Path:
    """small.inter, small.item and small.user."""
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    write_lines(folder / "small.inter", [header, *_ratings(interactions, "\t")], newline, "utf-8")
    lines = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    for item, (title, year, genres) in (movies or movies_of(interactions)).items():
        lines.append(f"{item}\t{title}\t{year or ''}\t{' '.join(genres)}")
    write_lines(folder / "small.item", lines, newline, "utf-8")
    lines = ["user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"]
    lines += [f"{user}\t24\tF\ttechnician\t85711" for user in _users(interactions, users)]
    write_lines(folder / "small.user", lines, newline, "utf-8")
    return folder


def write_csv(
    folder: Path,
    interactions: Sequence[Interaction],
    movies: Mapping[int, Movie] | None = None,
    newline: str = "\n",
) -> Path:
    """ratings.csv and movies.csv; a title with a comma is quoted."""
    lines = ["userId,movieId,rating,timestamp", *_ratings(interactions, ",")]
    write_lines(folder / "ratings.csv", lines, newline, "utf-8")
    lines = ["movieId,title,genres"]
    for item, movie in (movies or movies_of(interactions)).items():
        title = _titled(movie)
        quoted = f'"{title}"' if "," in title else title
        lines.append(f"{item},{quoted},{'|'.join(movie[2]) or '(no genres listed)'}")
    write_lines(folder / "movies.csv", lines, newline, "utf-8")
    return folder


def write_format(
    name: str,
    folder: Path,
    interactions: Sequence[Interaction],
    movies: Mapping[int, Movie] | None = None,
    newline: str = "\n",
) -> Path:
    """The same content in the format of the reader called `name`; see FORMATS."""
    writers = {
        "movielens_dat": write_ml1m,
        "movielens_100k": write_ml100k,
        "recbole": write_recbole,
        "movielens_csv": write_csv,
    }
    return writers[name](folder, interactions, movies, newline=newline)


def ratings_file(folder: Path) -> Path:
    """The file of interactions, whatever the format."""
    names = ("ratings.dat", "u.data", "small.inter", "ratings.csv")
    return next(folder / name for name in names if (folder / name).is_file())


def write_lines(path: Path, lines: Iterable[str], newline: str = "\n", encoding: str = "utf-8") -> None:
    """Every line with a line break after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + newline for line in lines).encode(encoding))


def _titled(movie: Movie) -> str:
    title, year, _ = movie
    return f"{title} ({year})" if year else title


def _ratings(interactions: Iterable[Interaction], separator: str) -> list[str]:
    return [
        separator.join(f"{value:g}" if i == 2 else str(value) for i, value in enumerate(row)) for row in interactions
    ]


def _users(interactions: Iterable[Interaction], users: Iterable[int] | None) -> list[int]:
    return sorted(users if users is not None else {user for user, _, _, _ in interactions})
