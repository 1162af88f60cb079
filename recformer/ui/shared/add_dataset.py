"""Getting a dataset from within the app: download with a progress bar, a dropped zip, or a folder on this machine."""

from collections.abc import Callable

import streamlit as st

from recformer.data.sources.download import Progress, fetch, import_zip
from recformer.data.sources.grouplens import SETS
from recformer.data.sources.linking import link_folder
from recformer.files.names import expanded
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard

LICENCE = (
    "MovieLens is © GroupLens, for research use; it may not be passed on. Harper and Konstan 2015 is the paper to cite."
)


def offer_download(key: str) -> None:
    """The MovieLens sets that are not there yet, with their sizes, and a button that fetches the chosen one."""
    there = {folder.name for folder in readers.dataset_folders()}
    missing = [name for name in SETS if name not in there]
    if not missing:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "MovieLens",
            missing,
            format_func=lambda name: f"{name} · {SETS[name].megabytes} MB",
            key=f"{key}.set",
            width=220,
        )
        asked = st.button(f"Download {name}", key=f"{key}.{name}", icon=":material/download:")
    st.caption(f"{SETS[name].about}. {LICENCE}")
    if asked:
        show = _progress(f"{name}: connecting …")
        with guard():
            fetch(name, readers.root().data, show)
            st.rerun()


def _progress(begin: str) -> Callable[[Progress], None]:
    bar = st.progress(0.0, text=begin)

    def show(progress: Progress) -> None:
        share = progress.done / progress.total if progress.total else 0.0
        bar.progress(min(share, 1.0), text=f"{progress.what}: {progress.done / 1e6:.1f} MB")

    return show


def need_dataset() -> bool:
    """Whether there is a dataset; where there is none, what that means and the button that mends it are shown."""
    if readers.dataset_folders():
        return True
    with st.container(border=True):
        st.markdown(
            "**No dataset yet.** Training, comparing and recommending need one. MovieLens-100K is small and real."
        )
        offer_download("need")
    return False


def add_dataset() -> None:
    """More ways to a dataset: download, zip, folder."""
    offer_download("add")
    upload = st.file_uploader(
        "Or drop a zip", type="zip", key="data.zip", help="A MovieLens archive, as GroupLens gives it out."
    )
    if upload is not None and st.button("Add this zip", key="data.zip.add", type="primary"):
        show = _progress("unpacking …")
        with guard():
            import_zip(upload, None, readers.root().data, show, file_name=upload.name)
            st.rerun()
    folder = st.text_input(
        "Or a folder on this machine", key="data.folder", placeholder="/path/to/ml-1m", help="It is linked, not copied."
    )
    if folder and st.button("Add this folder", key="data.folder.add"):
        with guard():
            link_folder(expanded(folder.strip()), readers.root().data)
            st.rerun()
