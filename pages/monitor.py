"""Monitor: is this run going well?"""

import streamlit as st

from recformer.ui.monitor import log_details, page
from recformer.ui.shared import readers
from recformer.ui.shared.frame import frame
from recformer.ui.shared.run_views import show_damaged

with frame("Monitor"):
    runs, damaged = readers.runs()
    broken = page.asked_for_damaged(damaged)
    shown = [] if broken else page.pick_runs(runs)
    if broken:
        st.page_link("app.py", label="All other runs", icon=":material/home:")
    elif not runs:
        st.info("Nothing to watch yet.", icon=":material/monitoring:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
    elif shown and page.moves(shown):
        page.live(shown)
    elif shown:
        with st.container():  # as a fragment has one: the charts keep their place, and their zoom, when a run ends
            page.show(shown)
    if len(shown) == 1:
        log_details.show_details(shown[0].run.run_id)
    show_damaged(damaged)
