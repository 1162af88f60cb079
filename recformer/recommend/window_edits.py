"""Edits of an input window, as item ids, oldest first; never torch."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Movies = tuple[int, ...]


def added(movies: Movies, item: int, window: int) -> Movies:
    """`item` as the latest movie. A full window loses its oldest, as it does when somebody watches one more."""
    return (*movies, item)[-window:]


def removed(movies: Movies, place: int) -> Movies:
    """The window without the movie at `place`, 0 for the oldest."""
    return movies[:place] + movies[place + 1 :]


def moved(movies: Movies, place: int, by: int) -> Movies:
    """The movie at `place` changes places with the one `by` = −1 (older) or 1 (later) beside it, if there is one."""
    other = place + by
    if not 0 <= other < len(movies):
        return movies
    changed = list(movies)
    changed[place], changed[other] = changed[other], changed[place]
    return tuple(changed)


def written(movies: Movies) -> str:
    """How a link says it: "50,260,1196"."""
    return ",".join(map(str, movies))


def read(text: str, item_ids: pd.Index, window: int) -> tuple[Movies, list[str]]:
    """The window that a link asks for, and what of it cannot be had, in words.

    Args:
        text: item ids with commas between; nothing at all is an empty window.
        item_ids: (I,) sorted ids that there are.
        window: how many movies fit; the latest are kept.
    """
    there = set(item_ids.tolist())
    parts = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in parts if not (part.isdecimal() and int(part) in there)]
    movies = tuple(int(part) for part in parts if part not in unknown)
    problems = [f"no movie has the id {', '.join(unknown)}"] if unknown else []
    if len(movies) > window:
        problems.append(f"{len(movies)} movies do not fit a window of {window}, so the latest are kept")
    return movies[-window:], problems


def search(titles: Sequence[str], genres: Sequence[Sequence[str]], text: str) -> NDArray[np.bool_]:
    """(n,) which movies have `text` in their title or one of their genres, whatever the case."""
    needle = text.strip().casefold()
    return np.array(
        [
            needle in title.casefold() or any(needle in genre.casefold() for genre in own)
            for title, own in zip(titles, genres, strict=True)
        ],
        dtype=bool,
    )
