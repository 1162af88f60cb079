"""What a person had: the input window, what becomes of the recommendations when somebody edits it, and the history.

The window that was made up is in the URL (`items`: item ids, oldest first), and only there: a link shows the same.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.column_config import CheckboxColumn, NumberColumn, TextColumn

from recformer.data.categories import category_columns
from recformer.data.dataset import Dataset, Id
from recformer.data.nouns import Nouns
from recformer.evaluation.ranks import MOST_RECENT
from recformer.recommend.window_edits import Items, added, moved, read, removed, search, written
from recformer.ui.recommend.asking import ShownUser
from recformer.ui.recommend.item_words import about
from recformer.ui.shared.columns import column_of
from recformer.ui.shared.palette import chips
from recformer.ui.shared.words import plain

PARAMETER = "items"
STYLE = Path(__file__).with_name("window_editor.css")
ADD_HELP = (
    "Puts the {item} last, as the latest one. The held-out {item} is then no "
    "longer what came next, so there are no hits and no ranks of it."
)
NOBODY_HELP = (
    "What models expect of somebody who has had these {items}, oldest first, and of whom nothing else is known. "
    "Models know each user by a vector of their own; for nobody, the mean over 64 users spread evenly over the dataset "
    "is taken."
)
WHY_HELP = (
    "Each of these {items} is left out in turn, and the model is asked again: it then reads an older {item} instead, "
    "or an empty place. A bar to the right: with that {item} the recommendation is likelier than without it. "
    "Click a card above to ask about another {item}."
)
Change = Callable[[Items], None]


def made_up(data: Dataset, *, nobody: bool) -> Items | None:
    """The latest items that the URL asks for, with a warning where it is not whole; None where it is the user's own."""
    if PARAMETER not in st.query_params:
        return () if nobody else None
    items, unknown = read(st.query_params[PARAMETER], data.item_ids)
    problems = [f"no {data.nouns.item} has the id {', '.join(unknown)}"] if unknown else []
    if len(items) > MOST_RECENT:
        problems.append(f"{data.nouns.count(len(items))} are too many, so the latest {MOST_RECENT} are kept")
    for problem in problems:
        st.warning(f"In this link's window {plain(problem)}.", icon=":material/link_off:")
    return items[-MOST_RECENT:]


def forget() -> None:
    """Let the window be the user's own again."""
    st.query_params.pop(PARAMETER, None)


def edit_window(shown: ShownUser) -> None:
    """The window's items, latest first, each with its part in the recommendation that is explained."""
    nouns = shown.choice.data.nouns
    own, items = shown.own, shown.latest
    edited = own is not None and items != own
    order = "made up, latest first" if edited or own is None else "latest first"
    help_text = (
        nouns.put_into(NOBODY_HELP)
        if own is None
        else f"The latest {nouns.items} before the held-out one. A model reads these, or fewer, or older ones too."
    )
    st.markdown(f"**Input window** :gray[{order}]", help=help_text)
    if items:
        st.caption(f"What each does for **{plain(shown.advice['why']['title'])}**", help=nouns.put_into(WHY_HELP))

    def change(items: Items) -> None:
        """Keep an edited window in the URL; the user's own goes without saying."""
        if items == (own or ()):
            forget()
        else:
            st.query_params[PARAMETER] = written(items)

    titles = _titles(shown.choice.data.fingerprint, shown.choice.data)
    _add(titles, items, change, nouns)
    st.html(STYLE)
    for place in range(len(items) - 1, -1, -1):
        _show_item(shown, place, titles[items[place]], change)
    st.caption(_before_these(shown))
    undo = partial(st.button, icon=":material/undo:", on_click=forget)
    if edited:
        undo("Back to the user's own", key="window.reset", help=f"Shows the held-out {nouns.item} and the ranks again.")
    elif own is None and items:
        undo("Begin again", key="window.clear")


def _before_these(shown: ShownUser) -> str:
    """What models know beside the items that can be edited, and how many each reads."""
    nouns, token = shown.choice.data.nouns, shown.choice.user_token
    older = 0 if token is None else max(len(shown.choice.data.history(token)) - 1 - shown.choice.recent, 0)
    lengths = sorted({one.length for one in shown.choice.ready if one.length})
    if not lengths:
        return "Lists made elsewhere do not change with these."
    reads = f"The models read the latest {' or '.join(map(str, lengths))}"
    if older:
        return f"{reads}; before these come {nouns.count(older)}."
    if shown.latest:
        return f"{reads}; before these, nothing is known (SOS)."
    return f"Nothing yet: the models know only where a history begins (SOS). Add {nouns.an_item} above."


