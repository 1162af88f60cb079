"""Files of recommendations in the forms that other libraries write, as batches of rows."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from recformer.data.column_words import score, words_in
from recformer.data.guess_form import form_of
from recformer.data.rows import (
    BATCH_ROWS,
    MOST_LINE_BYTES,
    UNREADABLE,
    Rows,
    column_names,
    fault,
    first_words,
    opened,
    read_rows,
)
from recformer.data.table import shown
from recformer.errors import DataError
from recformer.files import gate

_RANKS = {"rank", "ranking", "position", "pos", "place"}
_SCORES = {"score", "scores", "relevance", "rating", "prediction", "pred", "predicted", "similarity", "weight"}
_QUERIES, _DOCUMENTS = {"q", "qid", "query"}, {"doc", "docid", "docno", "document"}
"""What users and items are called where recommendations are written as answers to queries."""
_TREC_FIELDS = 6  # query, Q0, document, rank, score, name of the run
_JSON_RUN = re.compile(rb'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{')
_JSON_USER = re.compile(rb'\s*[{,]\s*("(?:[^"\\]++|\\.)*+")\s*:\s*(\{(?:[^{}"]++|"(?:[^"\\]++|\\.)*+")*+\})', re.DOTALL)
_JSON_END = re.compile(rb"\s*\}\s*")
_EXPORT_AGAIN = "Export the lists again"


@dataclass(frozen=True)
class Columns:
    """Which columns of a file say who is recommended what, and in which order."""

    user: str
    item: str
    order: str
    by: Literal["rank", "score"]
    """rank: the lowest first; score: the highest first."""


TREC = JSON_RUN = Columns("user", "item", "score", "score")


def read_lists(
    path: Path, user: str | None = None, item: str | None = None, rank: str | None = None, score: str | None = None
) -> tuple[Columns, Iterator[Rows]]:
    """The columns of a file of recommendations, those that are not named guessed, and its rows.

    Any table that a dataset may be (CSV, TSV, Parquet, JSON lines), a TREC run, or a run of ranx as JSON; each of them
    may be compressed. Raises DataError, also while rows are read, for the first thing that is not as it must be.
    """
    try:
        gate.open_file(path, gate.GIVEN_LISTS).close()
        head = next(opened(path, lambda _: None), b"")
    except FileNotFoundError:
        raise DataError(f"{path} is not there. Name another file") from None
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    if _JSON_RUN.match(head):
        return JSON_RUN, _readable(path, _json_run(path))
    if _is_trec(head):
        return TREC, _readable(path, _trec(path))
    # Writers of runs leave the last line without a line break; that of a file which was cut off lacks fields.
    form = form_of(path, {"complete": True}, [])
    if form.format == "sequences":
        raise DataError(f"{path} has a user and their items in each line. Write a line for each recommendation")
    columns = _columns(path, column_names(path, form), user, item, rank, score)
    return columns, read_rows(path, form, [columns.user, columns.item, columns.order])


def _columns(
    path: Path, names: Sequence[str], user: str | None, item: str | None, rank: str | None, score: str | None
) -> Columns:
    """Those that are named, the others by what their names usually mean. Raises DataError where nothing tells."""
    order, by = rank or score, "rank" if rank else "score"
    if order is None:
        order = next((name for name in names if _is_one_of(name, _RANKS)), None)
        by = "score" if order is None else "rank"
    order = order or next((name for name in names if _is_one_of(name, _SCORES)), None)
    others = [name for name in names if name != order]
    user = user or _likeliest(others, "user", _QUERIES)
    item = item or _likeliest([name for name in others if name != user], "item", _DOCUMENTS)
    if user is None or item is None or order is None:
        missing = [
            what for what, name in (("the user", user), ("the item", item), ("rank or score", order)) if name is None
        ]
        raise DataError(
            f"{path}: nothing tells which column has {' and '.join(missing)}; there are "
            f"{', '.join(map(shown, names[:40]))}",
            cli="Name them: --user, --item, and --rank or --score",
            page="Call them user_id, item_id, and rank or score",
        )
    return Columns(user, item, order, by)


def _is_one_of(name: str, known: set[str]) -> bool:
    return bool(set(words_in(name)) & known)


def _likeliest(names: Sequence[str], role: Literal["user", "item"], queries: set[str]) -> str | None:
    """The name that means a role most, the first of equal ones; None where none does."""
    found = max(names, key=lambda name: score(name, role) or _is_one_of(name, queries), default=None)
    return found if found is not None and (score(found, role) or _is_one_of(found, queries)) else None


def _is_trec(head: bytes) -> bool:
    fields = head.lstrip().split(b"\n", 1)[0].split()
    return len(fields) == _TREC_FIELDS and fields[1].upper() in (b"Q0", b"0")


def _readable(path: Path, rows: Iterator[Rows]) -> Iterator[Rows]:
    try:
        yield from rows
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read: {first_words(error)}. It is damaged or cut off. {_EXPORT_AGAIN}")


def _trec(path: Path) -> Iterator[Rows]:
    """A line for each recommendation; the fields are separated by any blanks, and the last line may end the file."""
    lines = enumerate(_lines(path), 1)
    while some := list(islice(lines, BATCH_ROWS)):
        users, items, scores, numbers = list[str](), list[str](), list[str](), list[int]()
        for number, line in some:
            fields = line.split()
            if len(fields) != _TREC_FIELDS:
                if not fields:
                    continue
                what = (
                    f"{len(fields)} fields in {shown(line.decode('utf-8', 'replace'))}; a TREC run has {_TREC_FIELDS}"
                )
                raise fault(path, f"line {number}", what, _EXPORT_AGAIN)
            users.append(fields[0].decode())
            items.append(fields[2].decode())
            scores.append(fields[4].decode())
            numbers.append(number)
        yield _rows(path, users, items, scores, _places(numbers, "line {}"))


def _lines(path: Path) -> Iterator[bytes]:
    rest = b""
    for piece in opened(path, lambda _: None):
        if b"\0" in piece:
            raise DataError(f"{path} holds a NUL byte, which no text has. {_EXPORT_AGAIN}")
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > MOST_LINE_BYTES:
            raise DataError(f"{path} has a line of more than {MOST_LINE_BYTES >> 20} MB. {_EXPORT_AGAIN}")
    yield rest


def _json_run(path: Path) -> Iterator[Rows]:
    """`{"user": {"item": score, …}, …}`, user by user, however large the whole is."""
    entries = chain.from_iterable(_of_user(path, *match.groups()) for match in _json_users(path))
    while some := list(islice(entries, BATCH_ROWS)):
        users, items, scores = map(list, zip(*some, strict=True))
        yield _rows(path, users, items, scores, _places(list(map(shown, users)), "the list of {}"))


def _json_users(path: Path) -> Iterator[re.Match[bytes]]:
    rest, users = b"", 0
    for piece in opened(path, lambda _: None):
        rest, position = rest + piece, 0
        while (match := _JSON_USER.match(rest, position)) is not None:
            yield match
            position, users = match.end(), users + 1
        rest = rest[position:]
        if len(rest) > MOST_LINE_BYTES:
            break
    if _JSON_END.fullmatch(rest) is None:
        what = "a list of recommendations was expected, an item and a number each"
        raise fault(
            path, f"after {users:,} lists", f"{what}, not {shown(rest[:80].decode('utf-8', 'replace'))}", _EXPORT_AGAIN
        )


def _of_user(path: Path, user: bytes, items: bytes) -> Iterable[tuple[str, str, str | None]]:
    """User, item and score as text of each entry; an item that is there twice is so here."""
    try:
        name = json.loads(user)
        pairs: list[tuple[str, Any]] = json.loads(
            items, object_pairs_hook=list, parse_float=str, parse_int=str, parse_constant=str
        )
    except ValueError as error:
        place = f"the list of {shown(user.decode('utf-8', 'replace'))}"
        raise fault(path, place, f"it is no JSON ({first_words(error)})", _EXPORT_AGAIN) from None
    return ((name, item, None if value is None else str(value)) for item, value in pairs)


def _places(names: Sequence[object], words: str) -> Callable[[int], str]:
    return lambda row: words.format(names[row])


def _rows(
    path: Path, users: list[str], items: list[str], scores: Sequence[str | None], place_of: Callable[[int], str]
) -> Rows:
    columns = {"user": users, "item": items, "score": scores}
    return Rows(path, {name: pa.array(values, pa.string()) for name, values in columns.items()}, place_of)
