"""Train: what shall run?"""

import streamlit as st

from recformer.ui.shared import readers
from recformer.ui.shared.add_dataset import need_dataset
from recformer.ui.shared.frame import frame
from recformer.ui.train import page

with frame("Train"):
    runs, _ = readers.runs()
    if need_dataset():
        mode = st.segmented_control(
            "What to start",
            list(page.MODES),
            key="mode",
            bind="query-params",
            default="New run",
            required=True,
            label_visibility="collapsed",
        )
        page.MODES[str(mode or "New run")](runs)
