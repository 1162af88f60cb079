"""All users' lists as a file: made in the background, with a bar that says how far it is, then given to the browser."""

import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import streamlit as st

from recformer.data.dataset import Dataset
from recformer.errors import RecformerError
from recformer.evaluation.ranks import Progress
from recformer.files.temporary_folder import remove_unused
from recformer.run.model_ref import ModelRef, model_label
from recformer.run.overview import labels_of
from recformer.ui.recommend.asking import RecommendChoice
from recformer.ui.shared import readers
from recformer.ui.shared.evaluating import POLL_S, Work, evaluator
from recformer.ui.shared.frame import guard, show_fault
from recformer.ui.shared.words import plain

if TYPE_CHECKING:
    from recformer.recommend.all_users import ListOptions, WrittenLists

WORK = "recommend.all.work"
MODEL = "recommend.all.model"
HELP = "What one model recommends to each user, in a file: user, {item}, rank and score."
PREFIX = "recformer-lists-"  # of temporary folders
LEFTOVER_S = 7 * 24 * 3600.0  # nobody keeps a page open for so long
ENDINGS = {"Parquet": ".parquet", "CSV": ".csv"}
MASKED = {"history": "seen {items} filtered", "window": "the window filtered", "none": "nothing filtered"}


@dataclass(eq=False)
class Made:
    """Files in a temporary folder, which is removed when nobody holds them any more."""

    folder: Path
    written: "WrittenLists"

    def __post_init__(self) -> None:
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


def show_all_lists(choice: RecommendChoice) -> None:
    """The button that makes the file; while it is made how far that is, then the download."""
    with st.popover(
        "All users' lists", icon=":material/download:", help=choice.data.nouns.put_into(HELP), key="recommend.all"
    ):
        work: Work | None = st.session_state.get(WORK)
        if work is not None and not work.future.done():
            _watch(work)
            return
        if work is not None:
            _show_made(work)
        _ask(choice)


def _ask(choice: RecommendChoice) -> None:
    from recformer.recommend.all_users import ListOptions

    asked = {str(one.ref): one.ref for one in choice.ready if not one.ref.is_lists}
    if not asked:
        st.caption("Lists made elsewhere are in a file already.")
        return
    labels, data = labels_of(choice.runs), choice.data
    name = next(iter(asked))
    if len(asked) > 1:
        name = st.selectbox("Model", list(asked), format_func=lambda name: model_label(labels, asked[name]), key=MODEL)
    kind = st.segmented_control("File", list(ENDINGS), default="Parquet", required=True, key="recommend.all.file")
    masked = data.nouns.put_into(MASKED[choice.masking])
    st.caption(f"{choice.k} for each of {data.num_users:,} users, after everything they had; {masked}.")
    options = ListOptions(choice.k, choice.masking, choice.recent)
    said = f"{model_label(labels, asked[name])} on {data.name}, {choice.k} a user, {masked}"
    arguments = (data, asked[name], options, ENDINGS[kind or "Parquet"], said)
    st.button("Make the file", key="recommend.all.make", icon=":material/table:", on_click=_begin, args=arguments)


def _begin(data: Dataset, model: ModelRef, options: "ListOptions", ending: str, said: str) -> None:
    root = readers.root()

    def make(show: Progress) -> Made:
        from recformer.recommend.all_users import write_lists

        # What an app that was ended left goes first.
        remove_unused(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"), LEFTOVER_S)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            out = folder / f"lists-{model.run}{ending}"
            return Made(folder, write_lists(root, model, data, options, out, show))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    key = uuid4().hex
    st.session_state[WORK] = evaluator().ask(key, said, make)
    evaluator().forget(key)  # this session alone holds it, and with it the files


@st.fragment(run_every=POLL_S)
def _watch(work: Work) -> None:
    with guard():
        if work.future.done():
            st.rerun()
        share = work.done / work.total if work.total else 0.0
        st.progress(share, f"{work.done:,} of {work.total:,} users" if work.total else "waiting")
        st.caption(plain(work.what))


def _show_made(work: Work) -> None:
    error = work.future.exception()
    if isinstance(error, RecformerError):
        show_fault(error)
        return
    if error is not None:
        del st.session_state[WORK]  # the page is whole again when it is drawn anew
        raise error
    made: Made = work.future.result()
    st.markdown(plain(work.what))
    st.caption(f"{made.written.rows:,} rows, {made.written.users:,} users")
    for file in made.written.files:
        # Read when it is asked for: a file has up to 10 million rows.
        st.download_button(
            f"Download {file.name}", file.read_bytes, file.name, key=f"recommend.all.{file.name}", on_click="ignore"
        )
    st.divider()
