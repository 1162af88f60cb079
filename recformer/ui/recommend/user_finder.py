"""Finding a user worth looking at: by who they are, or by what the models do for them. A click on a row opens one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from streamlit.column_config import NumberColumn, TextColumn

from recformer.data.categories import categories_of, category_columns
from recformer.data.dataset import Dataset, Id
from recformer.data.nouns import Nouns
from recformer.errors import RecformerError, count
from recformer.evaluation.ranks import MAX_K, Masking
from recformer.recommend.find_users import HISTORY, Filter, Order, UserResult, choices, in_order, kept, people, standing
from recformer.run.model_ref import ModelRef
from recformer.ui.home.runs_table import digest
from recformer.ui.shared.columns import column_of, heading
from recformer.ui.shared.evaluating import already_stored, evaluated, pending, usable
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
PARAMETERS = {"order", "finder", "misser", "shortest", "longest"}
SHORT = ("gender", "age", "occupation")  # columns whose filters are called by their name alone in an address
OF_USERS = "users."  # before those of others: no column is taken for a parameter of the page
ORDER_HELP = (
    "The models disagree most: least rank-biased overlap between the lists, mean over all pairs of models. "
    "One finds it, another does not: the held-out {item} is in the top k of the one and not of the other, furthest "
    "apart first. Repeats are worst: most of the raw top k is in the input window. All on each user's last {item}, "
    "held out, under the masking chosen above; lists are compared down to place 20."
)
Labels = dict[ModelRef, str]
Found = tuple[list[ModelRef], UserResult]
"""Models whose ranks are there, in the order of the columns of what they do for each user."""


def find_users(
    labels: Labels, data: Dataset, masking: Masking, k: int, recent: int, open_user: Callable[[Id], None]
) -> None:
    """Filters, an order and a table of users; `open_user` is called with the id of the user whose row is clicked.

    `labels` names the models that are asked about.
    """
    table = _people(data.fingerprint, data)
    with st.container(border=True):
        order, finder, other = _order(labels, data.nouns)
        shown = kept(table, _filter(table, data.nouns))
        found = _results(labels, data, masking, k, recent, needed=order != "id")
        if order != "id" and found is None:
            return
        names = [] if found is None else list(map(str, found[0]))
        places = [names.index(name) for name in (finder, other) if name in names]
        if order == "finds" and len(places) < 2:
            st.info("Pick two models above to see whom one serves better than the other.", icon=":material/info:")
            return
        if order == "disagree" and len(names) < 2:
            st.info("Pick two models above to see where they disagree.", icon=":material/info:")
            return
        tokens = in_order(shown.index.to_numpy(), order, found[1] if found else None, *places)
        frame, config = frame_of(table, tokens[:MOST_ROWS], found, labels, k, data.nouns)
        _show(_sorted_by_first(frame, order), config, len(tokens), len(shown), open_user)


@st.cache_resource(max_entries=4, show_spinner=False)
def _people(fingerprint: str, _data: Dataset) -> pd.DataFrame:
    return people(_data)


def _order(models: Labels, nouns: Nouns) -> tuple[Order, str, str]:
    """The order, and the models that find and miss."""
    orders = list(ORDERS) if len(models) > 1 else ["id", "repeats"]
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    order = pick_one(
        left,
        "Order",
        orders,
        "order",
        key="find.order",
        show=ORDERS.__getitem__,
        short=True,
        help=nouns.put_into(ORDER_HELP),
    )
    if order != "finds":
        return cast("Order", order), "", ""
    labels = {str(model): label for model, label in models.items()}
    finder = pick_one(middle, "Found by", list(labels), "finder", key="find.finder", show=labels.__getitem__)
    others = [name for name in labels if name != finder]
    missed = pick_one(right, "Missed by", others, "misser", key="find.misser", show=labels.__getitem__)
    return cast("Order", order), finder, missed


def is_filter(name: str) -> bool:
    """Whether a parameter of an address is a filter by a column of the users."""
    return name in SHORT or name.startswith(OF_USERS)


def _filter(table: pd.DataFrame, nouns: Nouns) -> Filter:
    """Who is listed, kept in the URL. What a dataset does not say of its users cannot be asked for."""

    def among(name: str, values: list[str]) -> list[str]:
        parameter = name if name in SHORT else f"{OF_USERS}{name}"
        with st.container(width=190):
            key = f"find.{name}"
            return pick_many(heading(name), values, parameter, key=key, suggested=[], short=True, placeholder="any")

    def length(label: str, name: str, help_text: str, **more: Any) -> int | None:
        return st.number_input(label, key=name, bind="query-params", width=130, help=help_text, **more)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        columns = {name: choices(table, name) for name in category_columns(table)}
        wanted = {name: among(name, values) for name, values in columns.items() if len(values) > 1}
        fewest, most = (f"{which} {nouns.items} in a user's history." for which in ("Fewest", "Most"))
        shortest = length(f"{nouns.heads} from", "shortest", fewest, min_value=0, value=0)
        longest = length("to", "longest", most, min_value=1, value=None, placeholder="any")
    return Filter(wanted, shortest or 0, longest)


def _show(
    frame: pd.DataFrame, config: dict[str, Any], ordered: int, passed: int, open_user: Callable[[Id], None]
) -> None:
    """The first of the `ordered` users that an order says something about, of those that `passed` the filters."""
    if not ordered:
        st.info("Nobody fits. Widen the filters, or choose another order.", icon=":material/filter_alt_off:")
        return
    ids: list[Id] = frame["user_id"].tolist()
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
    of = count(passed, "user") if ordered == passed else f"{ordered:,} of {count(passed, 'user')}"
    cut = f", the first {MOST_ROWS:,} of them shown" if ordered > MOST_ROWS else ""
    st.caption(f"{of}{cut}. Click a row to open that user.")


def _sorted_by_first(frame: pd.DataFrame, order: Order) -> pd.DataFrame:
    """The columns that the order is about stand right beside the user."""
    about = {"disagree": "overlap", "finds": "rank ", "repeats": "repeats "}.get(order)
    first = [column for column in frame if about and str(column).startswith(about)]
    rest = [column for column in frame if column not in ("user_id", *first)]
    return frame.reindex(columns=["user_id", *first, *rest])


def frame_of(
    table: pd.DataFrame, tokens: NDArray[np.int64], found: Found | None, labels: Labels, k: int, nouns: Nouns
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows that are shown, and how each column is; models' columns only where their ranks are there."""
    silent = [name for name in category_columns(table) if not categories_of(pd.Series(table[name])).names]
    frame = table.iloc[tokens].drop(columns=silent)
    number = frame["user_id"].dtype == np.int64
    config: dict[str, Any] = {name: column_of(frame, name) for name in frame} | {
        "user_id": NumberColumn("User", format="%d", width="small") if number else TextColumn("User"),
        HISTORY: NumberColumn(nouns.heads, format="%d", width="small", help="In the whole history."),
    }
    if found is None:
        return frame, config
    (models, results), depth = found, min(k, MAX_K)
    if len(models) > 1:
        frame = frame.assign(overlap=results.overlap[tokens])
        overlap = f"Rank-biased overlap of the lists down to place {depth}: 1 alike, 0 nothing shared."
        config["overlap"] = NumberColumn("RBO", format="%.2f", width="small", help=overlap)
    for kind, values, meaning in (
        ("rank", results.ranks, f"Of the held-out {nouns.item}, under the masking chosen."),
        ("repeats", results.repeats, f"{nouns.heads} of the window in the raw top {depth}."),
    ):
        for place, model in enumerate(models):
            shown = np.where(np.isinf(values[tokens, place]), np.nan, values[tokens, place])  # in no list: no rank
            frame = frame.assign(**{f"{kind} {model}": shown})
            label = f"{kind.capitalize()} · {labels[model]}"
            config[f"{kind} {model}"] = NumberColumn(label, format="%d", help=meaning)
    return frame, config


def _results(labels: Labels, data: Dataset, masking: Masking, k: int, recent: int, *, needed: bool) -> Found | None:
    """What the models do for each user, under leave_last_out's test part: the page shows what they recommend before the
    user's last item, and that is its case.

    None where no ranks are stored; where they are `needed`, the missing ones are computed in the background first, and
    None means that the page shows how far that is.
    """
    entries = pending(list(labels), data, "leave_last_out", "test", recent)
    if needed:
        able = usable(entries, labels.__getitem__)
        there = evaluated(able, labels.__getitem__)
    else:
        able = {model: entry for model, entry in entries.items() if not isinstance(entry, RecformerError)}
        there = already_stored(able)
    if not there:
        return None
    keys = tuple(able[model].key for model in there)
    return list(there), _standing(keys, masking, k, list(there.values()), data)


@st.cache_resource(max_entries=8, show_spinner=False)
def _standing(
    keys: tuple[str, ...], masking: Masking, k: int, _evaluations: "list[Evaluation]", _data: Dataset
) -> UserResult:
    return standing([evaluation.ranks for evaluation in _evaluations], _data.num_users, masking, k)
