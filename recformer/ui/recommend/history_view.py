"""A user's whole history, searchable, with the input window marked."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from recformer.data.dataset import Dataset
from recformer.recommend.window_edits import search


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