def _add(titles: dict[Id, str], items: Items, change: Change, nouns: Nouns) -> None:
    def add() -> None:
        item = st.session_state["window.add"]
        st.session_state["window.add"] = None
        if item is not None:
            change(added(items, item))

    st.selectbox(
        f"Add {nouns.an_item}",
        list(titles),
        index=None,
        key="window.add",
        format_func=titles.__getitem__,
        on_change=add,
        placeholder="What if they had … (type a title)",
        help=nouns.put_into(ADD_HELP),
        label_visibility="collapsed",
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _titles(fingerprint: str, _data: Dataset) -> dict[Id, str]:
    """Item id to a title that no other item has, in the order of the alphabet."""
    names = _data.titles
    if "year" in _data.item_table:
        year = _data.item_table["year"].astype("str")
        names = (names + " (" + year + ")").where(year.notna(), names)
    found = {
        item: f"{name} · {item}" if twice else name
        for item, name, twice in zip(_data.item_ids.tolist(), names, names.duplicated(keep=False), strict=True)
    }
    return dict(sorted(found.items(), key=lambda entry: entry[1].casefold()))


def _show_item(shown: ShownUser, place: int, title: str, change: Change) -> None:
    data, items = shown.choice.data, shown.latest
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            with st.container(width="stretch", gap=None):
                _, _, categories = about(data, items[place])
                st.markdown(f"{plain(title)}  \n{chips(categories)}")
            edits = [
                ("later", "Later", "arrow_upward", moved(items, place, 1)),
                ("earlier", "Earlier", "arrow_downward", moved(items, place, -1)),
                ("remove", "Leave out", "close", removed(items, place)),
            ]
            with st.container(horizontal=True, gap="xsmall", width="content"):  # beside one another, however narrow
                for key, words, icon, after in edits:
                    st.button(
                        f"{words}: {plain(title)}",
                        key=f"window.{key}.{place}",
                        icon=f":material/{icon}:",
                        type="tertiary",
                        disabled=after == items,
                        help=f"{words}: {plain(title)}",
                        on_click=change,
                        args=(after,),
                    )
        if bars := _bars(shown, place):
            st.html(bars)


def _bars(shown: ShownUser, place: int) -> str:
    """Markup of one bar a model for the window's item at `place`; window_editor.css is its style."""
    whys = [model["why"] for model in shown.advice["models"]]
    longest = max((abs(reason["lift"]) for why in whys if why for reason in why["reasons"]), default=0.0) or 1.0
    bars = zip(shown.names, whys, shown.colours, strict=True)
    return "".join(_bar(name, why, why["reasons"][place], colour, longest) for name, why, colour in bars if why)


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
    """What an item does to another's probability, as a factor: "×2.0", "÷1.5"."""
    factor = math.exp(abs(lift))
    if factor < 1.005:
        return "×1"
    shown = f"{factor:.2f}" if factor < 1.1 else f"{factor:.2g}" if factor < 10 else f"{factor:,.0f}"
    return f"{'×' if lift > 0 else '÷'}{shown}"


def show_history(shown: ShownUser, user_token: int) -> None:
    """The items before the held-out one, latest first; a search box finds them by title or category."""
    data = shown.choice.data
    begin, end = int(data.offsets[user_token]), int(data.offsets[user_token + 1]) - 1
    tokens = data.items[begin:end][::-1]
    rows = data.item_table.iloc[tokens].assign(title=data.titles.iloc[tokens])
    frame = rows[["title", *({"year"} & set(rows)), *category_columns(rows)]].reset_index(drop=True)
    if data.ratings is not None:
        frame["rating"] = data.ratings[begin:end][::-1]
    frame.insert(0, "input", rows["item_id"].isin(shown.latest).to_numpy())
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    left.markdown(f"**History** :gray[{data.nouns.count(len(frame))} before the held-out one, latest first]")
    text = right.text_input(
        "Search the history",
        key="history",
        bind="query-params",
        placeholder="Search",
        label_visibility="collapsed",
        icon=":material/search:",
    )
    if text:
        frame = frame[search(frame, text)]
        st.caption(f"{len(frame)} with “{text}”".replace("$", "\\$"))
    st.dataframe(
        frame,
        key="recommend.history",
        hide_index=True,
        height=300 if len(frame) > 7 else "auto",
        column_config={
            "input": CheckboxColumn("Input", help="Among the latest, which are the window", width="small"),
            "title": TextColumn(data.nouns.head, width="large"),
            "year": NumberColumn("Year", format="%d", width="small"),
            **{name: column_of(frame, name) for name in category_columns(frame)},
            "rating": NumberColumn("Rating", format="%g", width="small", help="That the user gave."),
        },
    )
