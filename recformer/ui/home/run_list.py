"""Home's list of runs: what narrows it (a search, states, tags) and shapes it (groups, columns), kept in the URL; the
table; and what can be done with the run that is ticked."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.errors import UsageError, count
from recformer.run.overview import RunSummary
from recformer.run.search import STATES, picked
from recformer.ui.home.log_figures import run_figures
from recformer.ui.home.queue_view import edit_settings
from recformer.ui.home.run_groups import group_keys, show_groups
from recformer.ui.home.runs_table import USUAL, Row, column_label, column_names, rows_of, runs_table
from recformer.ui.shared.run_actions import run_actions
from recformer.ui.shared.selection import pick_many, pick_one
from recformer.ui.shared.words import message_of, plain

READING = "home.reading"  # whether logs were still to be read when the table was drawn
FEW = 8  # so many runs are seen at a glance
PARAMETERS = ("search", "state", "tag", "group")
HELP = """All that you write must hold.

- `penalty "two words"`: in the name, id, note or tags
- `state:running` `tag:article`
- `batch_size=512` `penalty>0` `model.repeat_bias=true`: a setting; the end of its name is enough
- `ndcg@10>=0.05`: a figure at the run's best epoch

`=` `!=` `>` `>=` `<` `<=`; a minus turns a term round: `-tag:old`."""


def read_meanwhile() -> bool:
    """Whether all logs have been read since the table was drawn without some of them."""
    return bool(st.session_state.get(READING)) and not run_figures().busy()


def show_runs(runs: list[RunSummary]) -> None:
    """All runs but the archived ones, which a switch brings in, and of them those that are searched for."""
    if not runs:
        return
    figures, to_read = run_figures().of(runs)
    st.session_state[READING] = to_read > 0
    rows = rows_of(runs, figures)
    menu, everything = _header(sum(run.labels.archived for run in runs))
    shown = [row for row in rows if everything or not row.run.labels.archived]
    if not shown:
        st.caption("All runs are archived.")
        return
    if to_read:
        st.caption(
            f":material/hourglass_top: The logs of {count(to_read, 'run')} are still being read; their curves follow."
        )
    # With few runs there is nothing to search, unless a link does.
    many = len(rows) >= FEW or any(name in st.query_params for name in PARAMETERS)
    found = _narrowed(rows, shown) if many else shown
    with menu.popover("View", icon=":material/view_column:", type="tertiary", help="Columns and groups."):
        group = _group_by(rows, found) if many else ""
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
    if found:
        _table(found, group, columns)
    else:
        st.info("No run is what you ask for. Take away a word, a state or a tag.", icon=":material/search_off:")


def _header(archived: int) -> tuple[DeltaGenerator, bool]:
    """The title with its switches; returns the place for the table's menu, and whether archived runs are shown."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("#### Runs", width="content")
        everything = bool(archived) and st.toggle(
            f"Show {archived} archived", key="archived", bind="query-params", help="Runs that you put aside."
        )
        menu = st.container(width="content")
        if st.button(
            "Settings", icon=":material/settings:", type="tertiary", key="settings.open", help="Runs at once; stopping."
        ):
            edit_settings()
    return menu, everything


def _narrowed(rows: list[Row], shown: list[Row]) -> list[Row]:
    """Those of the rows `shown` that the widgets ask for.

    `rows` are all runs: a setting that only an archived one has is known all the same.
    """
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
        st.caption(f"{len(found)} of {count(len(shown), 'run')}")
    return found


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
        st.error(f"{message_of(error)}. Until then nothing is searched for.")
        hits = [True] * len(rows)
    return {row.run.run_id for row, hit in zip(rows, hits, strict=True) if hit}


def _group_by(rows: list[Row], found: list[Row]) -> str:
    """A setting that differs among the runs found, or the one chosen before they were narrowed; "" for none."""
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


def _table(found: list[Row], group: str, columns: list[str]) -> None:
    if group:
        found = show_groups(found, group)
        columns = [group, *(name for name in columns if name != group)]
    if "fault" not in columns and any(row.figures.fault for row in found):
        columns = [*columns[:1], "fault", *columns[1:]]  # beside the state, which may say that all went well
    for run in runs_table(found, columns):
        st.markdown(f"**{plain(run.name)}** · {plain(run.state.words)}")
        if run.labels.note:
            st.markdown(f":gray[{plain(run.labels.note)}]")
        run_actions(run)
    st.caption(
        "Figures are those of each run's best epoch, on the validation part, history masked; the last ones of a log "
        "with neither NDCG@10 nor a loss. Tick a run to see what can be done with it."
    )
