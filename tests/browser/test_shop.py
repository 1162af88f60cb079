"""A shop of its own words: dropped on the Data page, corrected, trained, compared, recommended; then removed."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.browser.app import serving, shot, state_of, steps_of
from tests.fork_server import fresh_processes
from tests.shop_files import RANGE, SALES, write_shop
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]


def choose(page: Page, label: str, option: str) -> None:
    """Choose one of a select box's options; a page that is drawn anew meanwhile closes the box, which is tried again."""
    box = page.get_by_role("combobox", name=label, exact=True)

    def chosen() -> bool:
        if box.input_value() != option:
            box.click()
            with suppress(TimeoutError):
                page.get_by_role("option", name=option, exact=True).click(timeout=5_000)
        return box.input_value() == option

    wait_until(chosen, f"{label} to be {option}")


def fill(page: Page, label: str, text: str) -> None:
    field = page.get_by_role("textbox", name=label, exact=True)
    field.fill(text)
    field.press("Enter")


def says_nothing_of_movies(page: Page) -> None:
    """What a person sees, but for the sets that may be fetched, which are called so."""
    said = re.sub(r"movielens.*", "", page.locator("body").inner_text().casefold())
    assert "movie" not in said, said


def test_a_shop_is_added_trained_compared_and_recommended_in_its_own_words(tmp_path: Path, page: Page) -> None:
    shop = write_shop(tmp_path / "shop", customers=60)
    root = tmp_path / "root"
    with fresh_processes(), serving(root) as address:
        add_by_correcting_the_guess(address, page, shop)
        shutil.rmtree(shop)  # what was dropped belongs to the dataset
        run_id = train_one_epoch(root, address, page)
        compare(address, page, run_id)
        recommend(address, page, run_id)
        remove(root, address, page)


def add_by_correcting_the_guess(address: str, page: Page, shop: Path) -> None:
    page.goto(f"{address}/data")
    page.locator("input[type=file]").set_input_files([shop / SALES, shop / RANGE])
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(f"Add {RANGE}, {SALES}")).to_be_visible()
    choose(page, "File of interactions", SALES)
    expect(page.get_by_text("nothing says which column is the user")).to_be_visible()
    shot(page, "add-asked")
    for label, column in (("User", "Kunde"), ("Item", "Artikelnr"), ("Rating", "Menge")):
        choose(page, label, column)
    expect(page.get_by_text("60 users")).to_be_visible()
    choose(page, "Table of items", RANGE)
    choose(page, "Its column of titles", "Bezeichnung")
    fill(page, "An item is called", "article")
    fill(page, "Name of the dataset", "shop")
    expect(page.get_by_text("Nothing is left out.")).to_be_visible()
    expect(page.get_by_text("articles").first).to_be_visible()
    expect(page.get_by_text("→ Kanne").first).to_be_visible()
    shot(page, "add-corrected")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("Popularity of articles")).to_be_visible()
    shot(page, "data-shop")
    says_nothing_of_movies(page)


def train_one_epoch(root: Path, address: str, page: Page) -> str:
    page.goto(f"{address}/train")
    expect(page.get_by_text("2 epochs on shop")).to_be_visible()
    epochs = page.get_by_role("spinbutton", name="Epochs", exact=True)
    epochs.fill("1")
    epochs.press("Enter")
    expect(page.get_by_text("1 epoch on shop")).to_be_visible()
    fill(page, "Name", "sales")
    says_nothing_of_movies(page)
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"monitor\?run="))
    run_id = page.url.split("run=")[1].split("&")[0]
    wait_until(lambda: state_of(root, run_id) == "finished", "the run to finish", progress=steps_of(root, run_id))
    expect(page.get_by_text("Finished 1 epoch.")).to_be_visible()
    says_nothing_of_movies(page)
    return run_id


def compare(address: str, page: Page, run_id: str) -> None:
    page.goto(f"{address}/compare?runs={run_id}/best&runs=baseline:popularity")
    expect(page.locator("table").first).to_be_visible()
    says_nothing_of_movies(page)


def recommend(address: str, page: Page, run_id: str) -> None:
    page.goto(f"{address}/recommend?runs={run_id}/best&user=K-0007")
    expect(page.get_by_text("User K-0007")).to_be_visible()
    card = page.locator("section.column .card").first
    expect(card).to_contain_text("Kanne")
    shot(page, "recommend-shop")
    says_nothing_of_movies(page)


def remove(root: Path, address: str, page: Page) -> None:
    page.goto(f"{address}/data")
    page.get_by_role("button", name="Remove this dataset").click()
    expect(page.get_by_text("1 run trained on it stays")).to_be_visible()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("No dataset yet.")).to_be_visible()
    assert not (root / "data" / "shop").exists()
