"""How fast MovieLens-1M is read: from its files, and from the cache, against pandas with the Python engine.

    python -m benchmarks.loading --data data/ml-1m

The reference is what the article does: `pandas.read_csv(sep="::", engine="python")` for the three files, then each
user's movies in the order of time, as tokens of sorted ids. Both must give the same sequences. Prints a line for each
figure (median, lowest and highest repeat), then all as JSON; ends with code 1 where a target was missed.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from benchmarks.figure import Figure, report
from benchmarks.ml1m import folder_asked_for
from recformer.data.cache import load
from recformer.data.dataset import Dataset

REPEATS, TIMES_FASTER, CACHED_S = 5, 10.0, 0.15
COLUMNS = {
    "ratings.dat": ["user_id", "item_id", "rating", "timestamp"],
    "movies.dat": ["item_id", "title", "genres"],
    "users.dat": ["user_id", "gender", "age", "occupation", "zip"],
}
T = TypeVar("T")


def main() -> None:
    folder = folder_asked_for(__doc__)
    with tempfile.TemporaryDirectory() as name:
        report(measured(folder, Path(name)))


def measured(folder: Path, scratch: Path) -> list[Figure]:
    """Reference, cold and cached in turn, so that what disturbs the machine disturbs all."""
    reference, cold, cached = list[float](), list[float](), list[float]()
    for repeat in range(REPEATS):
        seconds, sequences = timed(lambda: as_the_article(folder))
        reference.append(seconds)
        cache = scratch / str(repeat)
        seconds, dataset = timed(lambda cache=cache: load(folder, cache))
        cold.append(seconds)
        check(dataset, sequences)
        cached += [timed(lambda cache=cache: load(folder, cache))[0] for _ in range(REPEATS)]
    ratios = [one / other for one, other in zip(reference, cold, strict=True)]
    return [
        Figure.of("pandas with the Python engine", reference),
        Figure.of("from the files", cold),
        Figure.of("from the files, times as fast", ratios, "x", at_least=TIMES_FASTER),
        Figure.of("from the cache", cached, below=CACHED_S),
    ]


def as_the_article(folder: Path) -> list[list[int]]:
    """Each user's movies as tokens, in the order of time."""
    tables = {
        file: pd.read_csv(folder / file, sep="::", engine="python", names=names, encoding="latin-1")
        for file, names in COLUMNS.items()
    }
    ratings = tables["ratings.dat"].sort_values(["user_id", "timestamp"], kind="stable")
    tokens = {item: token for token, item in enumerate(sorted(tables["movies.dat"]["item_id"].unique()))}
    return [[tokens[item] for item in rows["item_id"]] for _, rows in ratings.groupby("user_id")]


def check(dataset: Dataset, sequences: list[list[int]]) -> None:
    """Raises AssertionError where the two did not read the same."""
    assert dataset.num_users == len(sequences)
    for user, expected in enumerate(sequences):
        np.testing.assert_array_equal(dataset.history(user), expected)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


if __name__ == "__main__":
    main()
