"""The bin, at the foot of Home: deleted runs, to restore or to remove for good."""

import time

import streamlit as st

from recformer.run import trash as run_bin
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard
from recformer.ui.shared.words import duration, memory, plain


def show_bin() -> None:
    """Nothing where the bin is empty."""
    entries = run_bin.discarded(readers.root())
    if not entries:
        return
    size = memory(sum(entry.bytes for entry in entries))
    count = "1 run" if len(entries) == 1 else f"{len(entries)} runs"
    with st.expander(f"Bin · {count}, {size}", icon=":material/delete:", key="bin", on_change="rerun"):
        for entry in entries:
            _entry(entry)
        if st.button("Empty the bin …", icon=":material/delete_forever:", key="bin.empty"):
            _empty(len(entries), size)


def _entry(entry: run_bin.Discarded) -> None:
    words, button = st.columns([5, 1], vertical_alignment="center")
    ago = duration(max(time.time() - entry.discarded_at, 0))
    words.markdown(f"**{plain(entry.name)}** :gray[:small[{entry.run_id} · {memory(entry.bytes)} · deleted {ago} ago]]")
    if button.button("Restore", icon=":material/restore_from_trash:", key=f"restore.{entry.entry}"):
        run_id = run_bin.restore(readers.root(), entry.entry)
        under = "" if run_id == entry.run_id else f" as {run_id}: its id is taken now"
        st.toast(f"{plain(entry.name)} is back{under}.", icon=":material/restore_from_trash:")
        st.rerun()


@st.dialog("Empty the bin?", icon=":material/delete_forever:")
def _empty(count: int, size: str) -> None:
    with guard():
        words = "1 run" if count == 1 else f"{count} runs"
        st.markdown(f"{words} with all checkpoints and logs ({size}) will be gone for good. This cannot be undone.")
        with st.container(horizontal=True):
            if st.button("Remove for good", type="primary", icon=":material/delete_forever:", key="bin.empty.yes"):
                run_bin.empty(readers.root())
                st.rerun()
            if st.button("Keep them", key="bin.empty.no"):
                st.rerun()
