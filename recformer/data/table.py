"""Reading delimited text strictly: every line is whole and every value is what it claims, or a DataError says where."""

import codecs
import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from recformer.errors import DataError
from recformer.files import gate

ID_FIELDS = ("user_id", "item_id")
RATING_FIELDS = (*ID_FIELDS, "rating", "timestamp")
LATEST_TIME = 253_402_300_799  # the last second of the year 9999; a time in milliseconds is beyond it
_WHOLE = r"[0-9]{1,18}"
_NUMBER = r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_WHOLE_ALLOWED = "a whole number, 0 or more"
_TIME_ALLOWED = "whole seconds since 1970, at most those of the year 9999"
_PATTERNS = {
    "user_id": (_WHOLE, _WHOLE_ALLOWED),
    "item_id": (_WHOLE, _WHOLE_ALLOWED),
    "rating": (_NUMBER, "a number"),
    "timestamp": (_NUMBER, _TIME_ALLOWED),
}
_TEXT_ID = (r"[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s][^\x00-\x1f\x7f]*", "any text")
_NUMBER_BYTES = b"0123456789.+-eE\n"
_UTF_8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, eq=False)
class Interactions:
    """The interactions of one file, in the order of its lines."""

    path: Path
    first_line: int
    """Line number of row 0; row r is line `first_line + r`."""
    user_ids: pd.Series
    """(N,) int64, or text as it came."""
    item_ids: pd.Series
    """(N,) int64, or text as it came."""
    ratings: NDArray[np.float32] | None
    """(N,); None where there are none."""
    timestamps: NDArray[np.int64] | None
    """(N,) seconds since 1970; None where the order of lines is all that is known."""


@dataclass(frozen=True, eq=False)
class Table:
    """A file's lines as columns of text; its methods raise DataError for the first line that is not as it must be."""

    path: Path
    first_line: int
    """Line number of row 0."""
    columns: dict[str, pd.Series]
    lines: Sequence[str] = ()
    """The lines themselves, where a message is to show them."""

    def check(self, name: str, good: pd.Series, allowed: str, label: str = "") -> pd.Series:
        """The column `name`, all of whose values are `good`; `label` is what a message calls it."""
        values = self.columns[name]
        if not good.all():
            row = int(np.argmin(good))
            found = f"is {shown(values.iloc[row])}" if values.iloc[row].strip() else "is empty"
            within = f" in {shown(self.lines[row])}" if self.lines else ""
            raise fault(self.path, self.first_line + row, f"{label or name} {found}{within}", allowed)
        return values

    def filled(self, name: str) -> pd.Series:
        """The column, none of whose values is blank."""
        return self.check(name, self.columns[name].str.strip() != "", "a value")

    def whole(self, name: str) -> NDArray[np.int64]:
        """(N,) the column's whole numbers from 0 up."""
        return self.check(name, self.columns[name].str.fullmatch(_WHOLE), _WHOLE_ALLOWED).astype("int64").to_numpy()

    def ids(self, name: str) -> pd.Series:
        """The column's ids, whole numbers, each given once."""
        return self.once(name, pd.Series(self.whole(name)))

    def once(self, name: str, ids: pd.Series) -> pd.Series:
        """The `ids` of a column, each given once."""
        again = ids.duplicated()
        if again.any():
            row = int(np.argmax(again))
            before = self.first_line + int(np.argmax(ids == ids.iloc[row]))
            found = f"{name} {ids.iloc[row]} was given in line {before} already"
            raise fault(self.path, self.first_line + row, found, "each id once")
        return ids

    def words(self, name: str, words: Mapping[str, str]) -> pd.Series:
        """What the codes of a column stand for."""
        return self.check(name, self.columns[name].isin(list(words)), ", ".join(words)).map(words)

    def movies(self, titles: Sequence[tuple[str, int | None]], genres: Sequence[list[str]]) -> pd.DataFrame:
        """Item table of MovieLens: `item_id` from `movie id`, `title`, `year` and `genre`."""
        names = pd.Series([name.strip() for name, _ in titles], dtype="str")
        years = pd.Series([year for _, year in titles], dtype="Int64")
        return pd.DataFrame({"item_id": self.ids("movie id"), "title": names, "year": years, "genre": list(genres)})

    def users(self, gender: pd.Series, age: pd.Series, occupation: pd.Series) -> pd.DataFrame:
        """User table of MovieLens: `user_id` from `user id`, `gender`, `age` and `occupation`."""
        columns = {"gender": gender, "age": age, "occupation": occupation}
        return pd.DataFrame({"user_id": self.ids("user id"), **columns})


