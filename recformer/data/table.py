"""Reading delimited text strictly: every line is whole and every value is what it claims, or a DataError says where."""

import codecs
import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from recformer.data.dataset import MOVIE_COLUMNS, USER_COLUMNS
from recformer.errors import DataError
from recformer.files import gate

REMEDY = "Mend the line, or fetch the dataset again"
RATING_FIELDS = ("user_id", "item_id", "rating", "timestamp")
LATEST_TIME = 253_402_300_799  # the last second of the year 9999; a time in milliseconds is beyond it
_ALLOWED = {
    "user_id": "a whole number, 0 or more",
    "item_id": "a whole number, 0 or more",
    "rating": "a number",
    "timestamp": "whole seconds since 1970, at most those of the year 9999",
}
_WHOLE = re.compile(r"[0-9]{1,18}")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NUMBER_BYTES = b"0123456789.+-eE\n"
_UTF_8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, eq=False)
class Ratings:
    """The interactions of one file, in the order of its lines."""

    path: Path
    first_line: int
    """Line number of row 0; row r is line `first_line + r`."""
    user_ids: NDArray[np.int64]
    """(N,)"""
    item_ids: NDArray[np.int64]
    """(N,)"""
    ratings: NDArray[np.float32]
    """(N,)"""
    timestamps: NDArray[np.int64]
    """(N,) seconds since 1970."""


def shown(text: str) -> str:
    """`text` quoted for a message, shortened to 80 characters."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


def fault(path: Path, line: int, what: str, allowed: str) -> DataError:
    """The one form of every message about a line: file, line, what was found, what is allowed, what to do."""
    return DataError(f"{path}, line {line}: {what}; allowed: {allowed}. {REMEDY}")


def require_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """The files `names` of `folder`. Raises DataError naming every one that is missing."""
    paths = [folder / name for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{folder}: {' and '.join(missing)} missing; this format needs {', '.join(names)}. "
            "Put the files there, or fetch the dataset again"
        )
    return paths


def read_bytes(path: Path) -> bytes:
    """Content of `path`, without a UTF-8 byte order mark and with "\\n" line ends.

    Raises DataError when it cannot be read or holds nothing.
    """
    try:
        content = gate.read_bytes(path, gate.DATA)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}. Check that the file is there and may be read"
        ) from error
    content = content.removeprefix(codecs.BOM_UTF8)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    if not content or content.isspace():
        raise DataError(f"{path} is empty ({len(content)} bytes): no line in it. Fetch the dataset again")
    return content


def read_lines(path: Path) -> list[str]:
    """Lines of a text file; blank lines at its end are left out, as some of MovieLens' own files have one.

    Raises DataError for text in no known encoding, control characters and an empty file.
    """
    text = decode(path, read_bytes(path))
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        within = shown(text.split("\n")[line - 1])
        raise fault(path, line, f"the control character {control.group()!r} in {within}", "printable text")
    return text.rstrip("\n").split("\n")


def decode(path: Path, content: bytes) -> str:
    """The text in `content`: UTF-8 where all of it is that, else Latin-1, in which the older sets are.

    Latin-1 gives every byte a character, so UTF-8 with one damaged byte would become nonsense in silence: where some
    characters are UTF-8 and others are not, DataError names the line of the first that is not.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if _UTF_8.search(content):
            line = content.count(b"\n", 0, error.start) + 1
            found = f"byte 0x{content[error.start]:02x} is not UTF-8, although other lines are"
            raise fault(path, line, found, "one encoding in the whole file, UTF-8 or Latin-1") from error
        return content.decode("iso-8859-1")


def split_line(path: Path, line: int, text: str, separator: str, fields: int) -> list[str]:
    """The fields of one line. Raises DataError unless there are exactly `fields`."""
    values = text.split(separator)
    if len(values) != fields:
        raise wrong_width(path, line, text, len(values), fields, separator)
    return values


def wrong_width(path: Path, line: int, text: str, found: int, expected: int, separator: str) -> DataError:
    """The error for a line with the wrong number of fields."""
    count = "1 field" if found == 1 else f"{found} fields"
    return fault(path, line, f"{count} in {shown(text)}", f"{expected} fields separated by {separator!r}")


