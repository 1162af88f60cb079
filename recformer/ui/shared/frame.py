"""What every page begins with: its settings, the navigation, and a boundary that turns errors into messages with what
mends them."""

import gc
import logging
import sys
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitDuplicateElementKey

from recformer.data.sources.linking import link_folder
from recformer.errors import RecformerError
from recformer.files.names import expanded
from recformer.run.find_dataset import MissingDatasetError, UnknownDatasetError
from recformer.run.model_ref import ModelRef
from recformer.run.record import RunDataset, remember_dataset
from recformer.ui.shared import readers
from recformer.ui.shared.words import message_of, plain

PAGES = [
    ("app.py", "Home", ":material/home:", "What is going on?"),
    ("pages/train.py", "Train", ":material/play_circle:", "What shall run?"),
    ("pages/monitor.py", "Monitor", ":material/monitoring:", "Is it going well?"),
    ("pages/compare.py", "Compare", ":material/bar_chart:", "Which is better, and how sure?"),
    ("pages/recommend.py", "Recommend", ":material/recommend:", "What would it show this person?"),
    ("pages/data.py", "Data", ":material/database:", "What is it trained on?"),
]
TABLES = Path(__file__).with_name("tables.css")
ICON = Path(__file__).with_name("icon.png")  # a Material or emoji icon in the tab would be fetched from the network
log = logging.getLogger(__name__)
T = TypeVar("T")


@contextmanager
def frame(name: str) -> Generator[None]:
    """A page: its settings, the navigation, its title and question; errors inside become messages."""
    _, label, _, question = next(page for page in PAGES if page[1] == name)
    st.set_page_config(page_title=f"{label} · Recformer", page_icon=str(ICON), layout="wide")
    st.html(TABLES)
    with st.sidebar:
        st.markdown("### :material/recommend: Recformer")
        for path, title, page_icon, help_text in PAGES:
            st.page_link(path, label=title, icon=page_icon, help=help_text, query_params=_views().get(title))
    st.markdown(f"## {label} :gray[:small[· {question}]]")
    with guard():
        yield
    _views()[label] = {parameter: st.query_params.get_all(parameter) for parameter in st.query_params}
    set_imports_aside()


def _views() -> dict[str, dict[str, list[str]]]:
    """What each page showed last in this session, as its address said it: going there again shows it again."""
    return st.session_state.setdefault("views", {})


@contextmanager
def guard() -> Generator[None]:
    """Errors inside become a message with the way out; what nobody foresaw is folded below it, never a bare trace.

    A fragment that refreshes by itself runs outside of the page's frame and needs one of its own.
    """
    try:
        yield
    except RecformerError as error:
        show_fault(error)
    except Exception as error:
        log.exception("a page failed")
        st.error(
            "Something went wrong that this page did not foresee. Your runs and checkpoints are untouched; reload the "
            "page, and if it stays, report it with the details below.",
            icon=":material/error:",
        )
        with st.expander("Details"):
            st.code(f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}", language=None)


def show_fault(error: RecformerError, before: str = "") -> None:
    """The error after the words in `before`, and what mends it. Errors while mending are shown in turn."""
    st.error(before + message_of(error), icon=":material/error:")
    try:
        with suppress(StreamlitDuplicateElementKey):  # several models lack the same data: asked for once
            if isinstance(error, MissingDatasetError):
                _ask_where(error.wanted)
            elif isinstance(error, UnknownDatasetError):
                _ask_which(error.models)
    except RecformerError as another:
        st.error(message_of(another), icon=":material/error:")


def _ask_where(wanted: RunDataset) -> None:
    """The field that says where a run's data are now; data/ then has a link to them."""
    key = f"missing.{wanted.fingerprint or wanted.name}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        folder = st.text_input(
            f"Folder of {plain(wanted.name)} on this machine",
            key=key,
            placeholder=f"/path/to/{wanted.name}",
            help="It is linked in data/, not copied.",
            width=420,
        )
        use = st.button("Use this folder", key=f"{key}.use", icon=":material/folder_open:")
    if use and folder.strip():
        link_folder(expanded(folder.strip()), readers.root().data, wanted.fingerprint)
        st.rerun()


def _ask_which(models: Sequence[ModelRef]) -> None:
    """The choice of a dataset for models that do not say theirs; their runs remember it. Raises DataError where it does
    not fit."""
    folders = {folder.name: folder for folder in readers.dataset_folders()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Dataset of these models", list(folders), key="unknown.data", width=420)
        use = st.button("Use this dataset", key="unknown.data.use", icon=":material/database:")
    if not (use and folders):
        return
    from recformer.checkpoint.load import read_info
    from recformer.evaluation.dataset_check import check_fit

    data, root = readers.dataset(folders[chosen]), readers.root()
    for model in models:
        check_fit(root, read_info(model.path), data, model)
        if model.run_id is not None:
            remember_dataset(root, model.run_id, data)
    st.rerun()


def in_columns(items: Sequence[T], number: int = 2) -> Iterator[tuple[DeltaGenerator, T]]:
    """Each of the items with the column that it stands in, `number` of them in a row."""
    for start in range(0, len(items), number):
        yield from zip(st.columns(number), items[start : start + number], strict=False)


def set_imports_aside() -> None:
    """Take what is there now out of later collections, once each time that modules were imported since.

    After every run of a page, each refresh included, Streamlit has Python look through all objects there are. Most are
    what imports brought and stay as long as the server does; looking through them took two thirds of a refresh's time.
    Nothing is kept by this but cycles which are garbage later, and those of the few moments when it happens.
    """
    _freeze(len(sys.modules))


@cache
def _freeze(modules: int) -> None:
    set_aside()


def set_aside() -> None:
    """Take all there is now out of later collections, when much was made that stays."""
    gc.collect()
    gc.freeze()
