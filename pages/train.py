"""Train: what shall run?"""

import streamlit as st

from recformer.ui import launching, readers
from recformer.ui.fetching import need_dataset
from recformer.ui.frame import frame

with frame("Train"):
    runs, _ = readers.runs()
    if need_dataset():
        mode = st.segmented_control(
            "What to start",
            list(launching.MODES),
            key="mode",
            bind="query-params",
            default="New run",
            required=True,
            label_visibility="collapsed",
        )
        launching.MODES[str(mode)](runs)
