"""What holds for every test: it finds the test process as the test before it found it, and ends what it began."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

import recformer  # noqa: F401  before PyTorch, whose threads would wait busily otherwise
from tests.leftovers import end_processes_of

pytest_plugins = ["pytester"]

# How long an example takes depends on what else the machine does; pytest's own limit stops one that hangs.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def own_main_module() -> Iterator[None]:
    """Streamlit's test harness leaves the page it ran as `__main__`; a spawned process would run that page again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True, scope="module")
def no_process_of_a_module_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A training that a failed test left would go on for hours, on the cores of all tests after it."""
    yield
    end_processes_of(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def no_process_of_a_test_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """As for a module; what module fixtures started goes on."""
    yield
    if (folder := request.node.funcargs.get("tmp_path")) is not None:
        end_processes_of(folder)
