"""Compare: which model is better, and how sure is that?"""

import streamlit as st

from recformer.ui import comparing, readers
from recformer.ui.compare_views import VIEWS, pick_view
from recformer.ui.fetching import need_dataset
from recformer.ui.frame import frame

with frame("Compare"):
    runs, _ = readers.runs()
    if need_dataset() and (choice := comparing.choose(runs)) is not None:
        answer = st.container()
        view = pick_view()  # also while the evaluation is under way
        with answer:
            comparison = comparing.compare(choice)
            if comparison is not None:
                comparing.show_verdict(comparison)
        if comparison is not None:
            VIEWS[view](comparison)
            comparing.show_protocol(comparison)
