"""What a person watched: the input window, what becomes of the recommendations when somebody edits it, and the history.

The window that was made up is in the URL (`movies`: item ids, oldest first), and only there: a link shows the same.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from recformer.data.dataset import Dataset
from recformer.recommend.window_edits import Movies, added, moved, read, removed, search, written
from recformer.ui.recommend.why_view import HELP as WHY_HELP
from recformer.ui.recommend.why_view import bars
from recformer.ui.shared.palette import genre_chips
from recformer.ui.shared.words import plain

PARAMETER = "movies"
STYLE = Path(__file__).with_name("window_editor.css")
ADD_HELP = (
    "Puts the movie last, as the one just watched; a full window loses its oldest. The held-out movie is then no "
    "longer what came next, so there are no hits and no ranks of it."
)
NOBODY_HELP = (
    "What models expect of somebody who has watched these movies, oldest first, and of whom nothing else is known. "
    "Models know each user by a vector of their own; for nobody, the mean over 64 users spread evenly over the dataset "
    "is taken."
)


def made_up(data: Dataset, window: int, *, nobody: bool) -> Movies | None:
    """The window that the URL asks for, told where it cannot be had whole; None where it is the user's own."""
    if PARAMETER not in st.query_params:
        return () if nobody else None
    movies, problems = read(st.query_params[PARAMETER], data.item_ids, window)
    for problem in problems:
        st.warning(f"In this link's window {plain(problem)}.", icon=":material/link_off:")
    return movies


def edit_window(
    data: Dataset, advice: Mapping[str, Any], names: list[str], colours: list[str], window: int, own: Movies | None
) -> None:
    """The window's movies, latest first, each with its part in the recommendation that is explained.

    Args:
        names: of the advice's models.
        colours: of the advice's models.
        window: T, how many movies fit.
        own: the user's own window; None for nobody.
    """
    movies: Movies = tuple(advice["window"])
    edited = own is not None and movies != own
    told = "made up, latest first" if edited or own is None else "latest first"
    help_text = NOBODY_HELP if own is None else "The latest movies before the held-out one: all that a model reads."
    st.markdown(f"**Input window** :gray[{told}]", help=help_text)
    if movies:
        st.caption(f"What each does for **{plain(advice['why']['title'])}**", help=WHY_HELP)
    _search(data, partial(_change, own), movies, window)
    st.html(STYLE)
    for place in range(len(movies) - 1, -1, -1):
        _row(data, advice, names, colours, movies, place, partial(_change, own))
    empty = window - len(movies)
    if empty and movies:
        st.caption(f"{empty} more {'fits' if empty == 1 else 'fit'}; before these, nothing is known (SOS).")
    elif empty:
        st.caption("Nothing watched yet: the models know only where a history begins (SOS). Add a movie above.")
    if edited:
        st.button(
            "Back to the user's own",
            key="window.reset",
            icon=":material/undo:",
            on_click=forget,
            help="Shows the held-out movie and the ranks again.",
        )
    elif own is None and movies:
        st.button("Begin again", key="window.clear", icon=":material/undo:", on_click=forget)


def forget() -> None:
    """Let the window be the user's own again."""
    st.query_params.pop(PARAMETER, None)


def _change(own: Movies | None, movies: Movies) -> None:
    """Keep an edited window in the URL; the user's own goes without saying."""
    if movies == (own or ()):
        forget()
    else:
        st.query_params[PARAMETER] = written(movies)


