"""The Data page's parts: counts, charts, the movie table, and where the data came from."""

import streamlit as st

from recformer.data import describe
from recformer.data.dataset import Dataset
from recformer.data.repeats import Choice, write_choice
from recformer.data.sources.download import provenance
from recformer.ui.shared.add_dataset import LICENCE
from recformer.ui.shared.charts import bar_chart, histogram, popularity_chart
from recformer.ui.shared.words import explain

REPEATS: dict[Choice, str] = {"drop": "Drop them", "keep": "Keep them"}


def show_counts(dataset: Dataset) -> None:
    """How much there is."""
    counts = describe.counts(dataset)
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
    if not describe.times_are_real(dataset):
        doubts.append(
            "times are placeholders: only the order within a user means anything, so do not use global_temporal"
        )
    if not describe.ratings_are_real(dataset):
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
            f"**{rows:,} rows repeat** user, movie and time of a row before, as where a file was appended to itself. "
            "Are they right? What you say is kept beside the files; runs belong to the data they were trained on.",
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
    ties = describe.time_ties_of(dataset)
    if ties.tied_targets:
        st.caption(
            f"{100 * ties.tied_interactions:.0f}% of ratings share user and time with another. For "
            f"{100 * ties.tied_targets:.0f}% of users the last movie, which is held out, is one of them.",
            help=explain("time_ties"),
        )


def show_charts(dataset: Dataset) -> None:
    """Interactions over time, the popularity's long tail, and the lengths of histories."""
    left, middle, right = st.columns(3)
    popularity = popularity_chart("Popularity of movies", describe.sorted_popularity(dataset))
    left.plotly_chart(popularity, key="data.popularity")
    lengths = histogram("Length of histories", describe.history_lengths(dataset), "movies of one user", "users")
    middle.plotly_chart(lengths, key="data.lengths")
    with right:
        if describe.times_are_real(dataset):
            times = describe.interactions_over_time(dataset)
            chart = bar_chart(
                "Ratings over time", times["start"].to_numpy(), times["interactions"].to_numpy(), "", "ratings"
            )
            st.plotly_chart(chart, key="data.times")
        else:
            st.caption("No chart over time: this set's times are placeholders.")


def show_movies(dataset: Dataset) -> None:
    """All movies, searchable by title and genre."""
    table = describe.movie_table(dataset)
    search = st.text_input(
        "Find a movie", key="movie", bind="query-params", placeholder="title or genre, such as alien or horror"
    )
    if search:
        table = describe.find_movies(table, search)
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
