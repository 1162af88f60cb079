"""Getting a dataset from within the app: download with a progress bar, a dropped zip, or a folder on this machine."""

from collections.abc import Callable

import streamlit as st

from recformer.data.sources.download import Progress, fetch, import_zip
from recformer.data.sources.linking import link_folder
from recformer.files.names import expanded
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard

SETS = {
    "ml-100k": "MovieLens-100K: 943 users, 1,682 movies, real ratings and times (5 MB)",
    "ml-1m": "MovieLens-1M: 6,040 users, 3,883 movies, the article's set (6 MB)",
}
LICENCE = (
    "MovieLens is © GroupLens, for research use; it may not be passed on. Harper and Konstan 2015 is the paper to cite."
)


def offer_download(key: str) -> None:
    """A button for each downloadable set that is not there yet."""
    there = {folder.name for folder in readers.dataset_folders()}
    for name, words in SETS.items():
        if name not in there and st.button(
            f"Download {name}", key=f"{key}.{name}", icon=":material/download:", help=words
        ):
            show = _progress(f"{name}: connecting …")
            with guard():
                fetch(name, readers.root().data, show)
                st.rerun()
    st.caption(LICENCE)


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
