"""Any file of rows, in any of the forms of `mapping.Form`, as batches of columns of text that know their lines.

Ids are text until all have been seen: only then is it known whether they are plain numbers.
"""

import codecs
import csv
import gzip
import io
import json
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from recformer.data.mapping import Form
from recformer.data.table import shown
from recformer.errors import DataError
from recformer.files import gate

pc: Any = pyarrow.compute  # whose functions are made when it is imported
Column = Any
"""An array of pyarrow's."""
BLOCK_BYTES = 1 << 24
BATCH_ROWS = 1 << 18
MOST_LINE_BYTES = 1 << 26
MOST_TIMES, SMALL_BYTES = 200, 1 << 30
"""A table that is compressed becomes 3 to 30 times as large; what is larger is refused where it is not small."""
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeError, KeyError, OverflowError)
"""What the readers of compressed files and of Parquet raise for damaged ones."""
_MEND_QUOTES = "Mend the quotes, or say that there are none"
_UNIT_SEPARATOR = b"\x1f"  # stands for `::` where a reader takes one character only
Told = Callable[[int], object]
"""Is told how many bytes of the file have been read."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a file that follow one another."""

    path: Path
    columns: dict[str, Column]
    """(n,) text, null where there is no value; or lists of text."""
    place_of: Callable[[int], str]
    """Where a row stands in the file: "line 17"."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def only(self, marks: NDArray[np.bool_]) -> "Rows":
        """The rows that are marked (n,)."""
        if marks.all():
            return self
        places, mask = np.flatnonzero(marks), pa.array(marks)
        columns = {name: column.filter(mask) for name, column in self.columns.items()}
        return Rows(self.path, columns, lambda row: self.place_of(int(places[row])))

    def fault(self, row: int, what: str, remedy: str) -> DataError:
        """The error for one row."""
        return fault(self.path, self.place_of(row), what, remedy)


def fault(path: Path, place: str, what: str, remedy: str) -> DataError:
    """The one form of every message about a row: file, line, what is wrong, what to do."""
    return DataError(f"{path}, {place}: {what}. {remedy}")


def read_rows(path: Path, form: Form, wanted: Sequence[str] | None = None, told: Told | None = None) -> Iterator[Rows]:
    """The rows of a file, batch by batch, each with the columns `wanted` (all where None).

    Raises DataError for the first thing that is not as it must be: a missing column, a line of another width, a cut
    file, bytes that are no text.
    """
    read = {"parquet": _parquet, "json_lines": _json_lines, "sequences": _sequences}.get(form.format, _delimited)
    try:
        yield from read(path, form, wanted, told or (lambda _: None))
    except FileNotFoundError:
        raise DataError(f"{path} is not there. Put the file back, or remove the dataset and add it again") from None
    except UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read as {form.format.replace('_', ' ')}: {first_words(error)}. It is damaged, cut off "
            "or of another format: fetch the file again, or name its format"
        ) from error


def column_names(path: Path, form: Form) -> list[str]:
    """The columns of a file. Raises DataError as `read_rows`."""
    first = next(read_rows(path, form), None)
    if first is None:
        raise DataError(f"{path}: there is no row in it. Name another file")
    return list(first.columns)


def opened(path: Path, told: Told) -> Iterator[bytes]:
    """The bytes of a file, unpacked where it is compressed by gzip or zstd."""
    with gate.open_file(path, gate.DATA) as file:
        head = file.peek(4)[:4]
        stream: Any = file
        if head[:2] == GZIP:
            stream = gzip.GzipFile(fileobj=file)  # Arrow's reader takes a cut file for a whole one
        elif head == ZSTD:
            stream = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
        most = max(MOST_TIMES * path.stat().st_size, SMALL_BYTES)
        while piece := stream.read(BLOCK_BYTES):
            told(file.tell())
            most -= len(piece)
            if most < 0 and stream is not file:
                raise DataError(
                    f"{path} unpacks to more than {MOST_TIMES} times its size, as no table does. Unpack it yourself if "
                    "it is right"
                )
            yield piece


def _blocks(path: Path, form: Form, told: Told) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a text file, as UTF-8, with the number of the first.

    Raises DataError for a file without any line, and for one that does not end with a whole line.
    """
    line, rest, begun = 1, b"", False
    for piece in opened(path, told):
        if not begun:
            piece, begun = _without_mark(path, piece), True
        block = rest + piece
        end = _end_of_rows(path, line, block, form)
        if not end and len(block) > MOST_LINE_BYTES:
            what = f"the line, or a quoted field in it, goes on for more than {MOST_LINE_BYTES >> 20} MB"
            raise fault(path, f"line {line}", what, "Name the separator, the quotes or the format of the file")
        if b"\0" in piece:
            at = line + block.count(b"\n", 0, block.index(b"\0"))
            raise fault(path, f"line {at}", "it holds a NUL byte, which no text has", "Save the file as UTF-8 text")
        if end:
            whole = block[:end]
            yield line, whole if form.encoding == "utf-8" else whole.decode(form.encoding).encode()
            line += block.count(b"\n", 0, end)
        rest = block[end:]
    if rest.strip():
        last, row = rest.split(b"\n")[0].decode("utf-8", "replace"), rest + b"\n"
        if _end_of_rows(path, line, row, form) < len(row):
            raise fault(path, f"line {line}", f"a quote is not closed: {shown(last)}", "Mend it")
        if not form.complete:
            raise DataError(
                f"{path}, line {line}: the last line has no line break; the file may be cut off: {shown(last)}. Fetch "
                "the file again, or say that it is complete",
                cli="Add --complete",
                page="Under How the file is written, choose Last line: complete",
            )
        yield line, row if form.encoding == "utf-8" else row.decode(form.encoding).encode()
    elif line == 1:
        raise DataError(f"{path} is empty: no line in it. Name another file")


