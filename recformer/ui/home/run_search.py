"""What narrows Home's table of runs, kept in the URL: a search, states, tags; and what shapes it: groups, columns."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.errors import UsageError
from recformer.run.search import STATES, picked
from recformer.ui.home.run_groups import group_keys
from recformer.ui.home.runs_table import USUAL, Row, column_label, column_names
from recformer.ui.shared.selection import pick_many, pick_one
from recformer.ui.shared.words import told

FEW = 8  # so many runs are seen at a glance
PARAMETERS = ("search", "state", "tag", "group")
HELP = """All that you write must hold.

- `penalty "two words"`: in the name, id, note or tags
- `state:running` `tag:article`
- `batch_size=512` `penalty>0` `model.repeat_bias=true`: a setting; the end of its name is enough
- `ndcg@10>=0.05`: a figure at the run's best epoch

`=` `!=` `>` `>=` `<` `<=`; a minus turns a term round: `-tag:old`."""


def narrowed(rows: list[Row], shown: list[Row]) -> list[Row]:
    """Those of the rows `shown` that the widgets ask for; with few runs there are no widgets, unless a link names one.

    `rows` are all runs: a setting that only an archived one has is known all the same.
    """
    if not _worth_it(rows):
        return shown
    search, by_state, by_tag = st.columns([3, 1.2, 1.2])  # one below the other on a phone
    with search:
        wanted = _searched(rows)
    with by_state:
        states = _any_of("State", list(STATES), "state")
    with by_tag:
        tags = _any_of("Tags", sorted({tag for row in rows for tag in row.run.labels.tags}), "tag")
    found = [
        row
        for row in shown
        if row.run.run_id in wanted
        and (not states or row.run.state.name in states)
        and (not tags or not set(tags).isdisjoint(row.run.labels.tags))
    ]
    if len(found) < len(shown):
        st.caption(f"{len(found)} of {len(shown)} runs")
    return found


def _worth_it(rows: list[Row]) -> bool:
    return len(rows) >= FEW or any(name in st.query_params for name in PARAMETERS)


def _any_of(label: str, options: list[str], name: str) -> list[str]:
    return pick_many(label, options, name, key=f"home.{name}", suggested=[], short=True, placeholder="All")


def _searched(rows: list[Row]) -> set[str]:
    """Ids of the runs that the search box asks for; all of them where what it says is no search."""
    query = st.text_input(
        "Search",
        key="search",
        bind="query-params",
        icon=":material/search:",
        placeholder="words, state:running, penalty>0, ndcg@10>=0.05",
        help=HELP,
    )
    try:
        hits = picked(query, [row.entry for row in rows])
    except UsageError as error:
        st.error(f"{told(error)}. Until then nothing is searched for.")
        hits = [True] * len(rows)
    return {row.run.run_id for row, hit in zip(rows, hits, strict=True) if hit}


def shape(place: DeltaGenerator, rows: list[Row], found: list[Row]) -> tuple[str, list[str]]:
    """The setting to group by ("" for none) and the columns, chosen in a menu in `place`."""
    with place.popover("View", icon=":material/view_column:", type="tertiary", help="Columns and groups."):
        group = _group_by(rows, found) if _worth_it(rows) else ""
        columns = pick_many(
            "Columns",
            column_names(rows),
            "columns",
            key="home.columns",
            suggested=USUAL,
            show=column_label,
            short=True,
            help="Each setting and each figure that a run has logged may be one. They stand in the order of choice.",
        )
    return group, columns


def _group_by(rows: list[Row], found: list[Row]) -> str:
    """A setting that differs among the runs found, or the one that was chosen before they were narrowed."""
    known = set(group_keys(rows))
    chosen = [key for key in (st.session_state.get("home.group"), *st.query_params.get_all("group")) if key in known]
    return pick_one(
        st.container(),
        "Group by",
        ["", *sorted({*group_keys(found), *map(str, chosen)})],
        "group",
        key="home.group",
        show=lambda key: key or "Nothing",
        short=True,
        help="A setting whose values differ among these runs.",
    )
