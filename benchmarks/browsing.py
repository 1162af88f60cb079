"""What somebody in front of a browser waits for, measured by the browser's own clock.

Conditions are JavaScript functions of one argument. They are asked at every frame, so a time is that of the first frame
after the page came to be so. Chromium draws nothing of a tab that is not looked at: one tab at a time.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.chromium import ARGUMENTS, installed

WINDOW: ViewportSize = {"width": 1440, "height": 900}
PATIENCE_MS = 60_000

TABLE = """() => {
    const canvas = document.querySelector('[data-testid=data-grid-canvas]:not([data-seen])');
    if (!canvas?.width) return false;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, 100);
    return new Set(new Uint32Array(data.buffer)).size > 2;
}"""
"""A table that was not there before (see `forget_table`) has been drawn: more than its background and its lines."""
FORGET_TABLE = "() => document.querySelector('[data-testid=data-grid-canvas]').setAttribute('data-seen', '')"

CHARTS = """([count, identity]) => {
    const charts = [...document.querySelectorAll('.live-chart')];
    return charts.length === count && charts.every(chart =>
        chart.querySelector('.scatterlayer .trace path') && (chart._fullLayout.uirevision ?? '').startsWith(identity));
}"""
"""So many charts are drawn, each with a curve and with an identity that begins so ("epoch", the horizontal axis)."""

VIEW = """words => {
    const there = [...document.querySelectorAll('[data-testid=stMarkdownContainer], [data-testid=stCaptionContainer]')];
    const charts = [...document.querySelectorAll('.live-chart')];
    return document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
        && there.some(element => element.textContent.includes(words))
        && charts.every(chart => chart.querySelector('.main-svg'));
}"""
"""The page's script has run to its end, says these words, and all charts that it has are drawn."""

BOARD = "step => document.querySelector('scalar-card')?.textContent.includes(step)"
"""TensorBoard's first chart has been drawn: the table below it names this step."""

RECORD = """() => {
    const places = () => document.querySelector('.live-chart')._fullData.at(-1).x;
    window.drawn = {};
    let seen = places().length;
    const look = () => {
        for (const now = places(); seen < now.length; seen++) window.drawn[now[seen]] = Date.now() / 1000;
        requestAnimationFrame(look);
    };
    look();
}"""
"""From now on note when each new point of the first chart's last curve is drawn: seconds since 1970 by place."""


@contextmanager
def chromium() -> Generator[Browser]:
    """A browser without a window. Raises RuntimeError where there is none on this machine."""
    path = installed()
    if path is None:
        raise RuntimeError("no Chromium: python -m tests.browser.chromium gets one or says how")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def new_tab(browser: Browser) -> Generator[Page]:
    """A tab of a browser profile of its own, which has nothing in its cache."""
    context = browser.new_context(viewport=WINDOW)
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page
    finally:
        context.close()


def painted(page: Page, url: str, condition: str, argument: Any = None) -> float:
    """Seconds from the navigation to `url` until the condition holds."""
    page.goto(url, wait_until="commit")
    return wait_for(page, condition, argument)


def answered(page: Page, event: str, act: Callable[[], None], condition: str, argument: Any = None) -> float:
    """Seconds from the browser's event ("click", "keydown") that `act` brings about until the condition holds."""
    page.evaluate(
        """event => {
            window.begun = undefined;
            const begin = () => { window.begun = performance.now(); };
            addEventListener(event, begin, { capture: true, once: true });
        }""",
        event,
    )
    act()
    return wait_for(page, condition, argument, "window.begun")


def wait_for(page: Page, condition: str, argument: Any = None, since: str = "0") -> float:
    """Wait until the condition holds; seconds since `since`, which is by the page's clock (0: the navigation)."""
    script = f"argument => ({condition})(argument) && performance.now() - {since}"
    return page.wait_for_function(script, arg=argument, polling="raf").json_value() / 1000
