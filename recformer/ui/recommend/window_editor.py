"""What a person watched: the input window, what becomes of the recommendations when somebody edits it, and the history.

The window that was made up is in the URL (`movies`: item ids, oldest first), and only there: a link shows the same.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.column_config import CheckboxColumn, ListColumn, NumberColumn, TextColumn

from recformer.data.dataset import Dataset
from recformer.errors import count
from recformer.recommend.window_edits import Movies, added, moved, read, removed, search, written
from recformer.ui.recommend.asking import ShownUser
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
WHY_HELP = (
    "Each movie of the input window is left out in turn (the window then begins with one empty place more), and the "
    "model is asked again. A bar to the right: with that movie the recommendation is likelier than without it. "
    "Click a card above to ask about another movie."
)
Change = Callable[[Movies], None]


def made_up(data: Dataset, window: int, *, nobody: bool) -> Movies | None:
    """The window that the URL asks for, with a warning where it is not whole; None where it is the user's own."""
    if PARAMETER not in st.query_params:
        return () if nobody else None
    movies, problems = read(st.query_params[PARAMETER], data.item_ids, window)
    for problem in problems:
        st.warning(f"In this link's window {plain(problem)}.", icon=":material/link_off:")
    return movies


def forget() -> None:
    """Let the window be the user's own again."""
    st.query_params.pop(PARAMETER, None)


def edit_window(shown: ShownUser) -> None:
    """The window's movies, latest first, each with its part in the recommendation that is explained."""
    own, movies, window = shown.own, shown.window, shown.choice.window
    edited = own is not None and movies != own
    order = "made up, latest first" if edited or own is None else "latest first"
    help_text = NOBODY_HELP if own is None else "The latest movies before the held-out one: all that a model reads."
    st.markdown(f"**Input window** :gray[{order}]", help=help_text)
    if movies:
        st.caption(f"What each does for **{plain(shown.advice['why']['title'])}**", help=WHY_HELP)

    def change(movies: Movies) -> None:
        """Keep an edited window in the URL; the user's own goes without saying."""
        if movies == (own or ()):
            forget()
        else:
            st.query_params[PARAMETER] = written(movies)

    titles = _titles(shown.choice.data.fingerprint, shown.choice.data)
    _add(titles, movies, window, change)
    st.html(STYLE)
    for place in range(len(movies) - 1, -1, -1):
        _show_movie(shown, place, titles[movies[place]], change)
    empty = window - len(movies)
    if empty and movies:
        st.caption(f"{empty} more {'fits' if empty == 1 else 'fit'}; before these, nothing is known (SOS).")
    elif empty:
        st.caption("Nothing watched yet: the models know only where a history begins (SOS). Add a movie above.")
    undo = partial(st.button, icon=":material/undo:", on_click=forget)
    if edited:
        undo("Back to the user's own", key="window.reset", help="Shows the held-out movie and the ranks again.")
    elif own is None and movies:
        undo("Begin again", key="window.clear")


def _add(titles: dict[int, str], movies: Movies, window: int, change: Change) -> None:
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
    movies = _data.item_table
    names = pd.Series(
        title if pd.isna(year) else f"{title} ({year})"
        for title, year in zip(movies["title"], movies["year"], strict=True)
    )
    found = {
        int(item): f"{name} · {item}" if twice else name
        for item, name, twice in zip(_data.item_ids, names, names.duplicated(keep=False), strict=True)
    }
    return dict(sorted(found.items(), key=lambda entry: entry[1].casefold()))


def _show_movie(shown: ShownUser, place: int, title: str, change: Change) -> None:
    data, movies = shown.choice.data, shown.window
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            with st.container(width="stretch", gap=None):
                genres = data.item_table.iloc[int(data.item_ids.searchsorted(movies[place]))]["genre"]
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
        st.html(_bars(shown, place))


def _bars(shown: ShownUser, place: int) -> str:
    """Markup of one bar a model for the window's movie at `place`; window_editor.css is its style."""
    whys = [model["why"] for model in shown.advice["models"]]
    longest = max((abs(reason["lift"]) for why in whys for reason in why["reasons"]), default=0.0) or 1.0
    bars = zip(shown.names, whys, shown.colours, strict=True)
    return "".join(_bar(name, why, why["reasons"][place], colour, longest) for name, why, colour in bars)


def _bar(name: str, why: Mapping[str, Any], reason: Mapping[str, Any], colour: str, longest: float) -> str:
    width = 50 * abs(reason["lift"]) / longest
    left = 50 if reason["lift"] > 0 else 50 - width
    before, after, effect = why["rank"], reason["rank_without"], _effect(reason["lift"])
    rank = "rank stays" if before == after else f"rank {before:,} → {after:,}"
    return (
        f'<div class="why-bar"><div class="track" role="img" aria-label="{escape(name)}: {effect}">'
        f'<i style="left:{left:.1f}%;width:{width:.1f}%;background:{colour}"></i><b></b></div>'
        f'<span class="says">{effect} · {rank}</span></div>'
    )


def _effect(lift: float) -> str:
    """What a movie does to another's probability, as a factor: "×2.0", "÷1.5"."""
    factor = math.exp(abs(lift))
    if factor < 1.005:
        return "×1"
    shown = f"{factor:.2f}" if factor < 1.1 else f"{factor:.2g}" if factor < 10 else f"{factor:,.0f}"
    return f"{'×' if lift > 0 else '÷'}{shown}"


def show_history(shown: ShownUser, user_token: int) -> None:
    """The movies before the held-out one, latest first; a search box finds them by title or genre."""
    data = shown.choice.data
    begin, end = int(data.offsets[user_token]), int(data.offsets[user_token + 1]) - 1
    movies = data.item_table.iloc[data.items[begin:end][::-1]].reset_index(drop=True)
    frame = movies[["title", "year", "genre"]].copy()
    if data.ratings is not None:
        frame["rating"] = data.ratings[begin:end][::-1]
    frame.insert(0, "input", np.isin(movies["item_id"], shown.window))
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    left.markdown(f"**History** :gray[{count(len(frame), 'movie')} before the held-out one, latest first]")
    text = right.text_input(
        "Search the history",
        key="history",
        bind="query-params",
        placeholder="Search: title or genre",
        label_visibility="collapsed",
        icon=":material/search:",
    )
    if text:
        frame = frame[search(frame["title"].tolist(), frame["genre"].tolist(), text)]
        st.caption(f"{len(frame)} with “{text}” in title or genres".replace("$", "\\$"))
    st.dataframe(
        frame,
        key="recommend.history",
        hide_index=True,
        height=300 if len(frame) > 7 else "auto",
        column_config={
            "input": CheckboxColumn("Input", help="In the models' input window", width="small"),
            "title": TextColumn("Movie", width="large"),
            "year": NumberColumn("Year", format="%d", width="small"),
            "genre": ListColumn("Genres"),
            "rating": NumberColumn("Rating", format="%g", width="small", help="That the user gave."),
        },
    )
