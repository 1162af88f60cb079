"""Monitor: is this run going well?"""

import streamlit as st

from recformer.ui import log_details, monitoring, readers
from recformer.ui.frame import frame
from recformer.ui.run_views import show_damaged

with frame("Monitor"):
    runs, damaged = readers.runs()
    broken = monitoring.asked_for_damaged(damaged)
    run = None if broken else monitoring.pick_run(runs)
    if broken:
        st.page_link("app.py", label="All other runs", icon=":material/home:")
    elif run is None:
        st.info("Nothing to watch yet.", icon=":material/monitoring:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
    elif run.state.active:
        monitoring.live(run.run_id)
    else:
        monitoring.show(run.run_id)
    if run is not None:
        log_details.show_details(run.run_id)
    show_damaged(damaged)
