"""What the server does when it starts: say who can reach it, prepare Home, open a browser."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from threading import Thread

import streamlit as st
from streamlit import cli_util, config
from streamlit.web.server import server_util

from recformer.errors import RecformerError
from recformer.ui.server import open_to_others


@asynccontextmanager
async def opened(_app: st.App) -> AsyncGenerator[None]:
    """The lifespan of the server. An `st.App` opens no browser, so this does."""
    if warning := open_to_others():
        cli_util.print_to_cli(f"  {warning}\n", fg="yellow")
    Thread(target=prepare, daemon=True).start()
    if not st.get_option("server.headless"):
        cli_util.open_browser(server_util.get_url(_address_to_open()))
    yield


def _address_to_open() -> str:
    if config.is_manually_set("browser.serverAddress"):
        return st.get_option("browser.serverAddress")
    return server_util.get_display_address(st.get_option("server.address") or "localhost")


def prepare() -> None:
    """Import what Home needs, then read the records of all runs. With 2,000 runs that takes some two seconds."""
    # Not at the file's top: what the pages keep in memory needs the server that is starting.
    from recformer.ui.home import page
    from recformer.ui.shared import readers

    assert page
    with suppress(RecformerError):  # Home says it
        readers.runs()
