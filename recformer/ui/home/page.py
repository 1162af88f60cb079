"""What Home shows: what is running, what was trained, how the models compare, and what to do first."""

import streamlit as st

from recformer.ui.home import headline
from recformer.ui.home.queue_view import show_machine, show_queue
from recformer.ui.home.run_list_view import READING, read_meanwhile, show_runs
from recformer.ui.home.trash_view import show_bin
from recformer.ui.server import open_to_others
from recformer.ui.shared import readers
from recformer.ui.shared.add_dataset import need_dataset
from recformer.ui.shared.frame import frame, guard
from recformer.ui.shared.run_views import show_damaged
from recformer.ui.shared.words import plain


@st.fragment(run_every=2)
def live() -> None:
    """The machine, and the runs that work or wait.

    When one begins or ends, or all logs have been read, the whole page is drawn anew.
    """
    with guard():
        active = readers.active_runs()
        show_machine()
        show_queue(active)
        if {run.run_id for run in active} != st.session_state["home.active"] or read_meanwhile():
            st.rerun()


def show() -> None:
    """The whole page."""
    with frame("Home"):
        if warning := open_to_others():
            st.warning(plain(warning), icon=":material/lock_open:")
        runs, damaged = readers.runs()
        st.session_state["home.active"] = {run.run_id for run in runs if run.state.active}
        st.session_state[READING] = False  # the table below says it anew
        live()
        need_dataset()
        headline.show([run for run in runs if not run.labels.archived])
        show_runs(runs)
        show_damaged(damaged)
        show_bin()
        headline.first_steps(runs)