def shown(text: str) -> str:
    """`text` quoted for a message, shortened to 80 characters."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


def fault(path: Path, line: int, what: str, allowed: str) -> DataError:
    """The one form of every message about a line: file, line, what was found, what is allowed, what to do."""
    return DataError(f"{path}, line {line}: {what}; allowed: {allowed}. Mend the line, or fetch the dataset again")


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
    text = _decoded(path, read_bytes(path))
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        within = shown(text.split("\n")[line - 1])
        raise fault(path, line, f"the control character {control.group()!r} in {within}", "printable text")
    return text.rstrip("\n").split("\n")


def _decoded(path: Path, content: bytes) -> str:
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


def read_table(
    path: Path, separator: str, names: Sequence[str], lines: list[str], first_line: int = 1, quoted: bool = False
) -> Table:
    """`lines` of `path`, split into the columns `names`, whose fields may be `quoted` as in CSV.

    Raises DataError for a line of another width, and where there is none.
    """
    rows: list[list[str]] = []
    for line, text in enumerate(lines, first_line):
        rows.append(csv_fields(path, line, text) if quoted else text.split(separator))
        if len(rows[-1]) != len(names):
            count = "1 field" if len(rows[-1]) == 1 else f"{len(rows[-1])} fields"
            raise fault(path, line, f"{count} in {shown(text)}", f"{len(names)} fields separated by {separator!r}")
    if not rows:
        raise DataError(f"{path}: there is no row in it, only a header. Fetch the dataset again")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return Table(path, first_line, {name: pd.Series(values, dtype="str") for name, values in columns})


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


def read_ratings(
    path: Path,
    separator: str,
    columns_of: Callable[[str], Sequence[str]] | None = None,
    highest: float | None = None,
    whole_ids: bool = True,
) -> Interactions:
    """The interactions in `path`.

    `columns_of` gives the columns that a header says, of which those of RATING_FIELDS count; without it there is no
    header, and all of these are there. `highest` is the best rating that the format knows, None where any number is
    allowed. `whole_ids`: ids are whole numbers, else any text. Raises DataError naming the first line that is not
    whole or holds a wrong value.
    """
    body, columns, first_line = read_bytes(path), RATING_FIELDS, 1
    if columns_of is not None:
        header, _, body = body.partition(b"\n")
        columns, first_line = tuple(columns_of(header.decode("utf-8", "replace"))), 2
    if not body.strip(b"\n"):
        raise DataError(f"{path}: there is no interaction in it, only a header. Fetch the dataset again")
    if not body.endswith(b"\n"):
        line, last = body.count(b"\n"), body.rpartition(b"\n")[2].decode("utf-8", "replace")
        raise DataError(
            f"{path}, line {first_line + line}: the last line {shown(last)} has no line break, so the file may have "
            "been cut in the middle of it; allowed: a line break after every line. Fetch the dataset again, or add the "
            "line break if the line is whole"
        )
    if body.endswith(b"\n\n"):
        body = body.rstrip(b"\n") + b"\n"  # blank lines at the end hold nothing
    patterns = _PATTERNS if whole_ids else _PATTERNS | dict.fromkeys(ID_FIELDS, _TEXT_ID)
    table = _parse(path, body, separator, columns, whole_ids)
    if table is None or not all(_possible(name, values, highest).all() for name, values in table.items()):
        raise _first_fault(path, body, separator, columns, first_line, highest, patterns)
    ratings = table["rating"].to_numpy(dtype=np.float32) if "rating" in table else None
    times = table["timestamp"].to_numpy(dtype=np.int64) if "timestamp" in table else None
    return Interactions(path, first_line, table["user_id"], table["item_id"], ratings, times)


def _parse(
    path: Path, body: bytes, separator: str, columns: Sequence[str], whole_ids: bool
) -> dict[str, pd.Series] | None:
    """RATING_FIELDS at the speed of Arrow, or None where any line is not plainly right."""
    if not whole_ids:
        body = _decoded(path, body).encode()
    elif body.translate(None, _NUMBER_BYTES + separator.encode()):
        return None  # quotes, blanks, "nan", stray bytes: left to the search for the faulty line
    if len(separator) > 1:  # Arrow takes one character
        body, separator = body.replace(separator.encode(), b"\t"), "\t"
    wanted = [column for column in RATING_FIELDS if column in columns]
    id_type = pa.int64() if whole_ids else pa.string()
    types = {column: id_type if column in ID_FIELDS else pa.float64() for column in wanted}
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body),
            read_options=arrow_csv.ReadOptions(column_names=list(columns)),
            parse_options=arrow_csv.ParseOptions(delimiter=separator, quote_char=False, ignore_empty_lines=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types, include_columns=wanted, null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid:
        return None
    if any(table.column(column).null_count for column in wanted):
        return None  # an empty field
    return {column: pd.Series(table.column(column).to_pandas()) for column in wanted}


def _first_fault(
    path: Path,
    body: bytes,
    separator: str,
    columns: Sequence[str],
    first_line: int,
    highest: float | None,
    patterns: Mapping[str, tuple[str, str]],
) -> DataError:
    """The error for the first line that is not right; the slow way, taken only then."""
    lines = body.removesuffix(b"\n").decode("utf-8", "backslashreplace").split("\n")
    try:
        table = Table(path, first_line, read_table(path, separator, columns, lines, first_line).columns, lines)
        for column in [column for column in columns if column in patterns]:
            pattern, allowed = patterns[column]
            if column == "rating" and highest is not None:
                allowed = f"a number from 0 to {highest:g} (for another scale use the recbole format)"
            spelled = table.columns[column].str.fullmatch(pattern)
            if patterns[column] is not _TEXT_ID:
                numbers = table.columns[column].where(spelled, "-1").astype("float64")
                spelled &= _possible(column, numbers, highest)
            table.check(column, spelled, allowed)
    except DataError as error:
        return error
    return DataError(
        f"{path}: the lines cannot be read as {separator.join(columns)} although each looks right; "
        "fetch the dataset again"
    )


def _possible(column: str, values: pd.Series, highest: float | None) -> pd.Series:
    """(N,) which values can be what the column of this name says."""
    if values.dtype == "str":
        return values.str.fullmatch(_TEXT_ID[0])
    if column == "timestamp":
        return (values >= 0) & (values <= LATEST_TIME) & (values % 1 == 0)
    if column == "rating":
        most = np.finfo(np.float32).max
        return (values >= (-most if highest is None else 0)) & (values <= (most if highest is None else highest))
    return values >= 0
