"""Compare: which model is better, and how sure is that?"""

import streamlit as st

from recformer.ui import comparing, readers
from recformer.ui.fetching import need_dataset
from recformer.ui.frame import frame

with frame("Compare"):
    runs, _ = readers.runs()
    if need_dataset():
        choice = comparing.choose(runs)
        if choice is not None:
            summary = comparing.evaluate(choice)
            comparing.show_verdict(choice, summary)
            ranking, duplication, curves, configs = st.tabs(["Ranking", "Duplication", "Loss curves", "Configurations"])
            with ranking:
                comparing.show_ranking(choice, summary)
            with duplication:
                comparing.show_duplication(choice, summary)
            with curves:
                comparing.show_curves(choice)
            with configs:
                comparing.show_configs(choice)
            comparing.show_protocol(choice, summary)
