"""The Recommend page's parts: a user's profile and history, the held-out movie, each model's list side by side."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from recformer.data.dataset import Dataset
from recformer.evaluation.ranks import Masking
from recformer.jobs.overview import RunSummary
from recformer.ui import readers
from recformer.ui.palette import genre_badges, run_colours
from recformer.ui.run_views import checkpoint_in_link, checkpoint_label, checkpoint_names, suggestion
from recformer.ui.selection import pick_many, pick_masking, pick_one
from recformer.ui.words import plain

MOST = 4  # columns that can be read side by side


@dataclass(frozen=True)
class Choice:
    """Whose movies, by which models."""

    names: list[str]
    user: int
    k: int
    masking: Masking
    data: Dataset
    runs: list[RunSummary]


def choose(runs: list[RunSummary]) -> Choice | None:
    """Models, user, length and masking, kept in the URL. None where there is nothing to ask yet."""
    names = checkpoint_names(runs)
    if not names:
        st.info("There is no model to ask yet.", icon=":material/info:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
        return None
    chosen = pick_many(
        "Models",
        names,
        "runs",
        key="recommend.runs",
        suggested=suggestion(runs)[:3],
        show=lambda name: checkpoint_label(runs, name),
        read=checkpoint_in_link,
        max_selections=MOST,
    )
    if not chosen:
        st.info("Pick one or more models above.", icon=":material/arrow_upward:")
        return None
    data = readers.dataset_of_models(chosen)
    who, dice, many, masks = st.columns([4, 2, 2, 4], vertical_alignment="bottom")
    users = [str(user) for user in data.user_ids]
    if dice.button("Random user", icon=":material/casino:", key="random_user", help="Another user, drawn at random."):
        st.session_state["recommend.user"] = random.choice(users)
    user = pick_one(
        who,
        "User",
        users,
        "user",
        key="recommend.user",
        show=lambda user: _user_label(data, int(user)),
        help="Type an id, an age or an occupation to find somebody.",
    )
    k = many.number_input("Length of the list", min_value=1, max_value=50, value=10, key="k", bind="query-params")
    masking = pick_masking(masks)
    return Choice(list(chosen), int(user), int(k), masking, data, runs)


def show_person(choice: Choice, advice: dict[str, Any]) -> None:
    """Profile, the input window in order, and the movie held out."""
    data = choice.data
    profile = data.users.iloc[_user_token(data, choice.user)]
    facts = [str(profile[name]) for name in ("gender", "age", "occupation") if str(profile[name])]
    history = data.history(_user_token(data, choice.user))
    st.markdown(f"**User {choice.user}** · {' · '.join([*map(plain, facts), f'{len(history)} movies'])}")
    st.markdown("**Latest movies** :gray[the model's input, oldest first]")
    for item_id in advice["window"]:
        st.markdown(_movie(data, item_id))
    st.markdown("**What they rated next** :gray[held out]")
    st.markdown(f":green[:material/target:] {_movie(data, advice['target'])}")


def show_lists(choice: Choice, advice: dict[str, Any]) -> None:
    """Each model's top k in a column, with marks for hit, repeat and seen."""
    colours = run_colours(choice.runs)
    for column, name, model in zip(st.columns(len(choice.names)), choice.names, advice["models"], strict=True):
        with column, st.container(border=True):
            colour = colours[name.split("/")[0]]
            # The run's colour beside its name; Streamlit's own Markdown knows a few colours only.
            square = f'<span style="color:{colour}">&#9632;</span>'
            st.markdown(f"{square} **{plain(checkpoint_label(choice.runs, name))}**", unsafe_allow_html=True)
            st.caption(f"held-out movie at rank {model['target_rank']:,} of {choice.data.num_items:,}")
            st.markdown(_list(choice.data, model["items"]))
    st.caption(
        ":green[:material/target: hit] the held-out movie · :orange[:material/replay: repeat] in the input window · "
        ":gray[:material/visibility: seen] earlier in the history · % is the model's probability over all movies"
    )


def show_history(choice: Choice, advice: dict[str, Any]) -> None:
    """The whole history before the held-out movie, latest first, the window marked."""
    data = choice.data
    tokens = data.history(_user_token(data, choice.user))[:-1][::-1]
    movies = data.movies.iloc[tokens]
    frame = pd.DataFrame(
        {
            "window": np.isin(movies["item_id"].to_numpy(), advice["window"]),
            "title": movies["title"].to_numpy(),
            "year": movies["year"].to_numpy(),
            "genres": movies["genres"].to_numpy(),
        }
    )
    with st.expander(f"History: {len(frame)} movies before the held-out one, latest first", icon=":material/history:"):
        st.dataframe(
            frame,
            key="recommend.history",
            hide_index=True,
            column_config={
                "window": st.column_config.CheckboxColumn("Input", help="In the model's input window", width="small"),
                "title": st.column_config.TextColumn("Movie", width="large"),
                "year": st.column_config.NumberColumn("Year", format="%d", width="small"),
                "genres": st.column_config.ListColumn("Genres"),
            },
        )


def _list(data: Dataset, items: list[dict[str, Any]]) -> str:
    lines: list[str] = []
    for item in items:
        marks = ""
        if item["hit"]:
            marks += " :green-badge[:material/target: hit]"
        if item["repeat_window"]:
            marks += " :orange-badge[:material/replay: repeat]"
        elif item["seen"]:
            marks += " :gray-badge[:material/visibility: seen]"
        share = f":gray[:small[{100 * item['score']:.1f}%]]"
        lines.append(f"{item['rank']}. **{plain(item['title'])}** {share}{marks}  \n{_genres(data, item['item_id'])}")
    return "\n".join(lines)


def _movie(data: Dataset, item_id: int) -> str:
    row = data.movies.iloc[int(np.searchsorted(data.item_ids, item_id))]
    year = "" if pd.isna(row["year"]) else f" :gray[{row['year']}]"
    return f"{plain(str(row['title']))}{year}  \n{_genres(data, item_id)}"


def _genres(data: Dataset, item_id: int) -> str:
    genres = list(data.movies.iloc[int(np.searchsorted(data.item_ids, item_id))]["genres"])
    return f":small[{genre_badges(genres[:3])}]" if genres else ""


def _user_token(data: Dataset, user: int) -> int:
    return int(np.searchsorted(data.user_ids, user))


def _user_label(data: Dataset, user: int) -> str:
    profile = data.users.iloc[_user_token(data, user)]
    facts = [str(profile[name]) for name in ("gender", "age", "occupation") if str(profile[name])]
    return f"{user}" + (f" · {', '.join(facts)}" if facts else "")
