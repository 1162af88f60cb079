"""Jobs that outlive everything, in a real Chromium: stop and resume, a killed app, a closed browser, the queue, the bin."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from recformer.logs.reader import RunLog
from recformer.run.job_records import read_job, read_status
from recformer.run.paths import Root
from tests.browser.app import (
    command,
    copied_demos,
    points_of_the_loss_curve,
    serving,
    shot,
    started_app,
    state_of,
    steps_of,
)
from tests.builders import sequences, write_ml1m
from tests.fork_server import fresh_processes
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
MANY = "5000"  # epochs that nobody waits for


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root with a small dataset; what still trains there in the end is killed."""
    write_ml1m(tmp_path / "data" / "small", sequences(num_users=60, num_items=80, shortest=50, longest=70))
    yield tmp_path
    for folder in (tmp_path / "runs").glob("*/"):
        job = read_job(folder)
        for pid in [] if job is None else [job.pid, job.supervisor_pid]:
            if pid is not None and psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)


def launch(url: str, page: Page, name: str, epochs: str) -> str:
    """Launch a run with the form; its id."""
    page.goto(f"{url}/train?preset=baseline")
    expect(page.get_by_text("20 epochs on small")).to_be_visible()
    field = page.get_by_role("spinbutton", name="Epochs", exact=True)
    field.fill(epochs)
    field.press("Enter")
    expect(page.get_by_text(f"{int(epochs):,} epochs on small")).to_be_visible()
    title = page.get_by_role("textbox", name="Name", exact=True)
    title.fill(name)
    title.press("Enter")
    wait_until(lambda: page.get_by_text("Measuring the speed").count() == 0, "the estimate")
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"monitor\?run="))
    return page.url.split("run=")[1].split("&")[0]


def logged(root: Path, run_id: str) -> list[int]:
    """Epochs in the run's log."""
    log = RunLog(root / "runs" / run_id)
    log.refresh()
    return log.scalars()["loss/train"].step.tolist()


def test_launch_stop_resume_and_the_curve_goes_on_where_it_was(root: Path, page: Page) -> None:
    with serving(root) as url:
        run_id = launch(url, page, "goes on", MANY)
        wait_until(
            lambda: points_of_the_loss_curve(page) >= 3, "three epochs on the curve", progress=steps_of(root, run_id)
        )
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text(re.compile("Stopped in epoch"))).to_be_visible()
        shot(page, "stopped")
        before = logged(root, run_id)
        wait_until(lambda: points_of_the_loss_curve(page) == len(before), "all of them on the curve")
        page.get_by_role("link", name="Resume").click()
        expect(page.get_by_text("bit for bit as if it had never stopped")).to_be_visible()
        expect(page.get_by_text("Cannot be changed here:")).to_be_visible()
        rate = page.get_by_role("textbox", name="Learning rate", exact=True)
        rate.fill("0.0001")
        rate.press("Enter")
        expect(page.get_by_text(re.compile(r"Takes effect:.*Learning rate 0\.0005 → 0\.0001"))).to_be_visible()
        shot(page, "resume")
        page.get_by_role("button", name="Resume").last.click()
        page.wait_for_url(re.compile(r"monitor\?run="))
        further = len(before) + 2
        wait_until(
            lambda: points_of_the_loss_curve(page) >= further, "the curve to go on", progress=steps_of(root, run_id)
        )
        expect(page.get_by_text(re.compile("Training: epoch"))).to_be_visible()
        command(root, "runs", "stop", run_id)
    after = logged(root, run_id)
    assert after == list(range(1, len(after) + 1))
    assert after[: len(before)] == before
    assert "learning_rate: 0.0001" in (root / "runs" / run_id / "run.yaml").read_text()


def test_a_killed_app_and_a_closed_browser_leave_the_run_training(root: Path, page: Page) -> None:
    with fresh_processes():  # the run must be the app's own child
        app, url = started_app(root)
    run_id = launch(url, page, "outlives", MANY)
    goes_on = steps_of(root, run_id)
    wait_until(lambda: points_of_the_loss_curve(page) >= 1, "an epoch on the curve", progress=goes_on)
    page.goto("about:blank")
    app.send_signal(signal.SIGKILL)
    app.wait()
    reached = len(logged(root, run_id))
    wait_until(lambda: len(logged(root, run_id)) > reached, "an epoch that nobody watched", progress=goes_on)
    with serving(root) as url:
        page.goto(f"{url}/monitor?run={run_id}")
        wait_until(lambda: points_of_the_loss_curve(page) > reached, "the curve in the new app", progress=goes_on)
        shown = points_of_the_loss_curve(page)
        wait_until(lambda: points_of_the_loss_curve(page) > shown, "the curve to grow there", progress=goes_on)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text(re.compile("Stopped in epoch"))).to_be_visible()
        epochs = logged(root, run_id)
        wait_until(lambda: points_of_the_loss_curve(page) == len(epochs), "the whole curve")
    assert state_of(root, run_id) == "stopped"
    assert epochs == list(range(1, len(epochs) + 1))


