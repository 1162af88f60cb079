"""Posters as pages show them, and the field on the Data page that says where they are."""

from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from recformer.data.dataset import Dataset
from recformer.errors import RecformerError
from recformer.files.stamps import Stamp, stamp
from recformer.recommend.posters import change_place, found_in, is_table, place_of, thumbnail
from recformer.ui.shared import readers
from recformer.ui.shared.words import message_of

HELP = (
    "A folder with images called by the movie's id (260.jpg, .png or .webp), or a CSV with the columns item_id and url "
    "(http or https). Links are loaded by your browser; without a picture a movie's card shows its title alone."
)


def posters(data: Dataset, items: Iterable[int]) -> dict[int, str]:
    """Item id to an address for those of `items` that have a poster. Posters that cannot be had are left out."""
    try:
        place = place_of(readers.root(), data)
        known = {} if place is None else _found(place, stamp(place))
    except RecformerError:
        return {}  # the Data page tells; a list of movies is none the worse without pictures
    if place is None or is_table(place):
        return {item: known[item] for item in items if item in known}
    images = {item: _thumbnail(known[item], stamp(Path(known[item]))) for item in items if item in known}
    return {item: image for item, image in images.items() if image is not None}


def choose_posters(data: Dataset) -> None:
    """The field that names a folder or a CSV, with its fault below it, and what was found."""
    key = f"data.posters.{data.fingerprint}"
    try:
        place = place_of(readers.root(), data)
    except RecformerError as error:
        st.error(message_of(error), icon=":material/error:")
        place = None
    if key not in st.session_state:
        st.session_state[key] = "" if place is None else str(place)
    text = st.text_input(
        "Folder of images, or CSV of links", key=key, placeholder="/path/to/posters", help=HELP, icon=":material/image:"
    )
    try:
        if text.strip() != ("" if place is None else str(place)):
            place = change_place(readers.root(), data, text)
        if place is not None:
            count = len(_found(place, stamp(place)).keys() & set(data.item_ids.tolist()))
            st.caption(f"{count:,} of {data.num_items:,} movies have a poster. Recommend shows them on the cards.")
    except RecformerError as error:
        st.error(message_of(error), icon=":material/error:")


@st.cache_data(max_entries=8, show_spinner=False)
def _found(place: Path, stamp: Stamp | None) -> dict[int, str]:
    return found_in(place)


@st.cache_data(max_entries=2000, show_spinner=False)  # some 4 KB each
def _thumbnail(path: str, stamp: Stamp | None) -> str | None:
    return thumbnail(Path(path))
