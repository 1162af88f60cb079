"""How a file is written, guessed from its first lines."""

import codecs
import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from recformer.data.column_words import WORDS, score
from recformer.data.guess_files import kind_of
from recformer.data.mapping import Form, Format
from recformer.data.rows import PARQUET, UNREADABLE, opened
from recformer.data.table import shown
from recformer.errors import DataError

NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:?\d\d.*)?")
_SEPARATORS = ("\t", "::", ",", ";", "|", " ")
_HEAD_BYTES = 1 << 20
_HEAD_LINES = 200
MOST_BLANK_COLUMNS = 5  # of a table without names whose fields blanks separate: user, item, rating, time and one more


def form_of(path: Path, given: dict[str, Any], reasons: list[str]) -> Form:
    """How a file is written. `given` has what people said of it, by the fields of Form; `reasons` gets the rest.

    Raises DataError for a file of which it cannot be told.
    """
    head = _head(path)
    known: Any = {"format": _format(path, head)} | given
    if known["format"] in ("parquet", "json_lines"):
        return Form(format=known["format"], complete=known.get("complete", False))
    if known["format"] == "recbole":
        return Form(**({"separator": "\t", "quotes": False} | known))
    text, encoding = _text(head)
    lines = _first_lines(text)
    if not lines:
        raise DataError(f"{path}: its first lines are blank. Take them out, or name another file")
    if encoding == "latin-1" and "encoding" not in given:
        reasons.append("the file is not in UTF-8, so it is read as Latin-1")
    known = {"encoding": encoding} | known
    if known["format"] == "delimited" and "separator" not in known:
        known["separator"] = _separator(path, lines)
    if known["format"] == "sequences" or known["separator"] is None:
        reasons.append("it is a sequence file: each line is a user and then their items")
        return Form(**(known | {"format": "sequences", "separator": known.get("separator") or " "}))
    form = Form(**({"quotes": _are_quoted(lines, known["separator"])} | known))
    if '"' in text and not form.quotes and "quotes" not in given:
        reasons.append("quotes are part of the text: they are not closed everywhere")
    if "header" not in given:
        form = replace(form, header=_has_header(path, _split(lines, form)))
        if form.separator == " " and not form.header and len(_split(lines, form)[0]) > MOST_BLANK_COLUMNS:
            reasons.append("it is a sequence file: each line is a user and then their items, equally many")
            return replace(form, format="sequences")
        named = "the first line names the columns" if form.header else "there is no header: the first line is data"
        reasons.append(f"in {path.name} {named}")
    return form


def _head(path: Path) -> bytes:
    """The first bytes of a file, unpacked. Raises DataError for what cannot be read and what holds nothing."""
    try:
        head = next(opened(path, lambda _: None), b"")[:_HEAD_BYTES]
    except FileNotFoundError:
        raise DataError(f"{path} is not there. Name another file") from None
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be unpacked: {error}. Fetch the file again") from error
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(f"{path} is empty. Name another file")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path} is text in UTF-16, which is not read. Save it as UTF-8")
    return head.removeprefix(codecs.BOM_UTF8)


def _format(path: Path, head: bytes) -> Format:
    if head.startswith(PARQUET):
        return "parquet"
    if kind_of(path) in (".inter", ".item", ".user"):
        return "recbole"
    first = head.lstrip()[:1]
    if first == b"[" and kind_of(path) == ".json":
        raise DataError(f"{path} is one JSON list, which is not read. Write one object a line (JSON lines)")
    return "json_lines" if first == b"{" else "delimited"


def _text(head: bytes) -> tuple[str, Literal["utf-8", "latin-1"]]:
    """The text of a file's head, which may end within a character."""
    whole = head[: head.rfind(b"\n") + 1] or head
    try:
        return whole.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return whole.decode("latin-1"), "latin-1"


def _first_lines(text: str) -> list[str]:
    """The first lines that are not blank, without a last row that ends after them, within quotes."""
    every = text.removesuffix("\n").replace("\r", "").split("\n")[:_HEAD_LINES]
    lines = [line for line in every if line.strip()]
    odd = [place for place, line in enumerate(lines) if line.count('"') % 2]
    return lines[: odd[-1]] or lines if len(odd) % 2 else lines


def _separator(path: Path, lines: list[str]) -> str | None:
    """What separates the fields, None for a sequence file. Raises DataError where nothing does."""
    for separator in _SEPARATORS:
        form = Form(separator=separator, quotes=_are_quoted(lines, separator))
        widths = {len(fields) for fields in _split(lines, form)}
        if len(widths) == 1 and widths != {1}:
            return separator
    if not any(separator in line for line in lines for separator in _SEPARATORS[:-1]) and " " in "".join(lines):
        return None
    raise DataError(
        f"{path}: no separator splits the first lines into equally many fields; the first line is {shown(lines[0])}. "
        "Name the separator, or mend the lines"
    )


def _are_quoted(lines: list[str], separator: str) -> bool:
    if separator == "::":
        return False
    try:
        list(csv.reader((line + "\n" for line in lines), delimiter=separator, strict=True))
    except csv.Error:
        return False
    return True


def _split(lines: list[str], form: Form) -> list[list[str]]:
    if form.separator == "::" or not form.quotes:
        return [line.split(form.separator) for line in lines]
    return [row for row in csv.reader((line + "\n" for line in lines), delimiter=form.separator) if row]


def _has_header(path: Path, fields: list[list[str]]) -> bool:
    """Whether the first line has names that columns usually have, or differs in kind from the others.

    Raises DataError where nothing tells.
    """
    first, *others = fields
    if any(is_value(name) or not name.strip() for name in first):
        return False
    if any(score(name, role) >= 2 for name in first for role in WORDS):
        return True
    columns = list(zip(*others, strict=False))
    if any(name in column for name, column in zip(first, columns, strict=False)):
        return False
    if not any(all(map(is_value, column)) for column in columns):
        names = ", ".join(map(shown, first))
        raise DataError(f"{path}: nothing tells whether {names} are names of columns. Say whether there is a header")
    return True


def is_value(text: str) -> bool:
    return bool(NUMBER.fullmatch(text) or ISO.fullmatch(text))
