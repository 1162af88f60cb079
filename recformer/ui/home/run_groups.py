"""The runs by the value of one setting: how many each value has, and how good they are."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from recformer.config import text_of
from recformer.logs.best import NDCG, loss_tag
from recformer.run.search import differing, number_of
from recformer.ui.home.runs_table import Row, column_of, digest
from recformer.ui.shared.words import plain

MISSING = "–"


@dataclass(frozen=True)
class Group:
    """Runs that have one value of a setting."""

    value: Any
    """None where they lack it."""
    rows: list[Row]
    best: float | None
    mean: float | None
    deviation: float | None
    """Of the sample; None for fewer than two runs with a figure."""


def group_keys(rows: list[Row]) -> list[str]:
    """Settings, the dataset among them, that are not the same in all of these runs."""
    settings = [{"dataset": row.entry.values.get("dataset")} | row.settings for row in rows]
    return sorted(differing(settings))


def judged_by(rows: list[Row]) -> str | None:
    """The tag that says how good a run is: NDCG@10, or the loss where no run has that."""
    tags = {tag for row in rows for tag in row.figures.best}
    return NDCG if NDCG in tags else loss_tag(tags)


def groups(rows: list[Row], key: str) -> list[Group]:
    """One group a value, in the order of the values; runs that lack it come last."""
    judge = judged_by(rows)
    better: Callable[..., float] = max if judge == NDCG else min
    by_value: dict[str, list[Row]] = {}
    for row in rows:
        by_value.setdefault(value_text(row, key), []).append(row)
    found = [_group(same, key, judge, better) for same in by_value.values()]
    return sorted(found, key=lambda group: _order(group.value))


def _group(rows: list[Row], key: str, judge: str | None, better: Callable[..., float]) -> Group:
    figures = [row.figures.best[judge] for row in rows if judge in row.figures.best]
    return Group(
        value=_value(rows[0], key),
        rows=rows,
        best=better(figures) if figures else None,
        mean=statistics.fmean(figures) if figures else None,
        deviation=statistics.stdev(figures) if len(figures) > 1 else None,
    )


def _value(row: Row, key: str) -> Any:
    return row.entry.values.get("dataset") if key == "dataset" else row.settings.get(key)


def value_text(row: Row, key: str) -> str:
    value = _value(row, key)
    return MISSING if value is None else text_of(value)


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers by their size, then text, then what is missing."""
    number = number_of(value)
    return (2, 0.0, "") if value is None else (1, 0.0, text_of(value)) if number is None else (0, number, "")


def show_groups(rows: list[Row], key: str) -> list[Row]:
    """The groups as a table; returns the runs of those that are ticked, of all where none is, in the groups' order."""
    found = groups(rows, key)
    frame = pd.DataFrame(
        {
            "value": column_of(group.value for group in found),
            "runs": [len(group.rows) for group in found],
            "best": pd.Series([group.best for group in found], dtype=float),
            "mean": pd.Series([group.mean for group in found], dtype=float),
            "deviation": pd.Series([group.deviation for group in found], dtype=float),
        }
    )
    judge = judged_by(rows)
    name = "NDCG@10" if judge == NDCG else judge or "figure"
    figure = "%.4f" if judge == NDCG else "%.4g"
    selection: Any = st.dataframe(
        frame,
        key=f"home.groups.{digest([key, *(text_of(group.value) for group in found)])}",
        hide_index=True,
        placeholder=MISSING,
        on_select="rerun",
        selection_mode="multi-row",
        width="content",
        column_config={
            "value": st.column_config.Column(key, width=180),
            "runs": st.column_config.NumberColumn("Runs", width="small"),
            "best": st.column_config.NumberColumn(f"Best {name}", format=figure, width=120),
            "mean": st.column_config.NumberColumn("Mean", format=figure, width="small"),
            "deviation": st.column_config.NumberColumn(
                "± sd", format=figure, width="small", help="Standard deviation over the runs of the group"
            ),
        },
    )
    ticked = [found[place] for place in selection["selection"]["rows"] if place < len(found)]
    if not ticked:
        st.caption(f"By {plain(key)}, each run at its best epoch. Tick groups to see only their runs below.")
    return [row for group in found if group in ticked or not ticked for row in group.rows]
