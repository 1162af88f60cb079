"""Monitor: is this run going well?"""

import streamlit as st

from recformer.ui import monitoring, readers
from recformer.ui.frame import frame
from recformer.ui.run_views import show_damaged

with frame("Monitor"):
    runs, damaged = readers.runs()
    run = monitoring.pick_run(runs)
    if run is None:
        st.info("Nothing to watch yet.", icon=":material/monitoring:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
    elif run.state.active:
        monitoring.live(run.run_id)
    else:
        monitoring.show(run.run_id)
    show_damaged(damaged)
