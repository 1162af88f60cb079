"""Home: what is running, what was trained, how the models compare, and what to do first."""

import streamlit as st

from recformer.ui import headline, readers
from recformer.ui.fetching import need_dataset
from recformer.ui.frame import frame, guard
from recformer.ui.run_views import progress_card, run_links, runs_table, show_damaged


@st.fragment(run_every=2)
def live() -> None:
    """Runs that wait or work; when one begins or ends, the whole page is drawn anew."""
    with guard():
        active = [run for run in readers.runs()[0] if run.state.active]
        for run in active:
            progress_card(run)
        if {run.run_id for run in active} != st.session_state["home.active"]:
            st.rerun()


with frame("Home"):
    runs, damaged = readers.runs()
    st.session_state["home.active"] = {run.run_id for run in runs if run.state.active}
    if st.session_state["home.active"]:
        live()
    need_dataset()
    headline.show(runs)
    if runs:
        st.markdown("#### Runs")
        for chosen in runs_table(runs):
            run_links(chosen)
    show_damaged(damaged)
    headline.first_steps(runs)
