"""The Data page's parts: counts, charts, the table of items, and where the data came from."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from streamlit.column_config import NumberColumn, TextColumn

from recformer.config import parse_section
from recformer.data import describe
from recformer.data.categories import category_columns
from recformer.data.dataset import Dataset
from recformer.data.mapping import Mapping, read_settings
from recformer.data.nouns import MOVIES, Nouns
from recformer.data.prepared import prepare
from recformer.data.repeats import Choice, write_choice
from recformer.data.sources.download import provenance
from recformer.errors import RecformerError
from recformer.evaluation.power import Power, power_of
from recformer.evaluation.shuffle_test import ShuffleTest, of_dataset
from recformer.evaluation.split_facts import usual_split_facts
from recformer.recommend.window_edits import search
from recformer.ui.shared.add_dataset import LICENCE
from recformer.ui.shared.charts import quiet
from recformer.ui.shared.columns import column_of
from recformer.ui.shared.palette import OKABE_ITO
from recformer.ui.shared.selection import rename
from recformer.ui.shared.words import as_text, explain, plain

QUICK = 2_000_000  # of so many interactions models are ranked while one waits
MOST_ROWS = 5_000  # of the table of items, which a browser is sent whole
REPEATS: dict[Choice, str] = {"drop": "Drop them", "keep": "Keep them"}


def _described(dataset: Dataset) -> describe.Description:
    with st.spinner("Counting interactions …"):
        return describe.description_of(dataset)


def show_counts(dataset: Dataset) -> None:
    """How much there is."""
    described, nouns = _described(dataset), dataset.nouns
    counts = described.counts
    tiles = [
        ("Users", f"{counts.users:,}", None),
        (nouns.heads, f"{counts.items:,}", None),
        (f"{nouns.heads} with users", f"{counts.items_rated:,}", f"{nouns.heads} that somebody had."),
        ("Interactions", f"{counts.interactions:,}", None),
        (
            "Sparsity",
            f"{100 * counts.sparsity:.1f}%",
            f"Share of pairs of a user and {nouns.an_item} without an interaction.",
        ),
    ]
    with st.container(horizontal=True):
        for label, value, help_text in tiles:
            st.metric(label, value, width=140, help=help_text)
    doubts: list[str] = []
    if not described.times_are_real:
        doubts.append(
            "times are placeholders: only the order within a user means anything, so do not use global_temporal"
        )
    if dataset.ratings is not None and not described.ratings_are_real:
        doubts.append("ratings are all alike")
    if doubts:
        st.info(f"In this set {' and '.join(doubts)}.", icon=":material/info:")


def ask_about_repeats(dataset: Dataset) -> None:
    """What to do with rows that repeat one before, where there are any; what was said, with the way to the other."""
    rows, choice = dataset.repeats.rows, dataset.repeats.choice
    if not rows:
        return
    if choice is None:
        st.warning(
            f"**{rows:,} rows repeat** user, {dataset.nouns.item} and time of a row before, as where a file was "
            "appended to itself. Are they right? What you say is kept beside the files; runs belong to the data they "
            "were trained on.",
            icon=":material/content_copy:",
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        if choice is not None:
            st.caption(f"{rows:,} repeated rows are {'kept' if choice == 'keep' else 'dropped'}.", width="content")
        for answer, label in REPEATS.items():
            if answer != choice and st.button(label, key=f"data.repeats.{answer}"):
                write_choice(dataset.source, answer)
                st.rerun()


def show_time_ties(dataset: Dataset) -> None:
    """How much of the order in time is the order of lines alone."""
    ties = _described(dataset).ties
    if ties.tied_targets:
        st.caption(
            f"{100 * ties.tied_interactions:.0f}% of interactions share user and time with another. For "
            f"{100 * ties.tied_targets:.0f}% of users the last {dataset.nouns.item}, which is held out, is one of "
            "them.",
            help=explain("time_ties", dataset.nouns),
        )


def show_split_facts(dataset: Dataset) -> None:
    """What a reviewer would ask of the usual split, where it can be made."""
    try:
        with st.spinner("Looking at the usual split …"):
            facts = usual_split_facts(dataset)
    except RecformerError:
        return
    if said := facts.sentences():
        st.caption(f"Under leave_last_out: {' '.join(said)}", help=explain("split_facts", dataset.nouns))


def show_power(dataset: Dataset) -> None:
    """What its test users can show, where the usual split can be made; of a large set once it was asked for."""
    if dataset.num_interactions > QUICK and not st.button(
        "What can its users show?", key="data.power", icon=":material/straighten:", help=explain("power")
    ):
        return
    try:
        with st.spinner("Measuring how much users differ …"):
            power = _power(dataset)
    except RecformerError:
        return
    st.caption(str(power), help=f"{explain('power')}\n\n{plain(power.measured)}.")


@st.cache_data(show_spinner=False, hash_funcs={Dataset: lambda dataset: dataset.fingerprint})
def _power(dataset: Dataset) -> Power:
    return power_of(dataset)


def offer_shuffle_test(dataset: Dataset) -> None:
    """Whether order says anything here: asked for by a button, since it takes seconds."""
    if not st.button("Is it sequential?", key="data.shuffle", icon=":material/shuffle:", help=explain("shuffle")):
        return
    with st.spinner("Counting sequential rules in order and shuffled …"):
        found = _shuffle_test(dataset)
    st.markdown(f"Sequential rules: {found}.")


@st.cache_data(show_spinner=False, hash_funcs={Dataset: lambda dataset: dataset.fingerprint})
def _shuffle_test(dataset: Dataset) -> ShuffleTest:
    return of_dataset(prepare(dataset, parse_section("split", "leave_last_out")))


def show_charts(dataset: Dataset) -> None:
    """The popularity's long tail, the lengths of histories, and interactions over time."""
    left, middle, right = st.columns(3)
    left.plotly_chart(_popularity(describe.sorted_popularity(dataset), dataset.nouns), key="data.popularity")
    described = _described(dataset)
    edges = np.array(described.length_edges)
    centres, counts = (edges[:-1] + edges[1:]) / 2, np.array(described.users_by_length)
    lengths = _bars("Length of histories", centres, counts, f"{dataset.nouns.items} of one user", "users")
    middle.plotly_chart(lengths, key="data.lengths")
    if described.times_are_real:
        starts, counts = np.array(described.starts).astype("datetime64[s]"), np.array(described.by_start)
        right.plotly_chart(_bars("Interactions over time", starts, counts, "", "interactions"), key="data.times")
    else:
        right.caption("No chart over time: this set's times are placeholders.")


