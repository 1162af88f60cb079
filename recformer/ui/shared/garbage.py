"""Keeps Streamlit's collections of garbage short.

After every run of a page, each refresh included, Streamlit has Python look through all objects there are. Most are what
imports brought and stay as long as the server does; looking through them took two thirds of a refresh's time.
"""

import gc
import sys
from functools import cache


def set_imports_aside() -> None:
    """Take what is there now out of later collections, once each time that modules were imported since.

    Nothing is kept by that but cycles which are garbage later, and those of the few moments when it happens.
    """
    _freeze(len(sys.modules))


@cache
def _freeze(modules: int) -> None:
    set_aside()


def set_aside() -> None:
    """Take all there is now out of later collections, when much was made that stays."""
    gc.collect()
    gc.freeze()
