"""Compare: which model is better, and how sure is that?"""

import streamlit as st

from recformer.ui import comparing, readers, verdict
from recformer.ui.compare_views import VIEWS, pick_view
from recformer.ui.export_view import show_export
from recformer.ui.fetching import need_dataset
from recformer.ui.frame import frame
from recformer.ui.selection import name_unknown

with frame("Compare"):
    name_unknown(comparing.PARAMETERS)
    runs, _ = readers.runs()
    if need_dataset() and (choice := comparing.choose(runs)) is not None:
        answer = st.container()
        with st.container(horizontal=True, vertical_alignment="center"):
            view = pick_view()  # also while the evaluation is under way
            beside = st.container(width="content")
        with answer:
            comparison = comparing.compare(choice)
            if comparison is not None:
                verdict.show_verdict(comparison)
        if comparison is not None:
            with beside:
                show_export(comparison)
            VIEWS[view](comparison)
            verdict.show_protocol(comparison)
