"""What holds for every test: it finds the test process as the test before it found it."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does; pytest's own limit stops one that hangs.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def own_main_module() -> Iterator[None]:
    """Streamlit's test harness leaves the page it ran as `__main__`; a spawned process would run that page again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
