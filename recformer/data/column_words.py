"""What the names of columns and files usually mean, in the words of this field."""

import re
from typing import Literal

Role = Literal["user", "item", "time", "rating", "event"]
WORDS: dict[Role, str] = {
    "user": "user customer client visitor member buyer reviewer session account person shopper household listener "
    "reader viewer student cust uid",
    "item": "item product sku movie track song article asin stock book isbn business news anime game recipe artist "
    "content offer goods iid",
    "time": "timestamp time datetime date ts when created",
    "rating": "rating stars star score overall grade",
    "event": "event action behavior behaviour",
}
_KEY = {"id", "code", "no", "number", "key", "nr"}


def words_in(name: str) -> list[str]:
    """StockCode, stock_code and stock-code: stock, code."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+", name)]


def score(name: str, role: Role) -> int:
    """How much the name of a column is one of a role: 3 by nothing else, 2 as its key, 1 among other words."""
    words = words_in(name)
    known = set(WORDS[role].split())
    squeezed = "".join(words)
    if len(words) == 1 and words[0].removesuffix("s") in {word.removesuffix("s") for word in known}:
        return 3
    if squeezed in {word + key for word in known for key in _KEY}:
        return 3 if role in ("user", "item") else 1
    if not set(words) & known:
        return 0
    return 2 if set(words) & _KEY or role in ("time", "rating", "event") else 1
