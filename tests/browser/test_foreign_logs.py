"""Foreign logs in a real Chromium: the tab answers, whatever steps, times and values they have."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from recformer.run.paths import Root
from tests.browser.app import shot
from tests.foreign_runs import write_foreign_runs

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
MOST_TICKS = 30
TICKS = "() => document.querySelectorAll('.js-plotly-plot .xtick, .js-plotly-plot .ytick').length"
RANGES = """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(
    (chart) => [chart._fullLayout.xaxis, chart._fullLayout.yaxis].flatMap((axis) => axis.range.map(axis.r2l)))"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("foreign")
    write_foreign_runs(Root(root))
    return root


def test_the_tab_answers_with_steps_from_minus_100000_to_0(address: str, page: Page) -> None:
    page.goto(f"{address}/monitor?run=minus-steps")
    expect(page.locator(".js-plotly-plot .xtick").first).to_be_visible()
    assert page.evaluate(TICKS) <= MOST_TICKS
    page.get_by_text("Logarithmic").click()  # and goes on answering
    expect(page.get_by_text("not on a logarithmic axis")).to_be_visible()
    shot(page, "monitor-minus-steps")


@pytest.mark.parametrize(("run", "axis"), [("infinite", "epoch"), ("far-steps", "epoch"), ("milliseconds", "wall")])
def test_every_axis_has_a_range_and_a_few_ticks(address: str, page: Page, run: str, axis: str) -> None:
    page.goto(f"{address}/monitor?run={run}&axis={axis}")
    expect(page.locator(".js-plotly-plot .xtick").first).to_be_visible()
    assert page.evaluate(TICKS) <= MOST_TICKS * page.locator(".js-plotly-plot").count()
    ranges = page.evaluate(RANGES)
    assert ranges and None not in ranges  # what is not finite comes as None


def test_home_lists_all_of_them(address: str, page: Page) -> None:
    page.goto(address)
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    shot(page, "home-foreign")