def _search(data: Dataset, change: Callable[[Movies], None], movies: Movies, window: int) -> None:
    titles = _titles(data.fingerprint, data)

    def add() -> None:
        item = st.session_state["window.add"]
        st.session_state["window.add"] = None
        if item is not None:
            change(added(movies, item, window))

    st.selectbox(
        "Add a movie",
        list(titles),
        index=None,
        key="window.add",
        format_func=titles.__getitem__,
        on_change=add,
        placeholder="What if they watched … (type a title)",
        help=ADD_HELP,
        label_visibility="collapsed",
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _titles(fingerprint: str, _data: Dataset) -> dict[int, str]:
    """Item id to a title that no other movie has, in the order of the alphabet."""
    movies = _data.movies
    names = [
        title if pd.isna(year) else f"{title} ({year})"
        for title, year in zip(movies["title"], movies["year"], strict=True)
    ]
    twice = set(pd.Series(names)[pd.Series(names).duplicated(keep=False)])
    found = {
        int(item): f"{name} · {item}" if name in twice else name
        for item, name in zip(_data.item_ids, names, strict=True)
    }
    return dict(sorted(found.items(), key=lambda entry: entry[1].casefold()))


def _row(
    data: Dataset,
    advice: Mapping[str, Any],
    names: list[str],
    colours: list[str],
    movies: Movies,
    place: int,
    change: Callable[[Movies], None],
) -> None:
    title = _titles(data.fingerprint, data)[movies[place]]
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            with st.container(width="stretch", gap=None):
                genres = data.movies.iloc[int(data.item_ids.searchsorted(movies[place]))]["genres"]
                st.markdown(f"{plain(title)}  \n{genre_chips(genres)}")
            edits = [
                ("later", "Later", "arrow_upward", moved(movies, place, 1)),
                ("earlier", "Earlier", "arrow_downward", moved(movies, place, -1)),
                ("remove", "Leave out", "close", removed(movies, place)),
            ]
            with st.container(horizontal=True, gap="xsmall", width="content"):  # beside one another, however narrow
                for key, words, icon, after in edits:
                    st.button(
                        f"{words}: {plain(title)}",
                        key=f"window.{key}.{place}",
                        icon=f":material/{icon}:",
                        type="tertiary",
                        disabled=after == movies,
                        help=f"{words}: {plain(title)}",
                        on_click=change,
                        args=(after,),
                    )
        st.html(bars(advice, place, names, colours))


def show_history(data: Dataset, user_token: int, window: Sequence[int]) -> None:
    """The movies before the held-out one, latest first; a search box finds them by title or genre."""
    frame = history_of(data, user_token, window)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    left.markdown(f"**History** :gray[{len(frame)} movies before the held-out one, latest first]")
    text = right.text_input(
        "Search the history",
        key="history",
        bind="query-params",
        placeholder="Search: title or genre",
        label_visibility="collapsed",
        icon=":material/search:",
    )
    if text:
        frame = frame[search(frame["title"].tolist(), frame["genres"].tolist(), text)]
        st.caption(f"{len(frame)} with “{text}” in title or genres".replace("$", "\\$"))
    st.dataframe(
        frame,
        key="recommend.history",
        hide_index=True,
        height=300 if len(frame) > 7 else "auto",
        column_config={
            "input": st.column_config.CheckboxColumn("Input", help="In the models' input window", width="small"),
            "title": st.column_config.TextColumn("Movie", width="large"),
            "year": st.column_config.NumberColumn("Year", format="%d", width="small"),
            "genres": st.column_config.ListColumn("Genres"),
            "rating": st.column_config.NumberColumn("Rating", format="%g", width="small", help="That the user gave."),
        },
    )


def history_of(data: Dataset, user_token: int, window: Sequence[int]) -> pd.DataFrame:
    """input (in the window), title, year, genres and rating of the movies before the held-out one, latest first."""
    begin, end = int(data.offsets[user_token]), int(data.offsets[user_token + 1]) - 1
    movies = data.movies.iloc[data.items[begin:end][::-1]]
    return pd.DataFrame(
        {
            "input": np.isin(movies["item_id"].to_numpy(), window),
            "title": movies["title"].to_numpy(),
            "year": movies["year"].to_numpy(),
            "genres": movies["genres"].to_numpy(),
            "rating": data.ratings[begin:end][::-1],
        }
    )
