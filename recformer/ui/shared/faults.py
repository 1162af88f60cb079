"""An error on a page: its message, and below it the way out where that is a field or a button."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitDuplicateElementKey

from recformer.data.sources.linking import link_folder
from recformer.errors import RecformerError
from recformer.files.names import expanded
from recformer.run.find_dataset import MissingDatasetError, UnknownDatasetError
from recformer.run.model_ref import ModelRef
from recformer.run.record import RunDataset, remember_dataset
from recformer.ui.shared import readers
from recformer.ui.shared.words import plain, told


def show_fault(error: RecformerError, before: str = "") -> None:
    """The error after the words in `before`, and what mends it. Errors while mending are shown in turn."""
    st.error(before + told(error), icon=":material/error:")
    try:
        with suppress(StreamlitDuplicateElementKey):  # several models lack the same data: asked for once
            if isinstance(error, MissingDatasetError):
                _ask_where(error.wanted)
            elif isinstance(error, UnknownDatasetError):
                _ask_which(error.models)
    except RecformerError as another:
        st.error(told(another), icon=":material/error:")


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
    """The choice of a dataset for models that do not say theirs; their runs remember it."""
    folders = {folder.name: folder for folder in readers.dataset_folders()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Dataset of these models", list(folders), key="unknown.data", width=420)
        use = st.button("Use this dataset", key="unknown.data.use", icon=":material/database:")
    if use and folders:
        for model in models:
            _remember(model, folders[chosen])
        st.rerun()


def _remember(checkpoint: ModelRef, folder: Path) -> None:
    """Write down that a model's run was trained on the data in `folder`. Raises DataError where they do not fit."""
    from recformer.checkpoint.load import read_info
    from recformer.evaluation.dataset_check import check_fit

    data = readers.dataset(folder)
    check_fit(readers.root(), read_info(checkpoint.path), data, checkpoint)
    if checkpoint.run_id is not None:
        remember_dataset(readers.root(), checkpoint.run_id, data)
