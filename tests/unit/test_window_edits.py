"""Edits of an input window, and how a link says one."""

import numpy as np
import pytest

from recformer.recommend.window_edits import added, moved, read, removed, search, written

IDS = np.array([10, 20, 30, 40, 50])


def test_a_movie_is_added_as_the_latest() -> None:
    assert added((), 30, 3) == (30,)
    assert added((10, 20), 30, 3) == (10, 20, 30)


def test_a_full_window_loses_its_oldest() -> None:
    assert added((10, 20, 30), 40, 3) == (20, 30, 40)


def test_a_movie_is_removed_where_it_stands() -> None:
    assert [removed((10, 20, 10), place) for place in range(3)] == [(20, 10), (10, 10), (10, 20)]


def test_neighbours_change_places_and_the_ends_stay() -> None:
    assert moved((10, 20, 30), 0, 1) == (20, 10, 30)
    assert moved((10, 20, 30), 2, -1) == (10, 30, 20)
    assert moved((10, 20, 30), 2, 1) == (10, 20, 30)
    assert moved((10, 20, 30), 0, -1) == (10, 20, 30)


@pytest.mark.parametrize("movies", [(), (30,), (50, 10, 10)])
def test_a_link_says_what_was_written(movies: tuple[int, ...]) -> None:
    assert read(written(movies), IDS, 3) == (movies, [])


@pytest.mark.parametrize(
    ("text", "movies", "problems"),
    [
        ("10,99,20", (10, 20), ["no movie has the id 99"]),
        ("x, 10 ,-20,1e1", (10,), ["no movie has the id x, -20, 1e1"]),
        ("10,20,30,40", (20, 30, 40), ["4 movies do not fit a window of 3, so the latest are kept"]),
        (",,", (), []),
        ("9" * 40, (), [f"no movie has the id {'9' * 40}"]),
        ("²,10", (10,), ["no movie has the id ²"]),
    ],
)
def test_what_a_link_cannot_have_is_told_and_the_rest_is_there(
    text: str, movies: tuple[int, ...], problems: list[str]
) -> None:
    assert read(text, IDS, 3) == (movies, problems)


def test_a_movie_is_found_by_title_or_genre_whatever_the_case() -> None:
    titles, genres = ["Alien", "Heat", "Alice"], [["Horror"], ["Crime"], ["Drama", "Horror"]]
    assert search(titles, genres, "ALI").tolist() == [True, False, True]
    assert search(titles, genres, " horror ").tolist() == [True, False, True]
    assert search(titles, genres, "x").tolist() == [False] * 3