def _without_mark(path: Path, piece: bytes) -> bytes:
    if piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path} is text in UTF-16, which is not read. Save it as UTF-8")
    return piece.removeprefix(codecs.BOM_UTF8)


def _end_of_rows(path: Path, line: int, block: bytes, form: Form) -> int:
    """Where the last whole row of a block ends; a quoted field may hold line breaks."""
    end = block.rfind(b"\n") + 1
    if not _has_quotes(form) or block.count(b'"', 0, end) % 2 == 0:
        return end
    whole = 0  # lines of the rows that are whole
    try:
        for _, last in _csv_rows(block[:end], form):
            whole = last
    except csv.Error as error:
        if "end of data" not in str(error):
            raise fault(path, f"line {line + whole}", str(error), _MEND_QUOTES) from None
    position = 0
    for _ in range(whole):
        position = block.index(b"\n", position) + 1
    return position


def _has_quotes(form: Form) -> bool:
    return form.quotes and form.format == "delimited" and form.separator != "::"


def _csv_rows(block: bytes, form: Form) -> Iterator[tuple[list[str], int]]:
    """The fields of each row of a block, and how many lines have been read by then. Raises csv.Error."""
    lines = block.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n")
    if form.separator == "::":
        yield from ((text.split("::"), number) for number, text in enumerate(lines, 1))
        return
    quoting: Any = csv.QUOTE_MINIMAL if _has_quotes(form) else csv.QUOTE_NONE
    reader = csv.reader((text + "\n" for text in lines), delimiter=form.separator, quoting=quoting, strict=True)
    for fields in reader:
        yield fields, reader.line_num