def required(path: Path, line: int, name: str, value: str) -> str:
    """`value` itself. Raises DataError when it is blank."""
    if not value.strip():
        raise fault(path, line, f"{name} is empty", "a value")
    return value


def whole_number(path: Path, line: int, name: str, value: str) -> int:
    """The id or code in `value`. Raises DataError when it is not a whole number from 0 up."""
    if not _WHOLE.fullmatch(required(path, line, name, value)):
        raise fault(path, line, f"{name} is {shown(value)}", _ALLOWED["item_id"])
    return int(value)


def code_word(path: Path, line: int, name: str, value: str, words: dict[str, str]) -> str:
    """The word `value` stands for. Raises DataError naming the codes that are allowed."""
    if value not in words:
        raise fault(path, line, f"{name} is {shown(value)}", ", ".join(words))
    return words[value]


def csv_fields(path: Path, line: int, text: str) -> list[str]:
    """The fields of one line of CSV, quoted or not. Raises DataError for a quote that is not closed."""
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise fault(path, line, f"{error} in {shown(text)}", "CSV with closed quotes") from error


def header_columns(path: Path, header: list[str], wanted: Sequence[str]) -> list[str]:
    """`header` itself where it holds exactly the columns `wanted`, in any order. Raises DataError otherwise."""
    if sorted(header) != sorted(wanted):
        raise fault(path, 1, f"the columns are {', '.join(map(shown, header))}", ", ".join(wanted))
    return header


def movie_table(path: Path, rows: Iterable[tuple[int, str, str, int | None, list[str]]]) -> pd.DataFrame:
    """Frame of MOVIE_COLUMNS from (line, id, title, year, genres), in the order of the file.

    Raises DataError for an id that is not a whole number, a blank title, an id given twice and a file without
    any movie.
    """
    lines: dict[int, int] = {}
    records: list[tuple[int, str, int | None, list[str]]] = []
    for line, text, title, year, genres in rows:
        item_id = whole_number(path, line, "movie id", text)
        _enter_once(path, lines, item_id, line, "movie id")
        records.append((item_id, required(path, line, "title", title).strip(), year, genres))
    if not records:
        raise DataError(f"{path}: there is no movie in it, only a header. Fetch the dataset again")
    frame = pd.DataFrame(records, columns=MOVIE_COLUMNS)
    return frame.astype({"item_id": "int64", "title": "str", "year": "Int64"})


def user_table(path: Path, rows: Iterable[tuple[int, str, str, str, str]]) -> pd.DataFrame:
    """Frame of USER_COLUMNS from (line, id, gender, age, occupation), in the order of the file.

    Raises DataError for an id that is not a whole number, an id given twice and a file without any user.
    """
    lines: dict[int, int] = {}
    records: list[tuple[int, str, str, str]] = []
    for line, text, gender, age, occupation in rows:
        user_id = whole_number(path, line, "user id", text)
        _enter_once(path, lines, user_id, line, "user id")
        records.append((user_id, gender, age, occupation))
    if not records:
        raise DataError(f"{path}: there is no user in it, only a header. Fetch the dataset again")
    frame = pd.DataFrame(records, columns=USER_COLUMNS)
    return frame.astype({"user_id": "int64", "gender": "str", "age": "str", "occupation": "str"})


def _enter_once(path: Path, lines: dict[int, int], entry: int, line: int, name: str) -> None:
    if entry in lines:
        raise fault(path, line, f"{name} {entry} was given in line {lines[entry]} already", "each id once")
    lines[entry] = line


def read_ratings(
    path: Path, body: bytes, separator: str, columns: Sequence[str], first_line: int, highest: float | None
) -> Ratings:
    """The interactions in `body`, the lines of `path` from `first_line` on.

    `columns` is the order of RATING_FIELDS in a line; `highest` the best rating the format knows, None where
    any number is allowed. Raises DataError naming the first line that is not whole or holds a wrong value.
    """
    if not body.strip(b"\n"):
        raise DataError(f"{path}: there is no interaction in it, only a header. Fetch the dataset again")
    _check_ending(path, body, first_line)
    if body.endswith(b"\n\n"):
        body = body.rstrip(b"\n") + b"\n"  # blank lines at the end hold nothing
    table = _parse(body, separator, columns)
    if table is None:
        raise _first_fault(path, body, separator, columns, first_line)
    ratings = Ratings(
        path=path,
        first_line=first_line,
        user_ids=table["user_id"],
        item_ids=table["item_id"],
        ratings=table["rating"].astype(np.float32),
        timestamps=table["timestamp"].astype(np.int64),
    )
    _check_ranges(ratings, table["timestamp"], highest)
    return ratings


