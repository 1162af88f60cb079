"""Recommend: what would each model show this person?"""

import streamlit as st

from recformer.ui.recommend import page
from recformer.ui.shared import readers
from recformer.ui.shared.add_dataset import need_dataset
from recformer.ui.shared.frame import frame

with frame("Recommend"):
    page.read_address()
    runs, _ = readers.runs()
    if need_dataset():
        choice = page.choose(runs)
        shown = None if choice is None else page.ask(choice)
        if shown is not None:
            person, answers = st.columns([2, 5], gap="medium")
            with person:
                page.show_person(shown)
            with answers:
                page.show_answers(shown)
            page.show_more(shown)
