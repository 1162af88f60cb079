"""The table of runs: which columns there are, what stands in them, and the row that is ticked."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import (
    Column,
    DatetimeColumn,
    LineChartColumn,
    ListColumn,
    NumberColumn,
    ProgressColumn,
    TextColumn,
)

from recformer.config import flat_config, text_of
from recformer.logs.best import LOSS, NDCG
from recformer.logs.bounds import known_stamp
from recformer.run.overview import RunSummary
from recformer.run.search import Entry, dataset_name, entry_of, number_of
from recformer.ui.home.log_figures import Figures
from recformer.ui.shared.run_views import split_in_words

TICKED = "home.ticked"  # id of the run that is ticked; it stays so when the list around it changes
MANY = 10  # so many rows are shown without scrolling in any case
TALL = 528  # pixels: fourteen rows and their header
EXACT = 2**53  # beyond it a whole number is shown as text: browsers would round it


@dataclass(frozen=True)
class Row:
    """A run as the table knows it."""

    run: RunSummary
    settings: dict[str, Any]
    """By dotted key."""
    figures: Figures
    entry: Entry
    """What a search asks."""
    split: str | None
    """Under which its figures are, and why they may flatter it."""


def rows_of(runs: list[RunSummary], figures: list[Figures]) -> list[Row]:
    """A row for each run, made anew where the run or its figures have changed."""
    kept = _kept_rows()
    for run, of_run in zip(runs, figures, strict=True):
        before = kept.get(run.run_id)
        if before is None or before.run is not run or before.figures is not of_run:
            kept[run.run_id] = row_of(run, of_run)
    return [kept[run.run_id] for run in runs]


@st.cache_resource(show_spinner=False)
def _kept_rows() -> dict[str, Row]:
    return {}


def row_of(run: RunSummary, figures: Figures) -> Row:
    settings = {key: value for key, value in flat_config(run.config).items() if key != "name"}
    return Row(run, settings, figures, entry_of(run, figures.best), split_in_words(run))


def _progress(row: Row) -> float | None:
    status = row.run.status
    return min(100 * status.step / status.steps, 100) if status is not None and status.steps else None


def _epochs(row: Row) -> str | None:
    status = row.run.status
    return f"{status.epoch} of {status.num_epochs}" if status is not None else None


FIXED: dict[str, tuple[Callable[[Row], Any], Any]] = {
    "state": (lambda row: row.run.state.name, TextColumn("State", width="small")),
    NDCG: (
        lambda row: row.figures.best.get(NDCG),
        NumberColumn(
            "NDCG@10", width="small", format="%.4f", help="At the run's best epoch; validation part, history masked"
        ),
    ),
    "split": (
        lambda row: row.split,
        TextColumn(
            "Split",
            width="small",
            help="Of a run's figures: those of different splits cannot be compared. Beside it stands who may have seen "
            "the cases.",
        ),
    ),
    LOSS: (
        lambda row: row.figures.best.get(LOSS),
        NumberColumn("Loss", width="small", format="%.3f", help="Validation loss at the run's best epoch"),
    ),
    "fault": (
        lambda row: row.figures.fault,
        TextColumn("Log", width="medium", help="What is wrong with a run's log"),
    ),
    "curve": (
        lambda row: row.figures.loss,
        LineChartColumn("Loss curve", width=110, help="Validation loss, first to last epoch", color="gray"),
    ),
    "epochs": (_epochs, TextColumn("Epochs", width="small")),
    "tags": (lambda row: row.run.labels.tags, ListColumn("Tags", width=110)),
    "begun": (lambda row: known_stamp(row.run.created), DatetimeColumn("Begun", format="distance", width=110)),
    "progress": (_progress, ProgressColumn("Progress", format="%d%%", min_value=0, max_value=100, width="small")),
    "dataset": (lambda row: dataset_name(row.run), TextColumn("Dataset", width="small")),
    "id": (lambda row: row.run.run_id, TextColumn("Id", width="medium")),
    "note": (lambda row: row.run.labels.note or None, TextColumn("Note", width="medium")),
}
"""The columns that are always on offer: what stands in them, and how it is shown."""
USUAL = [name for name in FIXED if name not in ("fault", "note")]


def column_names(rows: list[Row]) -> list[str]:
    """Every column there is for these runs: the fixed ones, each setting, each tag of their logs."""
    settings = dict.fromkeys(key for row in rows for key in row.settings)
    tags = sorted({tag for row in rows for tag in row.figures.best})
    return list(dict.fromkeys([*FIXED, *(name for name in [*settings, *tags] if name != "run")]))


def column_label(name: str) -> str:
    return FIXED[name][1]["label"] if name in FIXED else name


def frame_of(rows: list[Row], columns: list[str]) -> pd.DataFrame:
    """One row a run, its name first, then `columns`."""
    named = Counter(row.run.name for row in rows)  # of those with one name the id tells which is which
    names = [row.run.name if named[row.run.name] == 1 else f"{row.run.name} · {row.run.run_id}" for row in rows]
    return pd.DataFrame({"run": names} | {name: _values(rows, name) for name in columns})


def _values(rows: list[Row], name: str) -> pd.Series:
    if name not in FIXED:
        return column_of([row.settings.get(name, row.figures.best.get(name)) for row in rows])
    is_number = name in (NDCG, LOSS, "progress", "begun")
    values = pd.Series([FIXED[name][0](row) for row in rows], dtype=float if is_number else object)
    return pd.to_datetime(values, unit="s", utc=True) if name == "begun" else values


def column_of(values: Iterable[Any]) -> pd.Series:
    """Numbers where all that is there are numbers, else text: a table's column is of one kind."""
    values = list(values)
    there = [value for value in values if value is not None]
    if all(not isinstance(value, str) and number_of(value) is not None and abs(value) <= EXACT for value in there):
        return pd.Series(values, dtype=float)
    return pd.Series([None if value is None else text_of(value) for value in values], dtype=object)


