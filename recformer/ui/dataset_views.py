"""The Data page's parts: counts, charts, the movie table, and where the data came from."""

import streamlit as st

from recformer.data import summary
from recformer.data.dataset import Dataset
from recformer.data.download import provenance
from recformer.ui.charts import bar_chart, histogram, popularity_chart
from recformer.ui.fetching import LICENCE


def show_counts(dataset: Dataset) -> None:
    """How much there is."""
    counts = summary.counts(dataset)
    figures = [
        ("Users", f"{counts.users:,}"),
        ("Movies", f"{counts.items:,}"),
        ("Rated movies", f"{counts.items_rated:,}"),
        ("Ratings", f"{counts.interactions:,}"),
        ("Sparsity", f"{100 * counts.sparsity:.1f}%"),
    ]
    with st.container(horizontal=True):
        for label, value in figures:
            help_text = "Share of user-movie pairs without a rating." if label == "Sparsity" else None
            st.metric(label, value, width=140, help=help_text)
    doubts: list[str] = []
    if not summary.times_are_real(dataset):
        doubts.append(
            "times are placeholders: only the order within a user means anything, so do not use global_temporal"
        )
    if not summary.ratings_are_real(dataset):
        doubts.append("ratings are all alike")
    if doubts:
        st.info(f"In this set {' and '.join(doubts)}.", icon=":material/info:")


def show_charts(dataset: Dataset) -> None:
    """Interactions over time, the popularity's long tail, and the lengths of histories."""
    left, middle, right = st.columns(3)
    popularity = popularity_chart("Popularity of movies", summary.sorted_popularity(dataset))
    left.plotly_chart(popularity, key="data.popularity")
    lengths = histogram("Length of histories", summary.history_lengths(dataset), "movies of one user", "users")
    middle.plotly_chart(lengths, key="data.lengths")
    with right:
        if summary.times_are_real(dataset):
            times = summary.interactions_over_time(dataset)
            chart = bar_chart(
                "Ratings over time", times["start"].to_numpy(), times["interactions"].to_numpy(), "", "ratings"
            )
            st.plotly_chart(chart, key="data.times")
        else:
            st.caption("No chart over time: this set's times are placeholders.")


def show_movies(dataset: Dataset) -> None:
    """All movies, searchable by title and genre."""
    table = summary.movie_table(dataset)
    search = st.text_input(
        "Find a movie", key="movie", bind="query-params", placeholder="title or genre, such as alien or horror"
    )
    if search:
        table = summary.find_movies(table, search)
    st.dataframe(
        table,
        key="data.movies",
        hide_index=True,
        height=360,
        column_config={
            "item_id": st.column_config.NumberColumn("Id", format="%d", width="small"),
            "title": st.column_config.TextColumn("Movie", width="large"),
            "year": st.column_config.NumberColumn("Year", format="%d", width="small"),
            "genres": st.column_config.ListColumn("Genres"),
            "interactions": st.column_config.NumberColumn("Ratings", width="small"),
            "mean_rating": st.column_config.NumberColumn("Mean rating", format="%.2f", width="small"),
        },
    )
    st.caption(f"{len(table):,} of {dataset.num_items:,} movies")


def show_provenance(dataset: Dataset) -> None:
    """Where the data came from, and what may be done with it."""
    source = provenance(dataset.source)
    came = f"From {source['source']} ({source['checksum']}), fetched {source['fetched_at']}. " if source else ""
    st.caption(
        f"{came}Read from {dataset.source} as {dataset.reader}, fingerprint {dataset.fingerprint}. "
        f"{source['licence'] if source else LICENCE}"
    )
