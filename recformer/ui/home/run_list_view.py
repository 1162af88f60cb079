"""Home's table of runs, and what can be done with the one that is ticked."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.run.overview import RunSummary
from recformer.ui.home.log_figures import run_figures
from recformer.ui.home.queue_view import edit_settings
from recformer.ui.home.run_groups import show_groups
from recformer.ui.home.run_search import narrowed, shape
from recformer.ui.home.runs_table import Row, rows_of, runs_table
from recformer.ui.shared.run_actions import run_actions
from recformer.ui.shared.words import plain

READING = "home.reading"  # whether logs were still to be read when the table was drawn


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
        st.caption(f":material/hourglass_top: The logs of {to_read:,} runs are still being read; their curves follow.")
    found = narrowed(rows, shown)
    group, columns = shape(menu, rows, found)
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
