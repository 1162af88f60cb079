"""Monitor in a real Chromium: a hundred runs, one of them at work, watched for hundreds of refreshes."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from playwright.sync_api import Page, WebSocket, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.event_files import scalar_records, version
from recformer.files.names import PROJECT
from tests.browser.app import points_of_the_loss_curve, shot, started_app
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
RUNS = 100
POINTS = 1000  # of each tag
TAGS = ["loss/train", "loss/validation", "metric/ndcg@10", "lr"]
TABS = 4
REFRESHES = 200
WARM = 60  # refreshes after which all that is kept is there
LIVE = "live"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred runs with long logs, records and checkpoints of the demo runs."""
    root = tmp_path_factory.mktemp("hundred")
    demos = sorted(path.parent for path in (PROJECT / "runs").glob("demo-*/config.yaml"))
    steps = np.arange(1, POINTS + 1)
    for number in range(RUNS):
        demo = demos[number % len(demos)]
        folder = root / "runs" / f"run-{number:03}"
        logs = shutil.ignore_patterns("*tfevents*", "eval")
        shutil.copytree(demo, folder, ignore=logs)
        shutil.copytree(PROJECT / "models" / demo.name, root / "models" / folder.name)
        config = (folder / "config.yaml").read_text()
        (folder / "config.yaml").write_text(re.sub("^name: .*$", f"name: run {number}", config, flags=re.M))
        records = [scalar_records(tag, steps, 1e9 + steps, 5 / steps**0.1) for tag in TAGS]
        (folder / f"events.out.tfevents.{1_000_000_000 + number}.host.1.0").write_bytes(
            version(1e9) + b"".join(record for group in records for record in group)
        )
    (root / "runs" / LIVE).mkdir()
    return root


@pytest.fixture(scope="module")
def live(root: Path) -> Iterator[None]:
    """A run at work."""
    folder = root / "runs" / LIVE
    trainer = subprocess.Popen([sys.executable, "-m", "tests.browser.pretend_trainer", str(folder), "800"], cwd=PROJECT)
    try:
        wait_until(lambda: list(folder.glob("*tfevents*")), "the run to log")
        yield
    finally:
        trainer.kill()
        trainer.wait()


@pytest.fixture(scope="module")
def app(root: Path, live: None) -> Iterator[tuple[psutil.Process, str]]:
    """The app's process and its address, with a run at work beside it."""
    process, url = started_app(root)
    try:
        yield psutil.Process(process.pid), url
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def quick_app(root: Path, live: None) -> Iterator[tuple[psutil.Process, str]]:
    """The same, refreshing itself six times as often."""
    process, url = started_app(root, [str(Path(__file__).with_name("quick_app.py"))])
    try:
        yield psutil.Process(process.pid), url
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_the_zoom_stays_while_new_points_come(app: tuple[psutil.Process, str], page: Page) -> None:
    page.goto(f"{app[1]}/monitor?run={LIVE}")
    wait_until(lambda: points_of_the_loss_curve(page) > 5, "a curve", 120)
    zoomed = zoom(page)
    before = points_of_the_loss_curve(page)
    wait_until(lambda: points_of_the_loss_curve(page) > before + 5, "new points")
    assert shown_range(page) == zoomed
    shot(page, "monitor-zoomed")


def test_the_zoom_stays_when_more_is_said_above_the_charts_and_when_the_run_ends(
    app: tuple[psutil.Process, str], root: Path, page: Page
) -> None:
    folder = root / "runs" / "overfits"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.browser.pretend_trainer", str(folder), "24", "30"]
    trainer = subprocess.Popen(command, cwd=PROJECT)
    try:
        wait_until(lambda: list(folder.glob("*tfevents*")), "the run to log")
        page.goto(f"{app[1]}/monitor?run=overfits")
        wait_until(lambda: points_of_the_loss_curve(page) > 3, "a curve", 120)
        zoomed = zoom(page)
        expect(page.get_by_text("Overfitting since")).to_be_visible(timeout=60_000)
        assert shown_range(page) == zoomed
        expect(page.get_by_role("button", name="Stop")).to_have_count(0, timeout=120_000)
        expect(page.get_by_text("Overfitting since")).to_be_visible()
        assert shown_range(page) == zoomed
    finally:
        trainer.kill()
        trainer.wait()
        shutil.rmtree(folder)


def zoom(page: Page) -> list[float]:
    """Draw the pointer over a part of the first chart; the range that is shown then."""
    box = page.locator(".js-plotly-plot").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"], steps=5)
    page.mouse.up()
    return wait_until(lambda: shown_range(page), "a zoom")


def shown_range(page: Page) -> list[float] | None:
    """The horizontal range of the first chart where somebody has zoomed in, None where it follows the data."""
    return page.evaluate(
        """() => {
            const axis = document.querySelector('.js-plotly-plot')._fullLayout.xaxis;
            return axis.autorange ? null : axis.range;
        }"""
    )


def test_among_a_hundred_runs_any_can_be_overlaid_and_drawn_otherwise(
    app: tuple[psutil.Process, str], page: Page
) -> None:
    page.goto(f"{app[1]}/monitor?run=run-007&run=run-042&run=run-099")
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    expect(page.get_by_text("run 42").first).to_be_visible()
    page.get_by_role("radio", name="relative").or_(page.get_by_role("button", name="relative")).first.click()
    expect(page.get_by_text("minutes since the run began").first).to_be_visible()
    assert "axis=relative" in page.url
    page.get_by_text("Logarithmic").click()
    wait_until(lambda: page.evaluate(AXIS_TYPE) == "log", "a logarithmic axis")
    shot(page, "monitor-overlaid")


AXIS_TYPE = "() => document.querySelector('.js-plotly-plot')._fullLayout.yaxis.type"


def test_memory_stays_flat_over_200_refreshes(quick_app: tuple[psutil.Process, str], page: Page) -> None:
    process, url = quick_app
    refreshes: list[int] = []

    def count(payload: str | bytes) -> None:
        if isinstance(payload, bytes) and ForwardMsg.FromString(payload).WhichOneof("type") == "script_finished":
            refreshes.append(1)

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", count)

    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tabs = [context.new_page() for _ in range(TABS)]
    for tab in tabs:
        tab.on("websocket", listen)
        tab.goto(f"{url}/monitor?run={LIVE}&run=run-001&run=run-002")
    try:
        for tab in tabs:
            wait_until(lambda tab=tab: tab.locator(".js-plotly-plot").count() >= 3, "the charts of a tab")
        seen = refreshes_at(tabs, refreshes, WARM)
        heap, server = heap_bytes(tabs[0]), process.memory_info().rss
        assert refreshes_at(tabs, refreshes, WARM + REFRESHES) > seen
        assert process.memory_info().rss - server < 20e6
        assert heap_bytes(tabs[0]) < heap + 20e6
        for tab in tabs:
            assert tab.locator(".js-plotly-plot").count() >= 3
    finally:
        context.close()


def refreshes_at(tabs: list[Page], refreshes: list[int], wanted: int) -> int:
    """Wait until so many refreshes came to all tabs together."""

    def reached() -> bool:
        for tab in tabs:
            tab.wait_for_timeout(50)  # lets the browser's messages come through
        return len(refreshes) >= wanted

    wait_until(reached, f"{wanted} refreshes", 600)
    return len(refreshes)


def heap_bytes(page: Page) -> int:
    """Memory of the page's scripts, after a clean-up."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    found = session.send("Runtime.getHeapUsage")
    session.detach()
    return int(found["usedSize"])