def _bars(title: str, x: NDArray[Any], y: NDArray[Any], x_title: str, y_title: str) -> go.Figure:
    bars = go.Bar(x=x, y=y, marker={"color": OKABE_ITO[0]}, hovertemplate="%{y:,}<extra>%{x}</extra>")
    return quiet(go.Figure(bars), title, x_title).update_yaxes(title=y_title)


def _popularity(counts: NDArray[np.int64], nouns: Nouns) -> go.Figure:
    """Interactions of each item, most popular first as in `counts`, on logarithmic axes."""
    kept = np.unique(np.geomspace(1, max(len(counts), 1), 400).astype(np.int64)) - 1
    line = go.Scatter(
        x=kept + 1,
        y=counts[kept],
        mode="lines",
        line={"color": OKABE_ITO[0], "width": 2},
        hovertemplate="%{y:,} interactions<extra>" + as_text(nouns.item) + " %{x}</extra>",
    )
    figure = quiet(
        go.Figure(line), as_text(f"Popularity of {nouns.items}"), as_text(f"{nouns.items}, most popular first")
    )
    return figure.update_xaxes(type="log").update_yaxes(type="log", title="interactions")


def show_items(dataset: Dataset) -> None:
    """All items, searchable by title and category."""
    rename("movie", "item")
    table, nouns = describe.item_rows(dataset), dataset.nouns
    text = st.text_input(f"Find {nouns.an_item}", key="item", bind="query-params", placeholder=_example(dataset))
    if text:
        table = table.loc[search(table, text)]
    found = len(table)
    table = table.sort_values("interactions", ascending=False, kind="stable").head(MOST_ROWS)
    ids = NumberColumn("Id", format="%d", width="small") if dataset.item_ids.dtype == np.int64 else TextColumn("Id")
    known = {
        "item_id": ids,
        "title": TextColumn(nouns.head, width="large"),
        "year": NumberColumn("Year", format="%d", width="small"),
        "interactions": NumberColumn("Interactions", width="small"),
        "mean_rating": NumberColumn("Mean rating", format="%.2f", width="small"),
    }
    columns = {name: column_of(table, name) for name in table} | known
    st.dataframe(table, key="data.items", hide_index=True, height=360, column_config=columns)
    most = f", of which the {len(table):,} with the most interactions are shown" if found > len(table) else ""
    st.caption(f"{found:,} of {nouns.count(dataset.num_items)}{most}")


def _example(dataset: Dataset) -> str:
    """What one may search for."""
    return " or ".join(["title" if "title" in dataset.item_table else "id", *category_columns(dataset.item_table)])


def show_provenance(dataset: Dataset) -> None:
    """Where the data came from, and what may be done with it."""
    source = provenance(dataset.source)
    came = f"From {source['source']} ({source['checksum']}), fetched {source['fetched_at']}. " if source else ""
    mapping = read_settings(dataset.source).mapping
    licence = source["licence"] if source else LICENCE if dataset.nouns == MOVIES else ""
    st.caption(
        plain(
            f"{came}Read from {dataset.source} {f'as {dataset.reader}' if mapping is None else _said(mapping)}, "
            f"fingerprint {dataset.fingerprint}. {licence}"
        )
    )


def _said(mapping: Mapping) -> str:
    columns = {role: getattr(mapping, role) for role in ("user", "item", "time", "rating", "event")}
    return "with " + ", ".join(f"{role} {name}" for role, name in columns.items() if name)
