"""The ways to a dataset: a download, dropped files, or a file or folder on this machine."""

from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from recformer.data.assemble import find_reader
from recformer.data.sources.download import import_zip
from recformer.data.sources.linking import link_folder
from recformer.data.sources.uploads import keep_uploads
from recformer.errors import DataError
from recformer.files.names import expanded
from recformer.ui.data.add_table import Source, open_source
from recformer.ui.shared import readers
from recformer.ui.shared.add_dataset import offer_download, progress_bar
from recformer.ui.shared.frame import guard


def add_dataset() -> None:
    """All of them."""
    _take_dropped_files()
    _take_a_path()
    offer_download("add")


def _take_dropped_files() -> None:
    files = st.file_uploader(
        "Your own data: drop a table",
        accept_multiple_files=True,
        key="data.files",
        help="A line for each purchase, view or rating: CSV, TSV, Parquet, JSON lines, RecBole or sequence files, also "
        "packed by gzip or zstd; tables of items and users beside it. Or the zip of a MovieLens set.",
    )
    if not files:
        return
    is_zip = len(files) == 1 and files[0].name.lower().endswith(".zip")
    if not st.button("Add this zip" if is_zip else "Next", key="data.files.add", type="primary"):
        return
    with guard():
        if is_zip:
            import_zip(files[0], None, readers.root().data, progress_bar("unpacking …"), file_name=files[0].name)
        else:
            named: dict[str, UploadedFile] = {file.name: file for file in files}
            open_source(Source(keep_uploads(named, readers.root().data), uploaded=True))
        st.rerun()


def _take_a_path() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Or a file or folder on this machine",
            key="data.path",
            placeholder="/path/to/orders.csv",
            help="It is linked, not copied.",
            width=420,
        ).strip()
        asked = st.button("Open", key="data.path.add", icon=":material/folder_open:")
    if not (text and asked):
        return
    with guard():
        path = expanded(text)
        if _has_known_layout(path):
            link_folder(path, readers.root().data)
        elif path.exists():
            open_source(Source(path.resolve()))
        else:
            raise DataError(f"{path} is not on this machine. Check the path")
        st.rerun()


def _has_known_layout(folder: Path) -> bool:
    with suppress(DataError):
        find_reader(folder)[1].files(folder)
        return True
    return False