def test_the_queue_on_home_can_be_reordered_and_left(root: Path, page: Page) -> None:
    with serving(root) as url:
        first = launch(url, page, "first", MANY)
        wait_until(lambda: status_state(root, first) == "running", "the first to train")
        for name in ("second", "third"):
            launch(url, page, name, MANY)
            expect(page.get_by_text("Waiting for its turn.")).to_be_visible()
        page.goto(url)
        expect(page.get_by_text("Waiting for the processor")).to_be_visible()
        wait_until(lambda: places(page) == ["second", "third"], "both places")
        shot(page, "queue")
        page.get_by_test_id("stMain").get_by_role("button", name="arrow_upward").last.click()
        wait_until(lambda: places(page) == ["third", "second"], "the third to move up")
        # By the run's own key: the list is redrawn row by row, so that for a moment the last button is the third's.
        page.locator("[class*=st-key-stop-second]").get_by_role("button", name="Cancel").click()
        wait_until(lambda: places(page) == ["third"], "the second to leave the queue")
        page.get_by_role("button", name="Stop").first.click()
        wait_until(lambda: status_state(root, "third") == "running", "the third's turn")
        command(root, "runs", "stop", "third")
    assert state_of(root, first) == "stopped"
    assert state_of(root, "second") == "stopped"
    assert not (root / "models" / "second").exists()


def status_state(root: Path, run_id: str) -> str | None:
    status = read_status(root / "runs" / run_id)
    return None if status is None else status.state


def places(page: Page) -> list[str]:
    """Names of the waiting runs, as the list on Home shows them."""
    return page.get_by_test_id("stMain").locator("ol li strong").all_inner_texts()


def test_a_run_is_named_tagged_archived_deleted_and_restored(address: str, page: Page, demo_root: Path) -> None:
    page.goto(f"{address}/monitor?run=demo-penalty")
    menu(page, "Name, tags and note")
    name = page.get_by_role("textbox", name="Name")
    name.fill("penalty, as in the article")
    name.press("Enter")
    tags = page.get_by_role("combobox", name="Tags")
    tags.fill("article")
    tags.press("Enter")
    tags.press("Escape")
    page.get_by_role("textbox", name="Note").fill("Repeats less, ranks the same.")
    shot(page, "edit")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Repeats less, ranks the same.").last).to_be_visible()
    expect(page.locator(".stMarkdownBadge", has_text="article")).to_be_visible()
    facts = command(demo_root, "runs", "show", "demo-penalty")
    assert "name: penalty, as in the article" in facts
    assert "tags: ['article']" in facts
    menu(page, "Archive")
    expect(page.get_by_test_id("stMain").get_by_text(re.compile(r"\barchived$"))).to_be_visible()
    assert "demo-penalty" not in command(demo_root, "runs")
    menu(page, "Take out of the archive")
    wait_until(lambda: "demo-penalty" in command(demo_root, "runs"), "the run in the list again")
    before = files(demo_root)
    menu(page, "Delete …")
    expect(page.get_by_text("go to the bin")).to_be_visible()
    shot(page, "delete")
    page.get_by_role("button", name="Delete", exact=True).click()
    wait_until(lambda: not Root(demo_root).run("demo-penalty").exists(), "the run in the bin")
    page.goto(address)
    page.get_by_text(re.compile("Bin · 1 run")).click()
    shot(page, "bin")
    page.get_by_role("button", name="Restore").click()
    wait_until(lambda: files(demo_root) == before, "every file where it was")
    expect(page.get_by_text(re.compile("Bin · 1 run"))).to_have_count(0)


@pytest.fixture(scope="module")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_demos(tmp_path_factory.mktemp("demos"))


@pytest.fixture(scope="module")
def address(demo_root: Path) -> Iterator[str]:
    with serving(demo_root) as url:
        yield url


def test_the_settings_are_those_of_the_command_line(address: str, page: Page, demo_root: Path) -> None:
    page.goto(address)
    page.get_by_role("button", name="Settings").click()
    jobs = page.get_by_role("spinbutton", name="Runs at once on a device")
    jobs.fill("2")
    jobs.press("Enter")
    page.get_by_role("button", name="Save", exact=True).click()
    wait_until(lambda: "jobs_per_device: 2" in command(demo_root, "runs", "settings"), "the setting on disk")


def menu(page: Page, action: str) -> None:
    """Choose from the menu of the run that Monitor shows, once the page stands still."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    page.get_by_role("button", name="More").click()
    page.get_by_text(action, exact=True).click()


def files(root: Path) -> dict[str, int]:
    """Every file of the run by path, with its size; locks come and go."""
    run = [root / part / "demo-penalty" for part in ("runs", "models")]
    found = [path for folder in run for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(root)): path.stat().st_size for path in found}
