"""Data: what are the models trained on?"""

import streamlit as st

from recformer.ui.data import add_table, catalogue, page
from recformer.ui.data.ways_in import add_dataset
from recformer.ui.shared import readers
from recformer.ui.shared.frame import frame
from recformer.ui.shared.poster_views import choose_posters
from recformer.ui.shared.selection import pick_one

with frame("Data"):
    folders = readers.dataset_folders()
    if add_table.is_open():
        add_table.show()
    elif folders:
        chosen = pick_one(st.container(), "Dataset", [folder.name for folder in folders], "data", key="data.set")
        folder = next(folder for folder in folders if folder.name == chosen)
        dataset = readers.dataset(folder)
        page.ask_about_repeats(dataset)
        page.show_counts(dataset)
        page.show_time_ties(dataset)
        page.show_split_facts(dataset)
        page.show_power(dataset)
        page.offer_shuffle_test(dataset)
        page.show_charts(dataset)
        page.show_items(dataset)
        with st.expander("Images", icon=":material/image:"):
            choose_posters(dataset)
        page.show_provenance(dataset)
        catalogue.offer_removal(folder)
        with st.expander("All datasets", icon=":material/database:"):
            catalogue.show_all(folders)
    else:
        st.markdown(
            "**No dataset yet.** MovieLens-100K is small and real; training, comparing and recommending need one."
        )
    if not add_table.is_open():
        with st.expander("Add a dataset", icon=":material/add:", expanded=not folders):
            add_dataset()
