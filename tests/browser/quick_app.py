"""The app as always, but what refreshes itself does so three times a second: python quick_app.py run app.py …"""

from typing import Any

import streamlit as st
from streamlit.web import cli

EVERY_S = 0.3


def main() -> None:
    original = st.fragment

    def fragment(*arguments: Any, run_every: Any = None) -> Any:
        return original(*arguments, run_every=None if run_every is None else EVERY_S)

    st.fragment = fragment
    cli.main()


if __name__ == "__main__":
    main()
