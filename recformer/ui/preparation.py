"""What the server does while it starts, so that the first who opens Home does not wait for it."""

from contextlib import suppress

from recformer.errors import RecformerError


def prepare() -> None:
    """Import what Home needs, then read the records of all runs. With 2,000 runs that takes some two seconds."""
    # Not at the file's top: what the pages keep in memory needs the server that is starting.
    from recformer.ui import home, readers

    assert home
    with suppress(RecformerError):  # Home says it
        readers.runs()
