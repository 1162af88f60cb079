"""Add results from elsewhere: a dropped file of recommendations becomes one of the models that are compared."""

from pathlib import Path

import streamlit as st

from recformer.data.sources.uploads import give_up, keep_uploads
from recformer.evaluation.evaluate import split_of
from recformer.evaluation.lists.import_lists import Asked, import_lists
from recformer.evaluation.lists.kept import MOST_PLACES
from recformer.files.names import run_id_from
from recformer.run.model_ref import ModelRef
from recformer.run.paths import LISTS
from recformer.ui.compare.comparison import ComparisonChoice
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard
from recformer.ui.shared.words import plain

_ADDED, _TIMES = "lists.added", "lists.times"
HELP = (
    "A table with a line for each recommendation: user, item, and rank or score (CSV, TSV, Parquet, JSON lines), a "
    "TREC run, or a run of ranx, also packed by gzip. Columns are known by their usual names; ids are the dataset's."
)
LENGTH_HELP = (
    "Say it where shorter lists are whole: the model had no more to recommend. If not said, nobody knows what comes "
    "after a list, so figures go as far as the shortest."
)


def add_lists(choice: ComparisonChoice) -> None:
    """The form; what is added is compared at once, on the dataset, split and part that are compared."""
    times = st.session_state.setdefault(_TIMES, 0)  # a form of its own each time: closed and empty again
    with st.popover("Add results from elsewhere", icon=":material/upload_file:", key=f"lists.form.{times}"):
        place = f"{choice.part} part of {choice.split} of {choice.data.name}"
        st.caption(
            f"Recommendations that any other library made for the {plain(place)} (ties in time: {choice.time_ties}). "
            "That it was trained on none of these cases is your word."
        )
        file = st.file_uploader("Recommendations", key=f"lists.file.{times}", help=HELP)
        name = st.text_input(
            "Name", key=f"lists.name.{times}", placeholder="as the file", help="What the model is called."
        )
        k = st.number_input(
            *("Length of a list", 1, MOST_PLACES),
            value=None,
            step=1,
            key=f"lists.k.{times}",
            placeholder="as the shortest",
            help=LENGTH_HELP,
        )
        if st.button("Add", key="lists.add", type="primary", disabled=file is None) and file is not None:
            with guard():
                folder = keep_uploads({file.name: file}, readers.root().data)
                run_id = run_id_from(name or file.name.partition(".")[0])
                _add(choice, folder, folder / file.name, run_id, k)


def _add(choice: ComparisonChoice, folder: Path, path: Path, run_id: str, k: int | None) -> None:
    asked = Asked(split_of(choice.split, choice.time_ties), choice.part, k=k)
    try:
        report = import_lists(readers.root(), path, run_id, choice.data, asked)
    finally:
        give_up(folder)
    st.session_state[_TIMES] += 1
    st.session_state[_ADDED] = [run_id, *report.sentences(choice.data.nouns.items)]
    model = ModelRef.of_run(readers.root(), run_id, LISTS)
    st.query_params["runs"] = list(map(str, [*choice.models, model]))
    st.rerun()


def show_added() -> None:
    """What was found in the file that has just been added."""
    if found := st.session_state.pop(_ADDED, None):
        run_id, *sentences = found
        st.success(f"**{plain(run_id)}** is added. {plain(' '.join(sentences))}", icon=":material/upload_file:")
