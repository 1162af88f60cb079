"""The way through the app that everything is for, in a real Chromium with real data and real processes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.app import command, points_of_the_loss_curve, serving, shot, state_of, steps_of
from tests.builders import sequences, write_ml1m
from tests.fork_server import fresh_processes
from tests.waiting import wait_until

DEMO = "demo-baseline"
pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]


def table_rows(page: Page) -> list[list[str]]:
    """Cells of all Markdown tables on the page."""
    rows = page.locator("table tr").all()
    return [[cell.inner_text() for cell in row.locator("th, td").all()] for row in rows]


def test_train_watch_compare_and_recommend(root: Path, page: Page) -> None:
    with fresh_processes(), serving(root) as address:
        everything(root, address, page)


def everything(root: Path, address: str, page: Page) -> None:
    run_id = launch_four_epochs(address, page)
    watch_the_curve_grow(root, page, run_id)
    wait_until(lambda: state_of(root, run_id) == "finished", "the run to finish", progress=steps_of(root, run_id))
    compare_equals_the_command_line(root, address, page, run_id)
    recommend_equals_the_command_line(root, address, page, run_id)


def launch_four_epochs(address: str, page: Page) -> str:
    page.goto(address)
    expect(page.get_by_text("Best on ml-100k")).to_be_visible()
    shot(page, "home")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Train").click()
    expect(page.get_by_text("2 epochs on ml-100k")).to_be_visible()
    epochs = page.get_by_role("spinbutton", name="Epochs", exact=True)
    epochs.fill("4")
    epochs.press("Enter")
    expect(page.get_by_text("4 epochs on ml-100k")).to_be_visible()
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill("my first run")
    name.press("Enter")
    shot(page, "train")
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"monitor\?run="))
    return page.url.split("run=")[1].split("&")[0]


def watch_the_curve_grow(root: Path, page: Page, run_id: str) -> None:
    assert run_id == "my-first-run"
    page.evaluate("window.notReloaded = true")
    seen: list[int] = []

    def grown() -> bool:
        count = points_of_the_loss_curve(page)
        if not seen or seen[-1] != count:
            seen.append(count)
        return count == 4

    wait_until(grown, "all epochs on the curve", progress=steps_of(root, run_id))
    drawn = [count for count in seen if count]  # none while the page is drawn anew
    assert drawn == sorted(drawn)
    assert len(drawn) > 1, f"the curve went {seen}: it was never seen to grow"
    assert page.evaluate("window.notReloaded") is True
    expect(page.get_by_text("Finished 4 epochs.")).to_be_visible()
    shot(page, "monitor")


def compare_equals_the_command_line(root: Path, address: str, page: Page, run_id: str) -> None:
    page.goto(f"{address}/compare?runs={DEMO}/best&runs={run_id}/best")
    expect(page.get_by_text("has the highest NDCG@10")).to_be_visible()
    expect(page.locator("table").first).to_be_visible()
    shot(page, "compare")
    summary = json.loads(command(root, "compare", DEMO, run_id, "--no-baselines", "--format", "json"))
    results = {r["run"]: r["metrics"] for r in summary["results"] if r["masking"] == "history"}
    assert set(results) == {DEMO, run_id}
    shown = table_rows(page)
    for metric in ("ndcg", "mrr", "map", "hr"):
        for label, run in (("baseline", DEMO), ("my first run", run_id)):
            expected = [f"{results[run][f'{metric}@{k}']['mean']:.4f}" for k in (3, 5, 10)]
            fitting = [row for row in shown if row[0][2:].startswith(label) and starts(row[1:], expected)]
            assert fitting, f"{metric} of {run}: {expected} is not on the page: {shown}"


def starts(cells: list[str], expected: list[str]) -> bool:
    return len(cells) == len(expected) and all(c.startswith(e) for c, e in zip(cells, expected, strict=True))


def recommend_equals_the_command_line(root: Path, address: str, page: Page, run_id: str) -> None:
    page.goto(f"{address}/recommend?runs={DEMO}/best&runs={run_id}/best&user=42")
    expect(page.get_by_text("User 42")).to_be_visible()
    expect(page.locator("section.column")).to_have_count(2)
    shot(page, "recommend")
    advice: dict[str, Any] = json.loads(command(root, "recommend", DEMO, run_id, "--user", "42", "--json"))
    for listed, model in zip(page.locator("section.column").all(), advice["models"], strict=True):
        shown = [int(card.get_attribute("data-item") or 0) for card in listed.locator(".card").all()]
        assert shown == [item["item_id"] for item in model["items"]]
        expect(listed.get_by_text(f"held-out movie at rank {model['target_rank']:,} of")).to_have_count(1)


def test_with_no_data_the_app_offers_the_download_and_goes_on(tmp_path: Path, page: Page) -> None:
    with serving(tmp_path) as url:
        page.goto(f"{url}/train")
        expect(page.get_by_text("No dataset yet.")).to_be_visible()
        shot(page, "no-data")
        page.get_by_role("button", name="Download ml-100k").click()
        expect(page.get_by_text("2 epochs on ml-100k")).to_be_visible()
    assert (tmp_path / "data" / "ml-100k" / "SOURCE.json").is_file()


def test_a_zip_dropped_on_the_data_page_becomes_a_dataset(tmp_path: Path, page: Page) -> None:
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", write_ml1m(tmp_path / "source" / "set", sequences()))
    with serving(tmp_path / "root") as url:
        page.goto(f"{url}/data")
        page.locator("input[type=file]").set_input_files(archive)
        page.get_by_role("button", name="Add this zip").click()
        expect(page.get_by_text("fingerprint")).to_be_visible()
        expect(page.get_by_text("Popularity of movies")).to_be_visible()
    assert (tmp_path / "root" / "data" / "mine" / "ratings.dat").is_file()