def _delimited(path: Path, form: Form, wanted: Sequence[str] | None, told: Told) -> Iterator[Rows]:
    names, lists = None, set[str]()
    for line, block in _blocks(path, form, told):
        if names is None:
            first = _first_row(block, form)
            names, lists = _header(path, first, form)
            wanted = _checked_columns(path, names, wanted)
            if form.header:
                line, block = line + first.count(b"\n"), block[len(first) :]
        if block.strip():
            columns = _parsed(path, line, block, form, names, wanted or names)
            columns |= {name: pc.split_pattern(columns[name], " ") for name in lists & set(columns)}
            yield Rows(path, columns, _places(line, block, form, len(next(iter(columns.values())))))


def _first_row(block: bytes, form: Form) -> bytes:
    """The first row of a block of whole rows; a quoted field may hold line breaks. Its first line, where quotes are
    wrong."""
    count, end = 1, 0
    if _has_quotes(form):
        lines = (line.decode("utf-8", "backslashreplace") for line in io.BytesIO(block))
        reader = csv.reader(lines, delimiter=form.separator, strict=True)
        with suppress(csv.Error):
            next(reader, None)
            count = max(reader.line_num, 1)
    for _ in range(count):
        end = block.index(b"\n", end) + 1
    return block[:end]


def _header(path: Path, row: bytes, form: Form) -> tuple[list[str], set[str]]:
    """The names of the columns: those of the first row, or 1, 2, 3, … where it is no header; and which hold lists.

    RecBole's say their types, as in `genre:token_seq`.
    """
    first = row.rstrip(b"\r\n")
    try:
        fields, _ = next(_csv_rows(first, form))
    except (csv.Error, StopIteration) as error:
        what = f"{shown(first.decode('utf-8', 'replace'))}: {error or 'the first line is blank'}"
        raise fault(path, "line 1", what, "Mend the line, or say that there are no quotes") from None
    if not form.header:
        return [str(number) for number in range(1, len(fields) + 1)], set()
    if form.format != "recbole":
        return [field.strip() for field in fields], set()
    typed = [field.partition(":") for field in fields]
    refuse_examples(path, [name for name, _, _ in typed])
    return [name for name, _, _ in typed], {name for name, _, kind in typed if kind == "token_seq"}


def refuse_examples(path: Path, names: Sequence[str]) -> None:
    """Raise DataError for RecBole's files of training examples, whose lines repeat one another's interactions."""
    if "item_id_list" in names:
        raise DataError(
            f"{path}: item_id_list holds all that came before, so each line is an example for training and repeats the "
            "interactions of others. Name the .inter file that has one interaction a line"
        )


def _checked_columns(path: Path, names: list[str], wanted: Sequence[str] | None) -> list[str]:
    """`wanted` itself, all of which are there once. Raises DataError."""
    times = Counter(names)
    for name in wanted or names:
        if times[name] != 1:
            what = "is there twice" if name in times else f"is not among {', '.join(map(shown, names[:40]))}"
            remedy = "Rename it" if name in times else "Name one of them, or say whether there is a header"
            raise DataError(f"{path}: the column {shown(name)} {what}. {remedy}")
    return list(wanted or names)