def _config(frame: pd.DataFrame) -> dict[str, Any]:
    config: dict[str, Any] = {"run": TextColumn("Run", width=220)}
    for name in frame.columns[1:]:
        share = name.startswith(("metric/", "duplication/"))
        number = NumberColumn(name, format="%.4f" if share else "%.6g")
        config[name] = FIXED[name][1] if name in FIXED else number if frame[name].dtype == float else Column(name)
    return config


def runs_table(rows: list[Row], columns: list[str]) -> list[RunSummary]:
    """All rows as a table; returns the run whose row is ticked, if any.

    A tick is a row's number. So the table is another one for another list of runs, lest the tick pass to the run that
    now stands in that place; the run itself stays ticked as long as it is in the list.
    """
    frame = frame_of(rows, columns)
    ids = [row.run.run_id for row in rows]
    key = f"home.runs.{digest(ids)}"
    ticked = st.session_state.get(TICKED)
    before: Any = {"selection": {"rows": [ids.index(ticked)] if ticked in ids else [], "columns": [], "cells": []}}
    selection: Any = st.dataframe(
        frame,
        key=key,
        height=TALL if len(rows) > MANY else "auto",
        hide_index=True,
        placeholder="–",
        on_select="rerun",
        selection_mode="single-row",
        selection_default=before if ticked in ids and key not in st.session_state else None,
        column_config=_config(frame),
    )
    chosen = [rows[place].run for place in selection["selection"]["rows"] if place < len(rows)]
    if chosen or ticked in ids:
        st.session_state[TICKED] = chosen[0].run_id if chosen else None
    return chosen


def digest(words: Iterable[str]) -> str:
    """A short name for a list, for the key of what shows it."""
    return hashlib.blake2b("\n".join(words).encode(errors="replace"), digest_size=8).hexdigest()