def _check_ending(path: Path, body: bytes, first_line: int) -> None:
    if body.endswith(b"\n"):
        return
    last = body[body.rfind(b"\n") + 1 :].decode("utf-8", "replace")
    line = first_line + body.count(b"\n")
    raise DataError(
        f"{path}, line {line}: the last line {shown(last)} has no line break, so the file may have been cut "
        "in the middle of it; allowed: a line break after every line. Fetch the dataset again, or add the line "
        "break if the line is whole"
    )


def _parse(body: bytes, separator: str, columns: Sequence[str]) -> dict[str, NDArray[Any]] | None:
    """(N,) arrays by column at the speed of Arrow, or None where any line is not plainly right.

    Arrow takes one character as separator: "::" is read as ":" with a column between that must be empty.
    """
    if body.translate(None, _NUMBER_BYTES + separator.encode()):
        return None  # quotes, blanks, "nan", stray bytes: left to the search for the faulty line
    names: list[str] = []
    types: dict[str, pa.DataType] = {}
    for place, column in enumerate(columns):
        if place and len(separator) == 2:
            names.append(f"gap {place}")
            types[names[-1]] = pa.null()
        names.append(column)
        types[column] = pa.int64() if column in ("user_id", "item_id") else pa.float64()
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body),
            read_options=arrow_csv.ReadOptions(column_names=names),
            parse_options=arrow_csv.ParseOptions(delimiter=separator[0], quote_char=False, ignore_empty_lines=False),
            convert_options=arrow_csv.ConvertOptions(column_types=types, null_values=[""]),
        )
    except pa.ArrowInvalid:
        return None
    if any(table.column(column).null_count for column in columns):
        return None  # an empty field
    return {column: table.column(column).to_numpy() for column in columns}


def _first_fault(path: Path, body: bytes, separator: str, columns: Sequence[str], first_line: int) -> DataError:
    """The error for the first line that is not right; the slow way, taken only when there is one."""
    for line, raw in enumerate(body.removesuffix(b"\n").split(b"\n"), first_line):
        text = raw.decode("utf-8", "backslashreplace")
        values = text.split(separator)
        if len(values) != len(columns):
            return wrong_width(path, line, text, len(values), len(columns), separator)
        for column, value in zip(columns, values, strict=True):
            pattern = _WHOLE if column in ("user_id", "item_id") else _NUMBER
            if not pattern.fullmatch(value):
                found = f"{column} is {shown(value)}" if value else f"{column} is empty"
                return fault(path, line, f"{found} in {shown(text)}", _ALLOWED[column])
    return DataError(
        f"{path}: the lines cannot be read as {separator.join(columns)} although each looks right; "
        "fetch the dataset again"
    )


def _check_ranges(table: Ratings, times: NDArray[np.float64], highest: float | None) -> None:
    """Raise DataError for the first value that is a number but cannot be what the column says."""
    whole_time = (times >= 0) & (times <= LATEST_TIME) & (np.floor(times) == times)
    rating, allowed = np.isfinite(table.ratings), "a number"
    if highest is not None:
        rating = (table.ratings >= 0) & (table.ratings <= highest)
        allowed = f"a number from 0 to {highest:g} (for another scale use the recbole format)"
    checks = (
        ("user_id", table.user_ids >= 0, table.user_ids, _ALLOWED["user_id"]),
        ("item_id", table.item_ids >= 0, table.item_ids, _ALLOWED["item_id"]),
        ("rating", rating, table.ratings, allowed),
        ("timestamp", whole_time, times, _ALLOWED["timestamp"]),
    )
    faults = [
        (int(np.argmin(good)), f"{name} is {values[np.argmin(good)]}", allowed)
        for name, good, values, allowed in checks
        if not good.all()
    ]
    if faults:
        row, found, allowed = min(faults)
        raise fault(table.path, table.first_line + row, found, allowed)
