"""Data: what are the models trained on?"""

import streamlit as st

from recformer.ui import dataset_views, readers
from recformer.ui.fetching import add_dataset
from recformer.ui.frame import frame
from recformer.ui.poster_views import choose_posters
from recformer.ui.selection import pick_one

with frame("Data"):
    folders = readers.dataset_folders()
    if folders:
        chosen = pick_one(st.container(), "Dataset", [folder.name for folder in folders], "data", key="data.set")
        dataset = readers.dataset(next(folder for folder in folders if folder.name == chosen))
        dataset_views.ask_about_repeats(dataset)
        dataset_views.show_counts(dataset)
        dataset_views.show_time_ties(dataset)
        dataset_views.show_charts(dataset)
        dataset_views.show_movies(dataset)
        with st.expander("Posters", icon=":material/image:"):
            choose_posters(dataset)
        dataset_views.show_provenance(dataset)
    else:
        st.markdown(
            "**No dataset yet.** MovieLens-100K is small and real; training, comparing and recommending need one."
        )
    with st.expander("Add a dataset", icon=":material/add:", expanded=not folders):
        add_dataset()
