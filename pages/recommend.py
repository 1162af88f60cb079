"""Recommend: what would each model show this person?"""

import streamlit as st

from recformer.ui import readers, recommending
from recformer.ui.fetching import need_dataset
from recformer.ui.frame import frame
from recformer.ui.selection import name_unknown

with frame("Recommend"):
    name_unknown(recommending.PARAMETERS)
    runs, _ = readers.runs()
    if need_dataset():
        choice = recommending.choose(runs)
        shown = None if choice is None else recommending.ask(choice)
        if shown is not None:
            person, answers = st.columns([2, 5], gap="medium")
            with person:
                recommending.show_person(shown)
            with answers:
                recommending.show_answers(shown)
            recommending.show_more(shown)
