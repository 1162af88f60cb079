"""The queue and the machine, as Home shows them: who trains, who waits at which place, and how busy each device is."""

import streamlit as st

from recformer.errors import count
from recformer.jobs.queue import lines, move
from recformer.run.overview import RunSummary
from recformer.run.settings import Settings, change_settings, read_settings
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard
from recformer.ui.shared.run_actions import stop_button
from recformer.ui.shared.run_views import progress_card
from recformer.ui.shared.words import memory, plain


def show_machine() -> None:
    """One bar for each device: its load, and its memory."""
    with st.container(horizontal=True):
        for load in readers.loads():
            label = "Processor" if load.device == "cpu" else load.device
            share = "" if load.share is None else f"{100 * load.share:.0f}% busy · "
            used = f"{memory(load.memory_used)} of {memory(load.memory_total)}"
            with st.container(width=300):
                st.progress(
                    min(load.memory_used / load.memory_total if load.share is None else load.share, 1.0),
                    text=f"**{label}** :gray[:small[{plain(load.name)}]]  \n:small[{share}memory {used}]",
                )


def show_queue(active: list[RunSummary]) -> None:
    """Runs that train, then those that wait, each device's in their order, with what can be done about them."""
    known = {run.run_id: run for run in active}
    found = lines(readers.root(), among=known)
    shown = {run_id for line in found.values() for run_id in (*line.running, *line.waiting)}
    for run in active:
        # A run between two records, or one whose training was started where the queue is not asked.
        if run.run_id not in shown:
            progress_card(run)
    for device, line in sorted(found.items()):
        for run_id in line.running:
            progress_card(known[run_id])
        if line.waiting:
            with st.container(border=True, gap="small"):
                st.markdown(f"**Waiting for {'the processor' if device == 'cpu' else device}**")
                for place, run_id in enumerate(line.waiting, start=1):
                    _show_waiting(place, known[run_id], last=place == len(line.waiting))


def _show_waiting(place: int, run: RunSummary, last: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        epochs = run.config.get("num_epochs")
        planned = f" · {count(epochs, 'epoch')}" if epochs else ""
        st.markdown(f"{place}. **{plain(run.name)}** :gray[:small[{run.run_id}{planned}]]", width="stretch")
        for where, icon, off in (("up", "arrow_upward", place == 1), ("down", "arrow_downward", last)):
            if st.button(
                "", icon=f":material/{icon}:", key=f"{where}.{run.run_id}", disabled=off, help=f"Move {where}"
            ):
                move(readers.root(), run.run_id, "up" if where == "up" else "down")
                st.rerun(scope="fragment")
        stop_button(run)


@st.dialog("Settings for all runs", icon=":material/settings:")
def edit_settings() -> None:
    """How many train at once, and how long a stop waits."""
    with guard():
        before, fields = read_settings(readers.root()), Settings.model_fields
        jobs = st.number_input(
            str(fields["jobs_per_device"].title),
            min_value=1,
            max_value=16,
            value=before.jobs_per_device,
            help=fields["jobs_per_device"].description,
            key="settings.jobs",
        )
        grace = st.number_input(
            str(fields["grace_s"].title),
            min_value=0.0,
            max_value=3600.0,
            value=before.grace_s,
            step=5.0,
            help=fields["grace_s"].description,
            key="settings.grace",
        )
        if st.button("Save", type="primary", icon=":material/check:", key="settings.save"):
            change_settings(readers.root(), jobs_per_device=int(jobs), grace_s=float(grace))
            st.rerun()
