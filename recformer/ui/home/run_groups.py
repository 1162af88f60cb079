"""The runs by the value of one setting: how many each value has, and how good they are."""

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import Column, NumberColumn

from recformer.config import text_of
from recformer.logs.best import NDCG, loss_tag
from recformer.run.search import differing, number_of
from recformer.ui.home.runs_table import Row, column_of, digest
from recformer.ui.shared.words import plain


def group_keys(rows: list[Row]) -> list[str]:
    """Settings, the dataset among them, that are not the same in all of these runs."""
    settings = [{"dataset": row.entry.values.get("dataset")} | row.settings for row in rows]
    return sorted(differing(settings))


def show_groups(rows: list[Row], key: str) -> list[Row]:
    """The groups as a table, in the order of their values; returns the runs of those that are ticked, of all where
    none is, in the groups' order."""
    tags = {tag for row in rows for tag in row.figures.best}
    judge = NDCG if NDCG in tags else loss_tag(tags)  # what says how good a run is
    by_value: dict[str, list[Row]] = {}
    for row in rows:
        by_value.setdefault(text_of(_value(row, key)), []).append(row)
    found = sorted(by_value.values(), key=lambda group: _order(_value(group[0], key)))
    values = [_value(group[0], key) for group in found]
    judged = [pd.Series([row.figures.best.get(judge or "") for row in group], dtype=float) for group in found]
    frame = pd.DataFrame(
        {
            "value": column_of(values),
            "runs": list(map(len, found)),
            "best": [figures.max() if judge == NDCG else figures.min() for figures in judged],
            "mean": [figures.mean() for figures in judged],
            "deviation": [figures.std() for figures in judged],
        }
    )
    name = "NDCG@10" if judge == NDCG else judge or "figure"
    figure = "%.4f" if judge == NDCG else "%.4g"
    selection: Any = st.dataframe(
        frame,
        key=f"home.groups.{digest([key, *map(text_of, values)])}",
        hide_index=True,
        placeholder="–",
        on_select="rerun",
        selection_mode="multi-row",
        width="content",
        column_config={
            "value": Column(key, width=180),
            "runs": NumberColumn("Runs", width="small"),
            "best": NumberColumn(f"Best {name}", format=figure, width=120),
            "mean": NumberColumn("Mean", format=figure, width="small"),
            "deviation": NumberColumn(
                "± sd", format=figure, width="small", help="Standard deviation over the runs of the group"
            ),
        },
    )
    ticked = [place for place in selection["selection"]["rows"] if place < len(found)]
    if not ticked:
        st.caption(f"By {plain(key)}, each run at its best epoch. Tick groups to see only their runs below.")
    return [row for place, group in enumerate(found) if place in ticked or not ticked for row in group]


def _value(row: Row, key: str) -> Any:
    """None where the run lacks it."""
    return row.entry.values.get("dataset") if key == "dataset" else row.settings.get(key)


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers by their size, then text, then what is missing."""
    number = number_of(value)
    return (2, 0.0, "") if value is None else (1, 0.0, text_of(value)) if number is None else (0, number, "")
