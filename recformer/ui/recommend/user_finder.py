"""Finding a user worth looking at: by who they are, or by what the models do for them. A click on a row opens one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import streamlit as st

from recformer.data.dataset import Dataset
from recformer.errors import RecformerError
from recformer.evaluation.ranks import MAX_K, Masking
from recformer.recommend.find_users import Filter, Order, UserResult, choices, in_order, kept, people, standing
from recformer.run.model_ref import ModelRef
from recformer.ui.home.runs_table import digest
from recformer.ui.shared import readers
from recformer.ui.shared.evaluating import evaluated, usable
from recformer.ui.shared.selection import pick_many, pick_one

if TYPE_CHECKING:
    from recformer.evaluation.table import Evaluation

MOST_ROWS = 1000  # sent to the browser; filters and orders bring the others up
ORDERS: dict[str, str] = {
    "id": "By id",
    "disagree": "The models disagree most",
    "finds": "One finds it, another does not",
    "repeats": "Repeats are worst",
}
PARAMETERS = {"order", "finder", "misser", "gender", "age", "occupation", "shortest", "longest"}
ORDER_HELP = (
    "The models disagree most: least rank-biased overlap between the lists, mean over all pairs of models. "
    "One finds it, another does not: the held-out movie is in the top k of the one and not of the other, furthest "
    "apart first. Repeats are worst: most of the raw top k is in the input window. All on each user's last movie, "
    "held out, under the masking chosen above; lists are compared down to place 20."
)


@dataclass(frozen=True, eq=False)
class Asked:
    """Which models look for users, and how."""

    models: dict[ModelRef, str]
    """With their labels."""
    data: Dataset
    masking: Masking
    k: int


@dataclass(frozen=True, eq=False)
class UserResults:
    """Where every user stands with the models whose ranks are there."""

    models: list[ModelRef]
    """In the order of the standing's columns."""
    standing: UserResult


def find_users(asked: Asked, open_user: Callable[[int], None]) -> None:
    """Filters, an order and a table of users; `open_user` is called with the id of the user whose row is clicked."""
    table = _people(asked.data.fingerprint, asked.data)
    with st.container(border=True):
        order, finder, other = _order(asked)
        shown = kept(table, _filter(table))
        known = user_results(asked.models, asked.data, asked.masking, asked.k, needed=order != "id")
        if order != "id" and known is None:
            return
        places = _places(known, finder, other)
        if order == "finds" and places is None:
            st.info("Pick two models above to see whom one serves better than the other.", icon=":material/info:")
            return
        if order == "disagree" and (known is None or len(known.models) < 2):
            st.info("Pick two models above to see where they disagree.", icon=":material/info:")
            return
        tokens = in_order(shown.index.to_numpy(), order, known.standing if known else None, *(places or (0, 0)))
        _show(asked, table, tokens, known, order, len(shown), open_user)


@st.cache_resource(max_entries=4, show_spinner=False)
def _people(fingerprint: str, _data: Dataset) -> pd.DataFrame:
    return people(_data)


def _order(asked: Asked) -> tuple[Order, str, str]:
    """The order, and the models that find and miss."""
    orders = list(ORDERS) if len(asked.models) > 1 else ["id", "repeats"]
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    order = pick_one(
        left, "Order", orders, "order", key="find.order", show=ORDERS.__getitem__, short=True, help=ORDER_HELP
    )
    if order != "finds":
        return cast("Order", order), "", ""
    labels = {str(model): label for model, label in asked.models.items()}
    finder = pick_one(middle, "Found by", list(labels), "finder", key="find.finder", show=labels.__getitem__)
    others = [name for name in labels if name != finder]
    missed = pick_one(right, "Missed by", others, "misser", key="find.misser", show=labels.__getitem__)
    return cast("Order", order), finder, missed


def _filter(table: pd.DataFrame) -> Filter:
    """Who is listed, kept in the URL. What a dataset does not say of its users cannot be asked for."""
    picked: dict[str, tuple[str, ...]] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for column, label in (("gender", "Gender"), ("age", "Age"), ("occupation", "Occupation")):
            values = choices(table, column)
            with st.container(width=220 if column == "occupation" else 170):
                picked[column] = (
                    tuple(
                        pick_many(
                            label, values, column, key=f"find.{column}", suggested=[], short=True, placeholder="any"
                        )
                    )
                    if len(values) > 1
                    else ()
                )
        shortest = st.number_input(
            "Movies from",
            min_value=0,
            value=0,
            key="shortest",
            bind="query-params",
            width=130,
            help="Fewest movies in a user's history.",
        )
        longest = st.number_input(
            "to",
            min_value=1,
            value=None,
            key="longest",
            bind="query-params",
            width=130,
            placeholder="any",
            help="Most movies in a user's history.",
        )
    limit = None if longest is None else int(longest)
    return Filter(picked["age"], picked["gender"], picked["occupation"], int(shortest), limit)


