"""Columns of text as times and ratings, or an error that says which value is not one."""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from recformer.data.mapping import TimeUnit
from recformer.data.report import day_of
from recformer.data.rows import Column, Rows, pc
from recformer.data.table import LATEST_TIME, shown
from recformer.errors import DataError

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}
MICRO = 10**6
LIKELY = (315_532_800, 4_102_444_800)  # 1980 to 2100: when people bought, watched or rated something
DATE = r"(\d{1,2})[./-](\d{1,2})[./-]\d{4}([T ]\d{1,2}:\d\d.*)?"
"""A day and a month, or the other way round, and a year."""
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:?\d\d|$)"
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"


def is_filled(column: Column) -> NDArray[np.bool_]:
    """(n,) which texts hold more than blanks."""
    filled = pc.not_equal(pc.utf8_trim_whitespace(column), "").fill_null(False)
    return filled.to_numpy(zero_copy_only=False)


def times_of(rows: Rows, name: str, unit: TimeUnit) -> NDArray[np.int64]:
    """(n,) microseconds since 1970. Raises DataError for the first value that is no time from 1970 to 9999."""
    column = filled_texts(rows, name, "Fill it in, leave the row out, or name no time: the order of lines then counts")
    if unit in ("s", "ms", "us"):
        return _numeric_times(rows, name, column, unit)
    return _dates(rows, name, column, column if unit == "iso" else _as_iso(rows, name, column, unit))


def ratings_of(rows: Rows, name: str) -> NDArray[np.float32]:
    """(n,) Raises DataError for the first value that is no number."""
    numbers = finite_numbers(rows, name, "Mend the line, or name another column of ratings")
    good = np.abs(numbers) <= np.finfo(np.float32).max
    _refuse(rows, name, rows.columns[name], good, "is no finite number", "Mend the line")
    return numbers.astype(np.float32)


def finite_numbers(rows: Rows, name: str, remedy: str) -> NDArray[np.float64]:
    """(n,) Raises DataError for the first value that is no finite number."""
    column = filled_texts(rows, name, f"Fill it in. {remedy}")
    numbers = _numbers(rows, name, column, remedy).astype(np.float64)
    _refuse(rows, name, column, np.isfinite(numbers), "is no finite number", remedy)
    return numbers


def unit_that_fits(value: float) -> TimeUnit | None:
    """The unit in which a number is a time from 1980 to 2100; None where there is none."""
    units: tuple[TimeUnit, ...] = ("s", "ms", "us")
    return next((unit for unit in units if LIKELY[0] <= value / PER_SECOND[unit] < LIKELY[1]), None)


def filled_texts(rows: Rows, name: str, remedy: str) -> Column:
    """(n,) texts, none of them blank. Raises DataError for the first that is, and for a column of lists."""
    column = rows.columns[name]
    if not pa.types.is_string(column.type):
        raise DataError(f"{rows.path}: the column {shown(name)} holds lists. Name another column")
    _refuse(rows, name, column, is_filled(column), "is empty", remedy)
    return column


def _refuse(rows: Rows, name: str, column: Column, good: NDArray[np.bool_], what: str, remedy: str) -> None:
    if not good.all():
        row = int(np.argmin(good))
        value = column[row].as_py()
        said = what if value is None or not value.strip() else f"{shown(value)} {what}"
        raise rows.fault(row, f"{name} {said}", remedy)


def _numbers(rows: Rows, name: str, column: Column, remedy: str) -> NDArray[np.int64] | NDArray[np.float64]:
    """(n,) whole numbers where all are, else fractional ones."""
    for kind in (pa.int64(), pa.float64()):
        try:
            return column.cast(kind).to_numpy()
        except pa.ArrowInvalid:
            column = pc.utf8_trim_whitespace(column)
    good = pc.match_substring_regex(column, _NUMBER).to_numpy(zero_copy_only=False)
    _refuse(rows, name, column, good, "is no number", remedy)
    raise rows.fault(0, f"{name} holds what is no number", remedy)  # what Arrow reads otherwise than the pattern


def _numeric_times(rows: Rows, name: str, column: Column, unit: TimeUnit) -> NDArray[np.int64]:
    remedy = "Say that the times are iso dates" if _looks_iso(column)[0] else "Mend the line, or name another column"
    numbers = _numbers(rows, name, column, remedy)
    per = PER_SECOND[unit]
    with np.errstate(invalid="ignore"):
        good = (numbers >= 0) & (numbers <= (LATEST_TIME + 1) * per - 1)
    if not good.all():
        value = float(numbers[int(np.argmin(good))])
        fits = unit_that_fits(value)
        when = f"read in {unit}, is {day_of(value / per)}" if np.isfinite(value) else "is no time"
        hint = f"Say that the unit of time is {fits}" if fits else "Mend the line, or say another unit of time"
        _refuse(rows, name, column, good, f"{when}; allowed: the years 1970 to 9999", hint)
    if numbers.dtype == np.int64:
        return numbers.astype(np.int64) * (MICRO // per)
    return np.round(numbers * (MICRO / per)).astype(np.int64)


def _looks_iso(column: Column) -> NDArray[np.bool_]:
    return pc.match_substring_regex(column, _ISO).to_numpy(zero_copy_only=False)


def _as_iso(rows: Rows, name: str, column: Column, unit: TimeUnit) -> Column:
    """Dates as 1/2/2026 8:26 in the form of ISO 8601. Raises DataError for the first that is none."""
    good = pc.match_substring_regex(column, f"^{DATE}$").to_numpy(zero_copy_only=False)
    _refuse(rows, name, column, good, "is no date as in 31/12/2026 or 31/12/2026 20:15", "Mend the line")
    for short in (r"^()(\d[./-])", r"^(\d\d[./-])(\d[./-])", r"([T ])(\d:)"):
        column = pc.replace_substring_regex(column, short, r"\10\2")
    day, month = (r"\1", r"\2") if unit == "dmy" else (r"\2", r"\1")
    return pc.replace_substring_regex(column, r"^(\d\d)[./-](\d\d)[./-](\d{4})", rf"\3-{month}-{day}")


def _dates(rows: Rows, name: str, column: Column, iso: Column) -> NDArray[np.int64]:
    """(n,) microseconds since 1970 of dates in the form of ISO 8601; `column` has them as they came."""
    allowed = "is no date as in 2026-11-30 or 2026-11-30T20:15:00+01:00"
    numbers = pc.match_substring_regex(column, _NUMBER).to_numpy(zero_copy_only=False)
    remedy = "Say in which unit the numbers are: s, ms or us" if numbers[0] else "Mend the line"
    _refuse(rows, name, column, _looks_iso(iso), allowed, remedy)
    times = pd.to_datetime(pd.Series(iso.to_pandas()), format="ISO8601", utc=True, errors="coerce")
    _refuse(rows, name, column, times.notna().to_numpy(), allowed, remedy)
    micros = times.dt.as_unit("us").astype("int64").to_numpy()
    good = (micros >= 0) & (micros < (LATEST_TIME + 1) * MICRO)
    _refuse(rows, name, column, good, "is outside the years 1970 to 9999", remedy)
    return micros
