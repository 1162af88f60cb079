"""Monitor: is this run going well?"""

import streamlit as st

from recformer.ui import log_details, monitoring, readers
from recformer.ui.frame import frame
from recformer.ui.run_views import show_damaged

with frame("Monitor"):
    runs, damaged = readers.runs()
    broken = monitoring.asked_for_damaged(damaged)
    shown = [] if broken else monitoring.pick_runs(runs)
    if broken:
        st.page_link("app.py", label="All other runs", icon=":material/home:")
    elif not runs:
        st.info("Nothing to watch yet.", icon=":material/monitoring:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
    elif shown and monitoring.moves(shown):
        monitoring.live(shown)
    elif shown:
        with st.container():  # as a fragment has one: the charts keep their place, and their zoom, when a run ends
            monitoring.show(shown)
    if len(shown) == 1:
        log_details.show_details(shown[0].run.run_id)
    show_damaged(damaged)
