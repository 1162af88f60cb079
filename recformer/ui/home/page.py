"""Home: what is running, what was trained, how the models compare, what was deleted, and what to do first."""

import time

import streamlit as st

from recformer.errors import count
from recformer.run import trash
from recformer.run.overview import RunSummary, active_runs
from recformer.ui.home import headline
from recformer.ui.home.queue_view import show_machine, show_queue
from recformer.ui.home.run_list import READING, read_meanwhile, show_runs
from recformer.ui.server import open_to_others
from recformer.ui.shared import readers
from recformer.ui.shared.add_dataset import need_dataset
from recformer.ui.shared.frame import frame, guard
from recformer.ui.shared.run_views import show_damaged
from recformer.ui.shared.words import duration, memory, plain


def show() -> None:
    """The whole page."""
    with frame("Home"):
        if warning := open_to_others():
            st.warning(plain(warning), icon=":material/lock_open:")
        runs, damaged = readers.runs()
        st.session_state["home.active"] = {run.run_id for run in runs if run.state.active}
        st.session_state[READING] = False  # the table below says it anew
        _live()
        need_dataset()
        headline.show([run for run in runs if not run.labels.archived])
        show_runs(runs)
        show_damaged(damaged)
        _show_bin()
        _first_steps(runs)


@st.fragment(run_every=2)
def _live() -> None:
    """The machine, and the runs that work or wait.

    When one begins or ends, or all logs have been read, the whole page is drawn anew.
    """
    with guard():
        active = active_runs(readers.root())
        show_machine()
        show_queue(active)
        if {run.run_id for run in active} != st.session_state["home.active"] or read_meanwhile():
            st.rerun()


def _show_bin() -> None:
    """Deleted runs, to restore or to remove for good; nothing where there are none."""
    entries = trash.discarded(readers.root())
    if not entries:
        return
    runs, size = count(len(entries), "run"), memory(sum(entry.bytes for entry in entries))
    with st.expander(f"Bin · {runs}, {size}", icon=":material/delete:", key="bin", on_change="rerun"):
        for entry in entries:
            _show_deleted(entry)
        if st.button("Empty the bin …", icon=":material/delete_forever:", key="bin.empty"):
            _empty(runs, size)


def _show_deleted(entry: trash.Discarded) -> None:
    words, button = st.columns([5, 1], vertical_alignment="center")
    ago = duration(max(time.time() - entry.discarded_at, 0))
    words.markdown(f"**{plain(entry.name)}** :gray[:small[{entry.run_id} · {memory(entry.bytes)} · deleted {ago} ago]]")
    if button.button("Restore", icon=":material/restore_from_trash:", key=f"restore.{entry.entry}"):
        run_id = trash.restore(readers.root(), entry.entry)
        under = "" if run_id == entry.run_id else f" as {run_id}: its id is taken now"
        st.toast(f"{plain(entry.name)} is back{under}.", icon=":material/restore_from_trash:")
        st.rerun()


@st.dialog("Empty the bin?", icon=":material/delete_forever:")
def _empty(runs: str, size: str) -> None:
    with guard():
        st.markdown(f"{runs} with all checkpoints and logs ({size}) will be gone for good. This cannot be undone.")
        with st.container(horizontal=True):
            if st.button("Remove for good", type="primary", icon=":material/delete_forever:", key="bin.empty.yes"):
                trash.empty(readers.root())
                st.rerun()
            if st.button("Keep them", key="bin.empty.no"):
                st.rerun()


def _first_steps(runs: list[RunSummary]) -> None:
    """What to do next, as long as there are few runs of one's own."""
    if len(runs) > 5:
        return
    st.markdown("#### First steps")
    with st.container(horizontal=True):
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
        st.page_link("pages/compare.py", label="Compare the demo runs", icon=":material/bar_chart:")
        st.page_link("pages/recommend.py", label="See a user's lists", icon=":material/recommend:")
        st.page_link("pages/data.py", label="Look at the data", icon=":material/database:")
