"""A newcomer's root, the running app, and a page of a real Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.app import PATIENCE_MS, command, copied_demos, serving
from tests.browser.chromium import ARGUMENTS, installed


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root as a newcomer has it: the demo runs, and MovieLens-100K fetched by the real command."""
    root = copied_demos(tmp_path_factory.mktemp("root"))
    command(root, "data", "fetch", "ml-100k")
    return root


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with serving(root) as url:
        yield url


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    path = installed()
    assert path, "no Chromium: run python -m tests.browser.chromium, which gets one or says how"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield page
        browser.close()