def _parsed(
    path: Path, line: int, block: bytes, form: Form, names: list[str], wanted: Sequence[str]
) -> dict[str, Column]:
    """The wanted columns of a block of whole lines. Raises DataError for the first line that is not right."""
    separator, body = form.separator.encode(), block
    if len(separator) > 1:
        separator, body = _UNIT_SEPARATOR, block.replace(separator, _UNIT_SEPARATOR)
    place = {name: str(number) for number, name in enumerate(names)}
    positions = [place[name] for name in wanted]
    try:
        if body is not block and _UNIT_SEPARATOR in block:
            raise pa.ArrowInvalid("a control character")
        table = arrow_csv.read_csv(
            pa.BufferReader(body),
            read_options=arrow_csv.ReadOptions(
                column_names=[str(position) for position in range(len(names))], block_size=len(body) + 1
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=separator.decode(), quote_char='"' if _has_quotes(form) else False, newlines_in_values=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={position: pa.string() for position in positions},
                include_columns=positions,
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _first_fault(path, line, block, form, len(names), error) from None
    return {name: _joined(table[position]) for name, position in zip(wanted, positions, strict=True)}


def _joined(column: Any) -> Column:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _first_fault(path: Path, line: int, block: bytes, form: Form, width: int, error: Exception) -> DataError:
    """The error for the first line that is not right; the slow way, taken only then."""
    number = 0
    try:
        block.decode("utf-8")
        for fields, last in _csv_rows(block, form):
            if fields and fields != [""] and len(fields) != width:
                what = f"{len(fields)} fields in {shown(form.separator.join(fields))}"
                allowed = f"{width}, separated by {form.separator!r}, as in the first line"
                return fault(path, f"line {line + number}", f"{what}; allowed: {allowed}", "Mend the line")
            number = last
    except UnicodeDecodeError as wrong:
        at = line + block.count(b"\n", 0, wrong.start)
        what = f"byte 0x{block[wrong.start]:02x} is not UTF-8"
        return fault(path, f"line {at}", what, "Fetch the file again, or say that its encoding is latin-1")
    except csv.Error as wrong:
        return fault(path, f"line {line + number}", str(wrong), _MEND_QUOTES)
    return fault(path, f"line {line} or later", first_words(error), "Mend it, or fetch the file again")


def _places(line: int, block: bytes, form: Form, rows: int) -> Callable[[int], str]:
    """Where each row of a block stands. Only a block with blank lines or breaks within quotes is searched for it."""

    def place(row: int) -> str:
        if block.count(b"\n") == rows:
            return f"line {line + row}"
        begins, before = list[int](), 0
        for fields, last in _csv_rows(block, form):
            if fields and fields != [""]:
                begins.append(before)
            before = last
        return f"line {line + begins[min(row, len(begins) - 1)]}"

    return place


def _sequences(path: Path, form: Form, wanted: Sequence[str] | None, told: Told) -> Iterator[Rows]:
    """One user a line, then their items: each of them becomes a row."""
    separator = None if form.separator == " " else form.separator
    for line, block in _blocks(path, form, told):
        try:
            texts = block.decode("utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise _first_fault(path, line, block, form, 0, error) from None
        lines = [text.rstrip("\r").split(separator) for text in texts]
        lengths = np.array([len(fields) - 1 for fields in lines])
        numbers = np.repeat(np.arange(line, line + len(lines)), np.maximum(lengths, 0))
        users = pa.array([fields[0] if fields else "" for fields in lines], pa.string()).take(numbers - line)
        items = pa.array(chain.from_iterable(fields[1:] for fields in lines), pa.string())
        columns = {"user": users, "item": items}
        _checked_columns(path, list(columns), wanted)
        if len(items):
            yield Rows(path, columns, lambda row, numbers=numbers: f"line {numbers[row]}")


def _json_lines(path: Path, form: Form, wanted: Sequence[str] | None, told: Told) -> Iterator[Rows]:
    # Numbers stay as they are written: 2⁶⁴ and 1.50 are ids like any other.
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
    for line, block in _blocks(path, form, told):
        records, numbers = list[dict[str, Any]](), list[int]()
        for number, text in enumerate(block.split(b"\n"), line):
            if text.strip():
                records.append(_json_record(path, number, text, decoder))
                numbers.append(number)
        if not records:
            continue
        if wanted is None:
            wanted = list(dict.fromkeys(name for record in records[:1000] for name in record))
        columns = {name: _json_column(path, numbers, name, records) for name in wanted}
        yield Rows(path, columns, lambda row, numbers=numbers: f"line {numbers[row]}")


def _json_record(path: Path, line: int, text: bytes, decoder: json.JSONDecoder) -> dict[str, Any]:
    try:
        record = decoder.decode(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        within = shown(text.decode("utf-8", "replace"))
        raise fault(path, f"line {line}", f"no JSON in {within} ({first_words(error)})", "Mend the line") from None
    if not isinstance(record, dict):
        raise fault(path, f"line {line}", f"{shown(text.decode())} has no named values", "Write an object a line")
    return record


def _json_column(path: Path, lines: list[int], name: str, records: list[dict[str, Any]]) -> Column:
    """(n,) text, or lists of text where the values are lists."""
    values = [record.get(name) for record in records]
    if all(value is None for value in values) and not any(name in record for record in records):
        names = ", ".join(map(shown, list(records[0])[:40]))
        raise fault(
            path, f"line {lines[0]}", f"no line from here on has {shown(name)}, but {names}", "Name one of them"
        )
    lists = any(isinstance(value, list) for value in values)
    for row, value in enumerate(values):
        if value is None:
            continue
        if isinstance(value, bool):
            values[row] = str(value).lower()
        parts = value if isinstance(value, list) else [value]
        if isinstance(value, dict) or any(isinstance(part, list | dict) or (lists and part is None) for part in parts):
            what = f"{shown(name)} holds values within values"
            raise fault(path, f"line {lines[row]}", what, "Give a text, a number or a list of texts")
        if lists and not isinstance(value, list):
            raise fault(path, f"line {lines[row]}", f"{shown(name)} is no list, others are", "Give all the same type")
    try:
        return pa.array(values, pa.list_(pa.string()) if lists else pa.string())
    except (UnicodeEncodeError, pa.ArrowException):
        row = next((row for row, value in enumerate(values) if _is_no_text(value)), 0)
        raise fault(path, f"line {lines[row]}", f"{shown(name)} is no text", "Mend the line") from None


def _is_no_text(value: Any) -> bool:
    try:
        pa.array([value], pa.list_(pa.string()) if isinstance(value, list) else pa.string())
    except (UnicodeEncodeError, pa.ArrowException):
        return True
    return False


def _parquet(path: Path, _: Form, wanted: Sequence[str] | None, told: Told) -> Iterator[Rows]:
    with _unpacked(path, told) as file:
        source = parquet.ParquetFile(file, page_checksum_verification=True)
        as_text = _as_text if wanted else _as_text_or_type
        wanted = _checked_columns(path, source.schema_arrow.names, wanted)
        first = 1
        for batch in source.iter_batches(BATCH_ROWS, columns=wanted, use_threads=False):
            columns = {name: as_text(path, name, batch.column(name)) for name in wanted}
            told(file.tell())
            yield Rows(path, columns, _row_after(first))
            first += batch.num_rows


def _unpacked(path: Path, told: Told) -> IO[bytes]:
    """A file that can be read at any place: itself, or a temporary copy where it is compressed as a whole."""
    file = gate.open_file(path, gate.DATA)
    if file.peek(4)[:4] == PARQUET:
        return file
    file.close()
    copy: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by who asks
    for piece in opened(path, told):
        copy.write(piece)
    copy.seek(0)
    return copy


def _row_after(first: int) -> Callable[[int], str]:
    return lambda row: f"row {first + row:,}"


def _as_text_or_type(path: Path, name: str, column: Column) -> Column:
    """(n,) as text, for a look at all columns; of one that cannot be text the type: it may be of no use to anybody."""
    try:
        return _as_text(path, name, column)
    except (DataError, pa.ArrowException):
        return pa.array([str(column.type)] * len(column))


def _as_text(path: Path, name: str, column: Column) -> Column:
    """(n,) as it would be written into a CSV file; lists as lists of text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return column.cast(pa.list_(pa.string()))
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)  # what pandas makes of no value
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_nested(kind):
        raise DataError(f"{path}: the column {shown(name)} holds {kind}. Give texts, numbers, dates or lists of texts")
    return column.cast(pa.string())


def first_words(error: Exception) -> str:
    text = gate.on_a_line(str(error).split("\n")[0])
    return text[:200] or type(error).__name__
