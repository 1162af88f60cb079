"""What holds for every test: it finds the test process as the test before it found it, and ends what it began."""

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from streamlit.components.v2 import manifest_scanner

import recformer  # noqa: F401  before PyTorch, whose threads would wait busily otherwise
from tests import fork_server
from tests.effort import examples
from tests.leftovers import end_processes_of

pytest_plugins = ["pytester"]

# Read when PyTorch is loaded: workers and the processes that tests start would take one another's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes depends on what else the machine does; pytest's own limit stops one that hangs.
settings.register_profile("test", deadline=None, max_examples=examples(100))
settings.load_profile("test")


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests a cache folder of their own, which keeps what they compiled; workers find it in the variable."""
    cache = config.rootpath / ".pytest_cache"
    os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", str(user_cache() / "ms-playwright"))
    os.environ["XDG_CACHE_HOME"] = str(cache / "xdg")


def user_cache() -> Path:
    """The user's own cache folder, where Playwright keeps the Chromium that it fetched."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@pytest.fixture(autouse=True, scope="session")
def commands_are_forked() -> Iterator[None]:
    """Commands start without importing PyTorch anew; see fork_server.py."""
    with fork_server.running():
        yield


@pytest.fixture(autouse=True, scope="session")
def installed_components_are_looked_for_once() -> Iterator[None]:
    """Each AppTest begins by reading what all installed packages say of themselves, which takes longer than a page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


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
