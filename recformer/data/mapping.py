"""How files become interactions: which they are, how they are written, which column is what, and what is left out.

It is guessed (`guess.py`), corrected by people, and kept as `dataset.yaml` beside the data.
"""

from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from recformer.errors import UsageError
from recformer.files import gate
from recformer.files.gate import Line
from recformer.files.writing import write_text

FILE = "dataset.yaml"
Choice = Literal["keep", "drop"]
Duplicates = Literal["keep", "first", "last", "error"]
Format = Literal["delimited", "parquet", "json_lines", "recbole", "sequences"]
TimeUnit = Literal["s", "ms", "us", "iso", "dmy", "mdy"]
GivenPart = Literal["train", "validation", "test"]
_CONFIG = ConfigDict(extra="forbid")


def is_file_name(name: str) -> bool:
    """Whether `name` may be joined to a dataset's folder: it leads nowhere else and is not hidden."""
    return bool(name) and not name.startswith(".") and not set(name) & set("/\\\0") and name.isprintable()


def _checked_name(name: str) -> str:
    if not is_file_name(name):
        raise UsageError(f"{name!r} is no name of a file in the dataset's folder")
    return name


FileName = Annotated[Line, Field(max_length=255), AfterValidator(_checked_name)]


@checked_dataclass(frozen=True, config=_CONFIG)
class Form:
    """How a file is written."""

    format: Format = "delimited"
    separator: str = ","
    """One character, or `::`; in sequence files a space stands for any blanks."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    header: bool = True
    """Whether the first line names the columns; where none does they are called 1, 2, 3, …"""
    quotes: bool = True
    """Whether a field may stand in quotes, as in CSV."""
    complete: bool = False
    """Whether a last line without a line break is whole; else the file is taken for one that was cut off."""

    @model_validator(mode="after")
    def _separates(self) -> "Form":
        if self.separator != "::" and (
            len(self.separator) != 1 or not self.separator.isascii() or self.separator in '"\r\n'
        ):
            raise UsageError(f"separator {self.separator!r}: allowed is one character, such as , ; | or a tab, or ::")
        return self


@checked_dataclass(frozen=True, config=_CONFIG)
class Attributes:
    """A file with a line for each item, or each user."""

    file: FileName
    id: Line
    """Column of the ids."""
    title: Line | None = None
    columns: tuple[Line, ...] | None = None
    """Which others are kept; None: all."""
    form: Form = Form()


@checked_dataclass(frozen=True, config=_CONFIG)
class Mapping:
    """How files become interactions."""

    files: tuple[FileName, ...]
    """In the dataset's folder; where time says nothing else, a later file's lines come later."""
    user: Line
    item: Line
    time: Line | None = None
    """None: the order of lines is the order in time."""
    rating: Line | None = None
    event: Line | None = None
    time_unit: TimeUnit = "s"
    """Of numbers since 1970; iso: dates as in 2026-11-30T20:15:00+01:00, those without a zone taken as UTC;
    dmy and mdy: dates as in 31/12/2026 20:15 and 12/31/2026 20:15."""
    form: Form = Form()
    parts: tuple[GivenPart, ...] = ()
    """Which part each of `files` is, where the data came split."""
    duplicates: Duplicates | None = None
    """Rows that repeat user, item and time of another; None: nobody has said, so they are kept."""
    min_rating: Annotated[float, Field(allow_inf_nan=False)] | None = None
    events: tuple[Line, ...] = ()
    """The kinds of event that count; none named: all."""
    min_user: Annotated[int, Field(ge=0)] = 0
    """Interactions that a user must have; with min_item repeated until all have them (k-core)."""
    min_item: Annotated[int, Field(ge=0)] = 0
    items: Attributes | None = None
    users: Attributes | None = None
    noun: Annotated[Line, Field(min_length=1, max_length=40)] = "item"

    @model_validator(mode="after")
    def _fits_together(self) -> "Mapping":
        if not self.files:
            raise UsageError("files: name at least one")
        if self.parts and len(self.parts) != len(self.files):
            raise UsageError(f"parts: {len(self.parts)} for {len(self.files)} files; name one for each, or none")
        if self.events and self.event is None:
            raise UsageError("events are chosen, but no column says which event a row is: name it as event")
        if self.min_rating is not None and self.rating is None:
            raise UsageError("there is a lowest rating, but no column of ratings: name it as rating")
        return self

    def all_files(self) -> list[str]:
        """Every file that is read."""
        return [*self.files, *(table.file for table in (self.items, self.users) if table is not None)]


@checked_dataclass(frozen=True, config=_CONFIG)
class Settings:
    """What people said of a dataset."""

    repeats: Choice | None = None
    """Of a layout's repeated rows; a mapping has `duplicates`."""
    mapping: Mapping | None = field(default=None)


_SETTINGS = TypeAdapter(Settings)


def read_settings(folder: Path) -> Settings:
    """What was said of the dataset in `folder`. Raises DataError for a damaged file."""
    return gate.read_record(folder / FILE, gate.DATA_SETTINGS, _SETTINGS) or Settings()


def write_settings(folder: Path, settings: Settings) -> None:
    """Keep it beside the files. Raises StoreError when the disk refuses."""
    text = yaml.safe_dump(_lean(asdict(settings)), sort_keys=False, allow_unicode=True)
    write_text(folder / FILE, text)


def _lean(value: Any) -> Any:
    """The value without what is None, so that the file shows what was said."""
    if isinstance(value, dict):
        return {key: _lean(entry) for key, entry in value.items() if entry is not None}
    return [_lean(entry) for entry in value] if isinstance(value, list | tuple) else value
