"""Home's table of runs, and what can be done with the one that is ticked."""

import streamlit as st

from recformer.jobs.overview import RunSummary
from recformer.ui.queue_view import edit_settings
from recformer.ui.run_actions import run_actions
from recformer.ui.run_views import runs_table
from recformer.ui.words import plain


def show_runs(runs: list[RunSummary]) -> None:
    """All runs but the archived ones, which a switch brings in."""
    if not runs:
        return
    archived = sum(run.labels.archived for run in runs)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("#### Runs", width="content")
        everything = bool(archived) and st.toggle(
            f"Show {archived} archived", key="archived", bind="query-params", help="Runs that you put aside."
        )
        if st.button(
            "Settings", icon=":material/settings:", type="tertiary", key="settings.open", help="Runs at once; stopping."
        ):
            edit_settings()
    shown = [run for run in runs if everything or not run.labels.archived]
    if not shown:
        st.caption("All runs are archived.")
        return
    for run in runs_table(shown):
        st.markdown(f"**{plain(run.name)}** · {plain(run.state.words)}")
        if run.labels.note:
            st.markdown(f":gray[{plain(run.labels.note)}]")
        run_actions(run)
