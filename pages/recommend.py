"""Recommend: what would each model show this person?"""

import streamlit as st

from recformer.ui import readers, recommending
from recformer.ui.fetching import need_dataset
from recformer.ui.frame import frame

with frame("Recommend"):
    runs, _ = readers.runs()
    if need_dataset():
        choice = recommending.choose(runs)
        if choice is not None:
            advice = readers.advice(choice.names, choice.data, choice.user, choice.k, choice.masking)
            person, lists = st.columns([2, 5], gap="medium")
            with person:
                recommending.show_person(choice, advice)
            with lists:
                recommending.show_lists(choice, advice)
            recommending.show_history(choice, advice)
