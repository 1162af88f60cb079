"""What can be done with a run, from Home and from Monitor: one row of links and buttons, and the dialogs they open."""

import streamlit as st

from recformer.jobs.control import stop_detached
from recformer.run import labels, trash
from recformer.run.overview import RunSummary
from recformer.run.paths import LISTS
from recformer.run.settings import read_settings
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard
from recformer.ui.shared.words import duration, plain

MENU = {
    "edit": ":material/edit: Name, tags and note",
    "archive": ":material/archive: Archive",
    "unarchive": ":material/unarchive: Take out of the archive",
    "delete": ":material/delete: Delete …",
}


def run_actions(run: RunSummary, *, monitor: bool = True) -> None:
    """Where to go with a run and what to do with it; `monitor` links to its page."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if monitor:
            st.page_link(
                "pages/monitor.py", label="Monitor", icon=":material/monitoring:", query_params={"run": run.run_id}
            )
        first = f"{run.run_id}/{run.checkpoints[0]}" if run.checkpoints else ""
        if first:
            chosen = {"runs": first}
            st.page_link("pages/compare.py", label="Compare", icon=":material/bar_chart:", query_params=chosen)
            st.page_link("pages/recommend.py", label="Recommend", icon=":material/recommend:", query_params=chosen)
        if not run.state.active and can_go_on(run):
            label = "Resume" if run.resumable else "Start again"
            going_on = {"mode": "Resume", "resume": run.run_id}
            st.page_link("pages/train.py", label=label, icon=":material/resume:", query_params=going_on)
        if first and not first.endswith(f"/{LISTS}") and not _solved_at_once(run):
            st.page_link(
                "pages/train.py",
                label="Start from these weights",
                icon=":material/start:",
                query_params={"mode": "Start from weights", "weights": first},
                help="A new run that begins with this run's weights; this run stays as it is.",
            )
        _menu(run)


def _solved_at_once(run: RunSummary) -> bool:
    """Whether it was finished without a step, and so without a training loss: nothing can begin with it."""
    return run.status is not None and run.status.state == "finished" and run.status.loss is None


def compare_link(runs: list[RunSummary]) -> None:
    """The way to compare those of several runs that have saved anything."""
    chosen = {"runs": [f"{run.run_id}/{run.checkpoints[0]}" for run in runs if run.checkpoints]}
    if chosen["runs"]:
        st.page_link("pages/compare.py", label="Compare them", icon=":material/bar_chart:", query_params=chosen)


def stop_button(run: RunSummary) -> None:
    """Stop a run, or take it out of the queue."""
    if run.state.name == "stopping":
        st.button("Stopping …", key=f"stop.{run.run_id}", disabled=True, icon=":material/stop_circle:")
        return
    if run.state.name == "queued":
        label, icon = "Cancel", ":material/cancel:"
        what = "Takes it out of the queue; it can be started again later."
    else:
        label, icon = "Stop", ":material/stop_circle:"
        grace = duration(read_settings(readers.root()).grace_s)
        what = (
            "Ends the step that is going on, saves, and stops; it can be resumed exactly from there. If it has not "
            f"ended after {grace}, it is killed."
        )
    if st.button(label, key=f"stop.{run.run_id}", icon=icon, help=what):
        stop_detached(readers.root(), run.run_id)
        st.rerun()


def can_go_on(run: RunSummary) -> bool:
    """Whether a run that has ended can be resumed, or, where it never saved anything, started again."""
    return run.resumable or (not run.checkpoints and run.job is not None)


def _menu(run: RunSummary) -> None:
    archive = "unarchive" if run.labels.archived else "archive"
    chosen = st.menu_button(
        "More",
        ["edit", archive, "delete"],
        key=f"menu.{run.run_id}",
        icon=":material/more_horiz:",
        format_func=lambda action: MENU[action],
    )
    if chosen == "edit":
        _edit(run)
    elif chosen == archive:
        labels.archive(readers.root(), run.run_id, not run.labels.archived)
        st.rerun()
    elif chosen == "delete":
        _delete(run)


@st.dialog("Name, tags and note", icon=":material/edit:")
def _edit(run: RunSummary) -> None:
    with guard():
        name = st.text_input("Name", value=run.name, max_chars=labels.NAME_CHARACTERS, key=f"edit.name.{run.run_id}")
        known = sorted({tag for other in readers.runs()[0] for tag in other.labels.tags})
        tags = st.multiselect(
            "Tags",
            known,
            default=run.labels.tags,
            accept_new_options=True,
            max_selections=labels.TAGS,
            placeholder="Choose some, or type a new one",
            key=f"edit.tags.{run.run_id}",
        )
        note = st.text_area(
            "Note",
            value=run.labels.note,
            max_chars=labels.NOTE_CHARACTERS,
            placeholder="What was this run for? What came out?",
            key=f"edit.note.{run.run_id}",
        )
        if st.button("Save", type="primary", icon=":material/check:", key=f"edit.save.{run.run_id}"):
            root = readers.root()
            if name != run.name:
                labels.rename(root, run.run_id, name)
            labels.tag(root, run.run_id, tags, remove=set(run.labels.tags) - set(tags))
            labels.annotate(root, run.run_id, note)
            st.rerun()


@st.dialog("Delete this run?", icon=":material/delete:")
def _delete(run: RunSummary) -> None:
    with guard():
        if run.state.active:
            st.warning(f"**{plain(run.name)}** is {run.state.name}. Stop it first.", icon=":material/stop_circle:")
            return
        kept = ", ".join(run.checkpoints) or "none"
        st.markdown(
            f"**{plain(run.name)}** :gray[:small[{run.run_id}]]\n\nIts log, records, evaluation results and "
            f"checkpoints ({kept}) go to the bin, at the foot of Home. From there it can be restored."
        )
        with st.container(horizontal=True):
            if st.button("Delete", type="primary", icon=":material/delete:", key=f"delete.{run.run_id}"):
                trash.discard(readers.root(), run.run_id)
                st.rerun()
            if st.button("Keep it", key=f"keep.{run.run_id}"):
                st.rerun()
