"""Compare: which model is better, and how sure is that?"""

import streamlit as st

from recformer.ui.compare import page
from recformer.ui.compare.add_lists import add_lists, show_added
from recformer.ui.compare.exports import show_export
from recformer.ui.compare.views import VIEWS, chosen_metrics, pick_view
from recformer.ui.shared import readers
from recformer.ui.shared.add_dataset import need_dataset
from recformer.ui.shared.frame import frame
from recformer.ui.shared.selection import name_unknown

with frame("Compare"):
    name_unknown(page.PARAMETERS)
    runs, _ = readers.runs()
    if need_dataset() and (choice := page.choose(runs)) is not None:
        answer = st.container()
        with st.container(horizontal=True, vertical_alignment="center"):
            view = pick_view()  # also while the evaluation is under way
            beside = st.container(width="content")
            add_lists(choice)
        with answer:
            show_added()
            comparison = page.compare(choice)
            if comparison is not None:
                page.show_conclusion(comparison)
        if comparison is not None:
            with beside:
                show_export(comparison, chosen_metrics(comparison), page.PARAMETERS)
            VIEWS[view](comparison)
            page.show_protocol(comparison)
