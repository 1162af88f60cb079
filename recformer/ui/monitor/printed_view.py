"""The end of a run's log as text, with a filter."""

import streamlit as st

from recformer.jobs.launch import LOG_FILE
from recformer.run.printed import tail
from recformer.ui.shared import readers

LINES = 200
SEARCHED = 20_000  # lines from the end


def show_log(labels: dict[str, str]) -> None:
    """The log of one of several runs, `labels` by id; the first unless another is chosen."""
    with st.expander("Log", icon=":material/article:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            run_id = next(iter(labels))
            if len(labels) > 1:
                run_id = st.selectbox("Log of", list(labels), format_func=labels.__getitem__, key="log.run", width=240)
            words = st.text_input(
                "Filter",
                key="log.filter",
                placeholder="error",
                icon=":material/search:",
                width=240,
                help="Shows the lines that hold all of these words, upper or lower case.",
            )
        path = readers.root().run(run_id) / LOG_FILE
        if words.strip():
            found = matching(tail(path, SEARCHED), words)
            _show("\n".join(found), f"No line holds {words.strip()}.")
        else:
            _show(tail(path, LINES), "This run has written no log.")


def matching(text: str, words: str) -> list[str]:
    """The last 200 lines that hold all words, whatever their case."""
    wanted = words.lower().split()
    return [line for line in text.split("\n") if all(word in line.lower() for word in wanted)][-LINES:]


def _show(text: str, otherwise: str) -> None:
    st.code(text or otherwise, language=None, height=320 if text else "content")
