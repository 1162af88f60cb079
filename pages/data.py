"""Data: what are the models trained on?"""

import streamlit as st

from recformer.ui import dataset_views, readers
from recformer.ui.fetching import add_dataset, need_dataset
from recformer.ui.frame import frame
from recformer.ui.selection import pick_one

with frame("Data"):
    if need_dataset():
        folders = readers.dataset_folders()
        chosen = pick_one(st.container(), "Dataset", [folder.name for folder in folders], "data", key="data.set")
        dataset = readers.dataset(next(folder for folder in folders if folder.name == chosen))
        dataset_views.show_counts(dataset)
        dataset_views.show_charts(dataset)
        dataset_views.show_movies(dataset)
        dataset_views.show_provenance(dataset)
        with st.expander("Add a dataset", icon=":material/add:"):
            add_dataset()