def _places(known: UserResults | None, finder: str, other: str) -> tuple[int, int] | None:
    names = [] if known is None else list(map(str, known.models))
    return (names.index(finder), names.index(other)) if finder in names and other in names else None


def _show(
    asked: Asked,
    table: pd.DataFrame,
    tokens: "np.ndarray[Any, Any]",
    known: UserResults | None,
    order: Order,
    passed: int,
    open_user: Callable[[int], None],
) -> None:
    if not len(tokens):
        st.info("Nobody fits. Widen the filters, or choose another order.", icon=":material/filter_alt_off:")
        return
    first = tokens[:MOST_ROWS]
    frame, config = frame_of(table, first, known, asked.models, asked.k)
    frame = _sorted_by_first(frame, order)
    ids = [int(user) for user in frame["user_id"]]
    key = f"find.users.{digest(map(str, ids))}"

    def clicked() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells and cells[0][0] < len(ids):
            open_user(ids[cells[0][0]])

    st.dataframe(
        frame,
        key=key,
        height=300 if len(frame) > 7 else "auto",
        hide_index=True,
        placeholder="–",
        on_select=clicked,
        selection_mode="single-cell",
        column_config=config,
    )
    of = f"{passed:,} users" if len(tokens) == passed else f"{len(tokens):,} of {passed:,} users"
    cut = f", the first {MOST_ROWS:,} of them shown" if len(tokens) > MOST_ROWS else ""
    st.caption(f"{of}{cut}. Click a row to open that user.")


def _sorted_by_first(frame: pd.DataFrame, order: Order) -> pd.DataFrame:
    """The columns that the order is about stand right beside the user."""
    about = {"disagree": "overlap", "finds": "rank ", "repeats": "repeats "}.get(order)
    first = [column for column in frame if about and str(column).startswith(about)]
    rest = [column for column in frame if column not in ("user_id", *first)]
    return frame.reindex(columns=["user_id", *first, *rest])


def frame_of(
    table: pd.DataFrame, tokens: "np.ndarray[Any, Any]", known: UserResults | None, labels: dict[ModelRef, str], k: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows that are shown, and how each column is; models' columns only where their ranks are there."""
    frame = table.iloc[tokens].drop(columns=[c for c in ("gender", "age", "occupation") if not choices(table, c)])
    number = st.column_config.NumberColumn
    config: dict[str, Any] = {
        "user_id": number("User", format="%d", width="small"),
        "gender": "Gender",
        "age": "Age",
        "occupation": "Occupation",
        "movies": number("Movies", format="%d", width="small", help="In the whole history."),
    }
    if known is None:
        return frame, config
    depth, found = min(k, MAX_K), known.standing
    if len(known.models) > 1:
        frame = frame.assign(overlap=found.overlap[tokens])
        config["overlap"] = number(
            "RBO",
            format="%.2f",
            width="small",
            help=f"Rank-biased overlap of the lists down to place {depth}: 1 alike, 0 nothing shared.",
        )
    for place, name in enumerate(known.models):
        frame = frame.assign(**{f"rank {name}": found.ranks[tokens, place]})
        config[f"rank {name}"] = number(
            f"Rank · {labels[name]}", format="%d", help="Of the held-out movie, under the masking chosen."
        )
    for place, name in enumerate(known.models):
        frame = frame.assign(**{f"repeats {name}": found.repeats[tokens, place]})
        config[f"repeats {name}"] = number(
            f"Repeats · {labels[name]}", format="%d", help=f"Movies of the input window in the raw top {depth}."
        )
    return frame, config


def user_results(
    models: dict[ModelRef, str], data: Dataset, masking: Masking, k: int, *, needed: bool
) -> UserResults | None:
    """UserResults of the models (with their labels), under leave_last_out's test part.

    None where no ranks are stored; where they are `needed`, the missing ones are computed in the background first, and
    None says that the page tells how far that is.
    """
    entries = readers.pending(list(models), data, "leave_last_out")
    if needed:
        able = usable(entries, models.__getitem__)
        there = evaluated(able, models.__getitem__)
    else:
        able = {model: entry for model, entry in entries.items() if not isinstance(entry, RecformerError)}
        there = {model: found for model, entry in able.items() if (found := readers.stored(entry)) is not None}
    if not there:
        return None
    keys = tuple(able[model].key for model in there)
    return UserResults(list(there), _standing(keys, masking, k, list(there.values()), data))


@st.cache_resource(max_entries=8, show_spinner=False)
def _standing(
    keys: tuple[str, ...], masking: Masking, k: int, _evaluations: "list[Evaluation]", _data: Dataset
) -> UserResult:
    return standing([evaluation.ranks for evaluation in _evaluations], _data.num_users, masking, k)
