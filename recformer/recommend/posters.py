"""Images that people have for a dataset: a folder, a CSV of links, or a column of its item table.

Nothing here uses the network.

Which it is stands in `runs/.posters.json`, by the dataset's fingerprint. An image becomes a thumbnail within the page;
a link is handed to the browser, which loads it by itself or shows nothing.
"""

import base64
import csv
import io
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
from PIL import Image
from pydantic import TypeAdapter

from recformer.data.dataset import Dataset, Id, id_of
from recformer.errors import UsageError
from recformer.files import gate
from recformer.files.writing import write_json
from recformer.run.paths import Root

FILE = ".posters.json"  # no run id begins with a dot
ENDINGS = (".jpg", ".png", ".webp")
SIZE = (80, 120)  # pixels: twice what a card shows, for fine screens
MOST_PIXELS = 20_000_000
FIELDS = ["item_id", "url"]
_PLACES = TypeAdapter(dict[str, str])


def place_of(root: Root, dataset: Dataset) -> Path | None:
    """The folder or CSV named for a dataset, None where none is. Raises StoreError when the record is damaged."""
    place = _places(root).get(dataset.fingerprint)
    return None if place is None else Path(place)


def change_place(root: Root, dataset: Dataset, text: str) -> Path | None:
    """Remember the folder or CSV that `text` names for a dataset; none where it is empty.

    Raises UsageError for a place that holds no images of this dataset, StoreError when the disk refuses.
    """
    place = _place(text.strip()) if text.strip() else None
    if place is not None and not found_in(place, dataset.item_ids):
        noun = dataset.nouns
        raise UsageError(
            f"{place} holds no image of {noun.an_item} of {dataset.name}: name images by the {noun.item}'s id, such as "
            f"{dataset.item_ids[0]}.jpg, or give each id a link in a CSV with the columns item_id and url"
        )
    known = _places(root)
    known.pop(dataset.fingerprint, None)
    write_json(root.runs / FILE, known if place is None else known | {dataset.fingerprint: str(place)})
    return place


def _places(root: Root) -> dict[str, str]:
    return gate.read_record(root.runs / FILE, gate.POSTER_PLACES, _PLACES) or {}


def _place(text: str) -> Path:
    """The place that `text` names. Raises UsageError for what no file or folder can be called."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, a name too long, the home of nobody
        raise UsageError(f"{text[:80]!r} is no name that a folder or a .csv file can have. Check the name") from None


def is_table(place: Path) -> bool:
    """Whether a place is a CSV of links."""
    return place.suffix.lower() == ".csv"


def found_in(place: Path, item_ids: pd.Index) -> dict[Id, str]:
    """Item id to a file's path or a link, for all items that have one. Raises UsageError when it cannot be read."""
    found = _links(place) if is_table(place) else _images(place)
    return {item: address for text, address in found if (item := id_of(item_ids, text)) is not None}


def links_of(dataset: Dataset) -> dict[Id, str]:
    """Item id to the link that the item table's column `image` has for it."""
    if "image" not in dataset.item_table:
        return {}
    images = dataset.item_table["image"].astype("str").fillna("")
    return {item: link for item, link in zip(dataset.item_ids, images, strict=True) if _is_link(link)}


def thumbnail(path: Path) -> str | None:
    """A small picture as an address that holds all of it (data:image/jpeg;base64,…); None for a damaged image."""
    try:
        with gate.open_file(path, gate.POSTER) as file, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                if image.width * image.height > MOST_PIXELS:
                    return None
                image.draft("RGB", (SIZE[0] * 2, SIZE[1] * 2))
                small = image.convert("RGB")
        small.thumbnail(SIZE)
    except Exception:  # a damaged image makes its decoder raise almost anything; the card is shown without it
        return None
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _images(folder: Path) -> list[tuple[str, str]]:
    """Name, which is the item's id, and path of each image."""
    if not gate.is_folder(folder):
        raise UsageError(f"{folder} is neither a folder of images nor a .csv file on this machine")
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}. Check that the folder may be read") from None
    return [(path.stem, str(path)) for path in files]


def _links(table: Path) -> list[tuple[str, str]]:
    """Item id, as text, and link of each row."""
    try:
        content = gate.read_bytes(table, gate.POSTER_LINKS)
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        missing = [name for name in FIELDS if name not in (reader.fieldnames or [])]
        if missing:
            raise UsageError(f"{table} has no column {missing[0]}: its first line must name item_id and url")
        return [_link(table, reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise UsageError(f"{table} cannot be read: there is no such file. Check its name") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{table} is no CSV in UTF-8 ({error}). Save it as one") from None


def _link(table: Path, line: int, row: dict[str, str]) -> tuple[str, str]:
    item, address = (row["item_id"] or "").strip(), (row["url"] or "").strip()
    if not _is_link(address):
        raise UsageError(f"{table}, line {line}: {address[:80]!r} is no address that begins with http:// or https://")
    return item, address


def _is_link(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
