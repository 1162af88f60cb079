"""The Recommend page's parts: who is asked about, by which models, and what they answer."""

import random

import numpy as np
import pandas as pd
import streamlit as st

from recformer.data.categories import as_text, category_columns, number_columns
from recformer.data.dataset import Dataset, Id, id_of
from recformer.data.report import LEAST
from recformer.errors import RecformerError
from recformer.run.model_ref import ModelRef, model_label
from recformer.run.overview import RunSummary, labels_of
from recformer.ui.recommend import asking, window_editor
from recformer.ui.recommend.all_lists import show_all_lists
from recformer.ui.recommend.asking import RecommendChoice, ShownUser
from recformer.ui.recommend.item_lists import show_lists, show_masking, show_overlap, show_why
from recformer.ui.recommend.item_words import in_markdown
from recformer.ui.recommend.user_finder import PARAMETERS as FINDER
from recformer.ui.recommend.user_finder import find_users, is_filter
from recformer.ui.shared import readers
from recformer.ui.shared.evaluating import leave_out
from recformer.ui.shared.palette import run_styles
from recformer.ui.shared.poster_views import posters
from recformer.ui.shared.run_views import choose_models, suggestion
from recformer.ui.shared.selection import name_unknown, pick_masking, pick_recent, pick_text, rename
from recformer.ui.shared.words import message_of, plain

MOST = 4  # columns that can be read side by side
WHY = "why"
USER = "recommend.user"
BEFORE = "recommend.before"
OF_A_PERSON = ("user", window_editor.PARAMETER, WHY)
PARAMETERS = {
    *("runs", "user", "nobody", "k", "masking", "recent", WHY, window_editor.PARAMETER, "history", "find"),
    *FINDER,
}
"""What this page knows of an address; filters of the user finder are called by their column."""


def read_address() -> None:
    """Say what of the address means nothing here; an earlier version called the window `movies`."""
    rename("movies", window_editor.PARAMETER)
    name_unknown(PARAMETERS | {name for name in st.query_params if is_filter(name)})


def choose(runs: list[RunSummary]) -> RecommendChoice | None:
    """Models, user, length and masking, kept in the URL. None where there is nothing to ask yet."""
    chosen = choose_models(
        runs,
        "There is no model to ask yet.",
        key="recommend.runs",
        suggested=[seeds[0] for seeds in suggestion(runs)[:3]],
        baselines=False,
        max_selections=MOST,
    )
    if not chosen:
        return None
    failures = asking.Failures()
    data = readers.dataset_of(chosen, failures)
    ready, unfit = asking.ready(chosen, data)
    _leave_out(runs, failures | unfit)
    if not ready:
        st.info("None of these models can be asked. Pick another one above.", icon=":material/arrow_upward:")
        return None
    labels = labels_of(runs)
    unknown = [plain(model_label(labels, one.ref)) for one in ready if not one.data_known]
    if unknown:
        st.caption(f"Nothing says which data {', '.join(unknown)} is from; only its sizes fit {plain(data.name)}.")
    return _whom(runs, ready, data)


def _leave_out(runs: list[RunSummary], failures: asking.Failures) -> None:
    for model, error in failures.items():
        leave_out(model_label(labels_of(runs), model), error)


def _whom(runs: list[RunSummary], ready: list[asking.Ready], data: Dataset) -> RecommendChoice | None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        nobody = st.session_state.get("nobody", st.query_params.get("nobody") == "true")
        user = None if nobody else _user(data)
        if nobody:
            st.query_params.pop("user", None)
        k = st.number_input(
            "Length of the list", min_value=1, max_value=50, value=10, key="k", bind="query-params", width=130
        )
        with st.container(width="content"):
            masking = pick_masking(st.container(), data.nouns)
        recent = pick_recent(st.container(width=130), data.nouns)
        with st.container(width="content", gap=None):
            st.toggle(
                "A user from nothing",
                key="nobody",
                bind="query-params",
                on_change=_change_person,
                help=data.nouns.put_into(window_editor.NOBODY_HELP),
            )
            help_text = "By who they are, or by what the models do for them."
            finding = not nobody and st.toggle("Find a user", key="find", bind="query-params", help=help_text)
    if finding:
        labels = labels_of(runs)
        find_users({one.ref: model_label(labels, one.ref) for one in ready}, data, masking, int(k), recent, _open)
    if user is None and not nobody:
        first, last = data.user_ids[0], data.user_ids[-1]
        st.error(
            f"There is no user {plain(st.session_state[USER])} in {plain(data.name)}; its user ids go from "
            f"{plain(str(first))} to {plain(str(last))}.",
            icon=":material/person_off:",
        )
        st.button(
            f"Open user {plain(str(first))}", key="first_user", icon=":material/person:", on_click=_open, args=(first,)
        )
        return None
    return RecommendChoice(ready, data, user, int(k), masking, runs, recent)


