"""An item in words, as cards, the input window and the held-out place show it: title, year, categories."""

from typing import cast

import pandas as pd

from recformer.data.categories import categories_of, category_columns
from recformer.data.dataset import Dataset, Id, token_of
from recformer.ui.shared.palette import chips
from recformer.ui.shared.words import plain


def about(data: Dataset, item: Id) -> tuple[str, str, list[str]]:
    """Title, year ("" where it is not known) and categories, in the order of the columns, of an item of `data`."""
    token = cast("int", token_of(data.item_ids, item))
    row = data.item_table.iloc[token : token + 1]
    year = "" if "year" not in row or pd.isna(row["year"].iloc[0]) else str(row["year"].iloc[0])
    found = [categories_of(pd.Series(row[column])) for column in category_columns(row)]
    return data.title_of(token), year, [one.names[code] for one in found for code in one.codes]


def in_markdown(data: Dataset, item: Id) -> str:
    """The item in two lines: title and year, chips of its categories."""
    title, year, categories = about(data, item)
    return f"{plain(title)}{f' :gray[{year}]' if year else ''}  \n{chips(categories)}"
