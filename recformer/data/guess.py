"""A guess of how files are written and what their columns mean, from names and first rows, with its reasons.

What cannot be told is asked for by an error, never assumed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from recformer.data.column_words import WORDS, Role, score, words_in
from recformer.data.guess_files import Files, files_in, named
from recformer.data.guess_form import ISO, NUMBER, form_of
from recformer.data.mapping import Attributes, Duplicates, Form, Format, Mapping, TimeUnit
from recformer.data.rows import read_rows
from recformer.data.table import shown
from recformer.data.values import DATE, unit_that_fits
from recformer.errors import DataError, UsageError

_TITLE = ("title", "name", "label", "description")
_FORM = ("format", "separator", "encoding", "header", "quotes", "complete")
_DATES = {"iso": "dates", "dmy": "dates, the day first", "mdy": "dates, the month first"}
_HEAD_ROWS = 500


@dataclass(frozen=True)
class Said:
    """What people say of their data; None where they leave it to the guess."""

    user: str | None = None
    item: str | None = None
    time: str | None = None
    has_no_time: bool = False
    rating: str | None = None
    event: str | None = None
    time_unit: TimeUnit | None = None
    duplicates: Duplicates | None = None
    min_rating: float | None = None
    events: tuple[str, ...] = ()
    min_user: int = 0
    min_item: int = 0
    items: Path | None = None
    item_id: str | None = None
    title: str | None = None
    users: Path | None = None
    user_id: str | None = None
    noun: str | None = None
    format: Format | None = None
    separator: str | None = None
    encoding: Literal["utf-8", "latin-1"] | None = None
    header: bool | None = None
    quotes: bool | None = None
    complete: bool | None = None
    """Whether a last line without a line break is whole, in all files."""


@dataclass(frozen=True)
class Guess:
    """A mapping, and where the files are that it names."""

    mapping: Mapping
    paths: dict[str, Path]
    """By the names that the mapping gives them."""
    reasons: list[str]
    """A sentence for each thing that was guessed."""


def guess(path: Path, said: Said | None = None) -> Guess:
    """How the file or folder at `path` becomes interactions, as far as people have not said it.

    Raises DataError where it cannot be told, naming what to say, and UsageError for what contradicts itself.
    """
    said, reasons = said or Said(), list[str]()
    files, form, rows = head(path, said, reasons)
    columns = _columns(files.interactions[0], form, rows, said, reasons)
    paths = named([*files.interactions, *(one for one in (files.items, files.users) if one)])
    names = {where: name for name, where in paths.items()}
    try:
        mapping = Mapping(
            files=tuple(names[one] for one in files.interactions),
            parts=tuple(files.parts),
            form=form,
            time_unit=said.time_unit or _unit(columns.get("time"), rows, reasons),
            duplicates=said.duplicates,
            min_rating=said.min_rating,
            events=said.events,
            min_user=said.min_user,
            min_item=said.min_item,
            items=_attributes(files.items, names, "item", columns["item"], said, reasons),
            users=_attributes(files.users, names, "user", columns["user"], said, reasons),
            noun=said.noun or "item",
            **columns,
        )
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise UsageError(f"{where} cannot be {shown(str(wrong['input']))}: {wrong['msg']}. Name another") from None
    return Guess(mapping, paths, reasons)


def head(path: Path, said: Said, reasons: list[str]) -> tuple[Files, Form, dict[str, list[Any]]]:
    """Which files there are, how the first of them is written, and its first rows; `reasons` gets what was guessed.

    Raises as `guess`.
    """
    files = files_in(path, reasons)
    files.items, files.users = said.items or files.items, said.users or files.users
    given = _header(said.user, said.item, said.time, said.rating, said.event)
    given |= {name: getattr(said, name) for name in _FORM if getattr(said, name) is not None}
    form = form_of(files.interactions[0], given, reasons)
    return files, form, first_rows(files.interactions[0], form)


def _header(*names: str | None) -> dict[str, Any]:
    """That there is a header, where columns are named otherwise than 1, 2, 3, …"""
    return {"header": True} if any(name is not None and not name.isdecimal() for name in names) else {}


def first_rows(path: Path, form: Form, most: int = _HEAD_ROWS) -> dict[str, list[Any]]:
    """The first values of each column of a file. Raises DataError as `read_rows`."""
    rows = next(read_rows(path, form), None)
    if rows is None:
        raise DataError(f"{path}: there is no row in it. Name another file")
    heads = {name: column[:most].to_pylist() for name, column in rows.columns.items()}
    return {name: ["" if value is None else value for value in values] for name, values in heads.items()}


def _columns(path: Path, form: Form, rows: dict[str, list[Any]], said: Said, reasons: list[str]) -> dict[Role, str]:
    """The column of each role: what was said, else the best by name, else by place where there are no names."""
    roles: dict[Role, str] = {role: getattr(said, role) for role in WORDS if getattr(said, role) is not None}
    for role, name in roles.items():
        if name not in rows:
            raise _no_column(path, role, name, rows)
    if form.format == "sequences":
        return {"user": "user", "item": "item"}
    open_roles: list[Role] = [role for role in WORDS if role not in roles and not (role == "time" and said.has_no_time)]
    if form.header or form.format != "delimited":
        for role in open_roles:
            _by_name(role, rows, roles, reasons)
    else:
        _by_place(rows, roles, open_roles, reasons)
    if "time" not in roles and not said.has_no_time:
        times = [name for name in rows if name not in roles.values() and _unit_of(rows[name]) is not None]
        if len(times) == 1:
            roles["time"] = times[0]
            reasons.append(f"time is {shown(times[0])}: its values are times")
    missing = [role for role in ("user", "item") if role not in roles]
    if missing:
        raise DataError(
            f"{path}: nothing says which column is the {' and which the '.join(missing)}; the columns are "
            f"{', '.join(map(shown, rows))}. Name them"
        )
    if "time" not in roles:
        reasons.append("there is no time: the order of lines is the order in time")
    return roles


def _no_column(path: Path, what: str, name: str, rows: dict[str, list[Any]]) -> DataError:
    there = ", ".join(map(shown, rows))
    return DataError(f"{path}: {what} {name!r} is no column; there are {there}. Name one of them")


def _by_name(role: Role, rows: dict[str, list[Any]], roles: dict[Role, str], reasons: list[str]) -> None:
    free = [name for name in rows if name not in roles.values()]
    scores = {name: score(name, role) for name in free}
    if role in ("rating", "time"):
        scores = {name: score for name, score in scores.items() if role == "time" or all(map(_is_number, rows[name]))}
    best = max(scores.values(), default=0)
    found = [name for name, score in scores.items() if score == best]
    if best == 0:
        return
    roles[role] = found[0]
    others = [name for name, score in scores.items() if score and name != found[0]]
    beside = f"; {', '.join(map(shown, others))} could be it too" if others else ""
    reasons.append(f"{role} is {shown(found[0])}, by its name{beside}")


def _by_place(
    rows: dict[str, list[Any]], roles: dict[Role, str], open_roles: Sequence[Role], reasons: list[str]
) -> None:
    """Without names: user, item, then a rating and a time, each where the values can be that."""
    free = [name for name in rows if name not in roles.values()]
    for role in ("user", "item"):
        if role in open_roles and free:
            roles[role] = free.pop(0)
    times = [name for name in free if _unit_of(rows[name]) is not None]
    if "time" in open_roles and times:
        roles["time"] = times[-1]
        free.remove(times[-1])
    ratings = [name for name in free if all(map(_is_number, rows[name])) and len(set(rows[name])) <= 20]
    if "rating" in open_roles and ratings:
        roles["rating"] = ratings[0]
    places = ", ".join(f"{role} column {name}" for role, name in roles.items())
    reasons.append(f"without names the columns go by their places: {places}")


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and NUMBER.fullmatch(value) is not None


def _unit_of(values: list[Any]) -> TimeUnit | None:
    """The unit in which all values are times from 1980 to 2100; None where they are none."""
    filled = [value for value in values if isinstance(value, str) and value.strip()]
    if not filled:
        return None
    if all(ISO.fullmatch(value.strip()) for value in filled):
        return "iso"
    dates = [re.fullmatch(DATE, value.strip()) for value in filled]
    if all(dates):
        return _order_of_dates([date for date in dates if date])
    units: set[TimeUnit | None] = {unit_that_fits(float(value)) if _is_number(value) else None for value in filled}
    return units.pop() if len(units) == 1 else None


def _order_of_dates(dates: list[re.Match[str]]) -> TimeUnit | None:
    """Whether the day or the month comes first; None where no number is above 12 and no point says it."""
    first, second = (max(int(date[place]) for date in dates) for place in (1, 2))
    if second <= 12 and (first > 12 or all("." in date[0].split(" ")[0] for date in dates)):
        return "dmy"
    return "mdy" if first <= 12 < second else None


def _unit(column: str | None, rows: dict[str, list[Any]], reasons: list[str]) -> TimeUnit:
    """The unit of a column of times. Raises DataError where its values are no times."""
    if column is None:
        return "s"
    unit = _unit_of(rows[column])
    if unit is not None:
        reasons.append(f"times are {_DATES.get(unit, f'in {unit}')}, such as {rows[column][0]}")
        return unit
    filled = [value for value in rows[column] if _is_number(value)]
    if len(filled) == len(rows[column]) and min(map(float, filled)) >= 0 and max(map(float, filled)) < 4_102_444_800:
        reasons.append(
            f"times are taken as seconds, though such as {filled[0]} is before 1980: they give an order at least"
        )
        return "s"
    example = next((value for value in rows[column] if not _is_number(value)), rows[column][0])
    if re.fullmatch(DATE, str(example).strip()):
        raise DataError(
            f"the column {shown(column)} is the time, but of dates as {shown(str(example))} nothing says whether the "
            "day comes first (dmy) or the month (mdy). Name the unit of time"
        )
    raise DataError(
        f"the column {shown(column)} is the time, but {shown(str(example))} is neither a number of s, ms or us since "
        "1970 nor a date as in 2026-11-30T20:15:00. Convert it, name another column, or say that there is no time"
    )


def _attributes(
    path: Path | None,
    names: dict[Path, str],
    role: Literal["item", "user"],
    joined: str,
    said: Said,
    reasons: list[str],
) -> Attributes | None:
    """The table of items or users in a file; `joined` is the column of the interactions that names them."""
    asked_id, asked_title = (said.item_id, said.title) if role == "item" else (said.user_id, None)
    if path is None:
        if asked_id is not None or asked_title is not None:
            raise UsageError(f"a column of a table of {role}s is named, but no file. Name the file of {role}s too")
        return None
    form = form_of(path, _header(asked_id, asked_title, joined) | {"complete": bool(said.complete)}, [])
    rows = first_rows(path, form)
    by_name = max(rows, key=lambda name: score(name, role))
    found = asked_id or (joined if joined in rows and form.header else by_name if score(by_name, role) else None)
    found = found or next(
        (name for name in rows if words_in(name) == ["id"]), None if form.header else next(iter(rows))
    )
    if found is None or found not in rows:
        there = ", ".join(map(shown, rows))
        raise DataError(f"{path}: nothing says which column has the {role}'s id; the columns are {there}. Name it")
    title = asked_title
    if title is None and role == "item":
        title = next((name for word in _TITLE for name in rows if word in words_in(name) and name != found), None)
    if title is not None and title not in rows:
        raise _no_column(path, "title", title, rows)
    reasons.append(f"in {path.name} the id is {shown(found)}" + (f" and the title {shown(title)}" if title else ""))
    return Attributes(file=names[path], id=found, title=title, form=form)