def _user(data: Dataset) -> Id | None:
    """The user whose id stands in the box; None where there is no such user."""
    users = data.user_ids
    text = pick_text(
        st.container(width=130),
        "User",
        "user",
        key=USER,
        suggested=str(users[0]),
        on_change=_begin_anew,
        help=f"A user id of {data.name}, from {users[0]} to {users[-1]}. Find a user lists them all.",
    )
    st.button(
        "Random",
        icon=":material/casino:",
        key="random_user",
        help="Another user, drawn at random among those who can be shown.",
        on_click=lambda: _open(users[_random_user(data)]),
    )
    return id_of(users, text)


def _random_user(data: Dataset) -> int:
    """The token of one whose last item can be held out; of anybody where nobody has so many."""
    able = np.flatnonzero(np.diff(data.offsets) >= LEAST)
    return int(random.choice(able)) if len(able) else random.randrange(data.num_users)


def _open(user: Id) -> None:
    """Show another user, with a window and an explanation of their own."""
    st.session_state[USER] = str(user)
    _begin_anew()


def _change_person() -> None:
    """To nobody and back: who was asked about, and with which window, is there again afterwards."""
    here = {name: st.query_params[name] for name in OF_A_PERSON if name in st.query_params}
    there = st.session_state.pop(BEFORE, {})
    st.session_state[BEFORE] = here
    _begin_anew()
    for name, value in there.items():
        st.query_params[name] = value


def _begin_anew() -> None:
    window_editor.forget()
    st.query_params.pop(WHY, None)


def ask(choice: RecommendChoice) -> ShownUser | None:
    """Ask every model; those that cannot answer are named, with the reason. None where nobody can be asked about."""
    from recformer.recommend.side_by_side import Query

    data, token = choice.data, choice.user_token
    items = window_editor.made_up(data, nobody=choice.user is None)
    question = Query(choice.user, choice.k, choice.masking, items, _why(data), choice.recent)
    try:
        advice, answering, failures = asking.advice(choice.ready, data, question)
    except RecformerError as error:
        st.error(message_of(error), icon=":material/error:")
        st.caption("Open another user, mask less, or pick other models above.")
        return None
    _leave_out(choice.runs, failures)
    models: list[ModelRef] = [one.ref for one in answering]
    labels = labels_of(choice.runs)
    shown = list(dict.fromkeys(model.run for model in models))
    styles = dict(zip(shown, run_styles(choice.runs, shown), strict=True))
    own = None if token is None else tuple(data.item_ids[data.history(token)[:-1][-choice.recent :]].tolist())
    return ShownUser(
        choice,
        advice,
        [model_label(labels, model) for model in models],
        [f"{model.run} · {model.name}" for model in models],
        [styles[model.run].colour for model in models],
        own,
        (own or ()) if items is None else items,
    )


def _why(data: Dataset) -> Id | None:
    """The item that the URL wants explained, None where it says nothing that is there."""
    asked = st.query_params.get(WHY)
    if asked is None:
        return None
    found = id_of(data.item_ids, asked)
    if found is None:
        said = f"No {data.nouns.item} has the id {plain(asked)}, which this link wants explained."
        st.warning(said, icon=":material/link_off:")
    return found


def show_person(shown: ShownUser) -> None:
    """Profile, the item held out, and the input window with what each of its items does."""
    choice, data, token = shown.choice, shown.choice.data, shown.choice.user_token
    if token is None:
        st.markdown("**Nobody in particular** · :gray[the mean over 64 users]")
    else:
        facts = [*_profile(data, token), data.nouns.count(len(data.history(token)))]
        st.markdown(f"**User {plain(str(choice.user))}** · {' · '.join(map(plain, facts))}")
    if shown.advice["target"] is not None:
        held_out = in_markdown(data, shown.advice["target"])
        st.markdown(f"**What came next** :gray[held out]  \n:green[:material/target:] {held_out}")
    window_editor.edit_window(shown)


def _profile(data: Dataset, token: int) -> list[str]:
    """What the user table says of a user: categories as they are, numbers with the name of their column."""
    row = data.user_table.iloc[token : token + 1]
    words = [str(as_text(pd.Series(row[name])).fillna("").iloc[0]) for name in category_columns(row)]
    numbers = [f"{name} {row[name].iloc[0]:g}" for name in number_columns(row) if pd.notna(row[name].iloc[0])]
    return [word for word in words if word.strip()] + numbers


def show_answers(shown: ShownUser) -> None:
    """The lists, what their marks mean, why the chosen item is there, overlap, and what masking changes."""
    items = {item["item_id"] for model in shown.advice["models"] for item in model["items"]}
    show_lists(shown, posters(shown.choice.data, items), _explain)
    st.caption(
        shown.choice.data.nouns.put_into(
            "hit: the held-out {item} · repeat: in the window · seen: earlier in the history · lines join one "
            "{item} in neighbouring lists · %: the model's probability over all {items} · click a card to ask why"
        )
    )
    show_why(shown)
    show_overlap(shown)


def _explain(item: Id) -> None:
    st.query_params[WHY] = str(item)


def show_more(shown: ShownUser) -> None:
    """A file of all users' lists, what masking changes, and the whole history."""
    show_all_lists(shown.choice)
    show_masking(shown)
    if shown.choice.user_token is not None:
        window_editor.show_history(shown, shown.choice.user_token)
