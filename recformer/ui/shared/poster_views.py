"""Images of items as pages show them, and the field on the Data page that says where they are."""

from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from recformer.data.dataset import Dataset, Id
from recformer.errors import RecformerError
from recformer.files.stamps import Stamp, stamp
from recformer.recommend.posters import change_place, found_in, is_table, links_of, place_of, thumbnail
from recformer.ui.shared import readers
from recformer.ui.shared.words import message_of

HELP = (
    "A folder with images called by the {item}'s id ({id}.jpg, .png or .webp), or a CSV with the columns item_id and "
    "url (http or https). Links are loaded by your browser; without an image a card shows its title alone."
)


def posters(data: Dataset, items: Iterable[Id]) -> dict[Id, str]:
    """Item id to an address for those of `items` that have an image. Images that cannot be had are left out.

    Where no place is named, links in the item table's column `image` are taken.
    """
    try:
        place = place_of(readers.root(), data)
        known = links_of(data) if place is None else _found(place, stamp(place), data.fingerprint, data)
    except RecformerError:
        return {}  # the Data page tells; a list is none the worse without pictures
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
        "Folder of images, or CSV of links",
        key=key,
        placeholder="/path/to/images",
        help=HELP.format(item=data.nouns.item, id=data.item_ids[0]),
        icon=":material/image:",
    )
    try:
        if text.strip() != ("" if place is None else str(place)):
            place = change_place(readers.root(), data, text)
        if place is not None:
            count = len(_found(place, stamp(place), data.fingerprint, data))
            said = f"{count:,} of {data.nouns.count(data.num_items)} have an image."
            st.caption(f"{said} Recommend shows them on the cards.")
    except RecformerError as error:
        st.error(message_of(error), icon=":material/error:")


@st.cache_data(max_entries=8, show_spinner=False)
def _found(place: Path, stamp: Stamp | None, fingerprint: str, _data: Dataset) -> dict[Id, str]:
    return found_in(place, _data.item_ids)


@st.cache_data(max_entries=2000, show_spinner=False)  # some 4 KB each
def _thumbnail(path: str, stamp: Stamp | None) -> str | None:
    return thumbnail(Path(path))
