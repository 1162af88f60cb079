"""Edits of an input window, as item ids, oldest first; never torch."""

from urllib.parse import quote, unquote

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recformer.data.categories import as_text, category_columns
from recformer.data.dataset import Id, id_of

Items = tuple[Id, ...]


def added(items: Items, item: Id) -> Items:
    """`item` as the latest item."""
    return (*items, item)


def removed(items: Items, place: int) -> Items:
    """The window without the item at `place`, 0 for the oldest."""
    return items[:place] + items[place + 1 :]


def moved(items: Items, place: int, by: int) -> Items:
    """The item at `place` changes places with the one `by` = −1 (older) or 1 (later) beside it, if there is one."""
    other = place + by
    if not 0 <= other < len(items):
        return items
    changed = list(items)
    changed[place], changed[other] = changed[other], changed[place]
    return tuple(changed)


def written(items: Items) -> str:
    """How a link or a command says it: "50,260,1196". What is no letter or digit in a text is written as %2C."""
    return ",".join(quote(str(item), safe="") for item in items)


def read(text: str, item_ids: pd.Index) -> tuple[Items, list[str]]:
    """The items that a link or a command names, and what of it is no id, as it stands there.

    Args:
        text: item ids as `written`, with commas between; nothing at all is no item.
        item_ids: (I,) sorted ids that there are.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found = {part: id_of(item_ids, unquote(part)) for part in parts}
    return tuple(item for part in parts if (item := found[part]) is not None), [
        part for part in parts if found[part] is None
    ]


def search(table: pd.DataFrame, text: str) -> NDArray[np.bool_]:
    """(n,) which rows of an item table have `text` in their title, id or categories, whatever the case."""
    needle = text.strip().casefold()
    found = np.zeros(len(table), dtype=np.bool_)
    for name in {"item_id", "title", *category_columns(table)} & set(table):
        words = as_text(pd.Series(table[name])).astype("str")
        found |= words.str.casefold().str.contains(needle, regex=False, na=False).to_numpy()
    return found
