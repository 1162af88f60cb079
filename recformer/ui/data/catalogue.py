"""All datasets at a glance, and the way out of data/ for one of them."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from recformer.data import add
from recformer.data.cache import record_of
from recformer.errors import RecformerError, count
from recformer.files.stamps import Stamp, stamp
from recformer.ui.shared import readers
from recformer.ui.shared.frame import guard
from recformer.ui.shared.words import memory, plain

COLUMNS = {
    "name": TextColumn("Dataset"),
    "what": TextColumn("What it is"),
    "users": NumberColumn("Users", format="localized", width="small"),
    "items": NumberColumn("Items", format="localized", width="small"),
    "interactions": NumberColumn("Interactions", format="localized", width="small"),
    "runs": NumberColumn("Runs", width="small", help="Runs that were trained on it."),
}


def show_all(folders: list[Path]) -> None:
    """A line for each dataset."""
    rows = [_row(folder) for folder in folders]
    st.dataframe(pd.DataFrame(rows, columns=list(COLUMNS)), key="data.all", hide_index=True, column_config=COLUMNS)


def offer_removal(folder: Path) -> None:
    """The button that takes a dataset out of data/, once it is confirmed."""
    if folder.parent == readers.root().data and st.button(
        "Remove this dataset …", key="data.remove", icon=":material/delete:"
    ):
        _confirm(folder)


def _row(folder: Path) -> dict[str, Any]:
    record = _record(folder)
    if record is None:
        return {"name": folder.name, "what": "not read yet"}
    of_runs = sum(_fingerprint_of(run) == record["fingerprint"] for run in readers.runs()[0])
    what = f"Table of {record['nouns']['items']}" if record["reader"] == "table" else record["reader"]
    return {"name": folder.name, "what": what, **record.get("sizes", {}), "runs": of_runs}


def _fingerprint_of(run: Any) -> str | None:
    """Of the data that a run's best checkpoint was trained on."""
    dataset = (run.best or {}).get("dataset")
    return dataset.get("fingerprint") if isinstance(dataset, dict) else None


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        return _known(folder, tuple((file.name, stamp(file)) for file in sorted(folder.iterdir())))
    except (RecformerError, OSError):
        return None  # opening it says why


@st.cache_data(show_spinner=False, ttl="1m")
def _known(folder: Path, stamps: tuple[tuple[str, Stamp | None], ...]) -> dict[str, Any] | None:
    return record_of(folder, readers.root().data / ".cache")


@st.dialog("Remove this dataset?", icon=":material/delete:")
def _confirm(folder: Path) -> None:
    with guard():
        lost = add.own_bytes(folder)
        what = (
            f"{memory(lost)} of files that may be nowhere else are deleted for good."
            if lost
            else "Its files stay where they are."
        )
        runs = _row(folder).get("runs", 0)
        trained = (
            f" {count(runs, 'run')} trained on it stay{'s' if runs == 1 else ''}, and cannot be resumed, evaluated or "
            "asked for recommendations until the same data are back."
            if runs
            else ""
        )
        st.markdown(f"**{plain(folder.name)}** leaves the list. {what}{trained}")
        with st.container(horizontal=True):
            if st.button("Remove", type="primary", icon=":material/delete:", key="data.remove.yes"):
                add.remove(folder.name, readers.root().data)
                st.query_params.pop("data", None)
                st.rerun()
            if st.button("Keep it", key="data.remove.no"):
                st.rerun()
