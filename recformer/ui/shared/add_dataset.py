"""What a page without any dataset offers: to download one, with a progress bar."""

from collections.abc import Callable

import streamlit as st

from recformer.data.sources.download import Progress, fetch
from recformer.data.sources.grouplens import SETS
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
    st.caption(f"MovieLens, {SETS[name].about}. {LICENCE}")
    if asked:
        show = progress_bar(f"{name}: connecting …")
        with guard():
            fetch(name, readers.root().data, show)
            st.rerun()


def progress_bar(begin: str) -> Callable[[Progress], None]:
    """A bar with these words, and what moves it on."""
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
