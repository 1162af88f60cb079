"""Recommend in a real Chromium: find a user, mask, edit the window, ask why, and paste the link in a second browser."""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from recformer.data.assemble import read_dataset
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.recommend.find_users import in_order, standing
from recformer.recommend.posters import change_place
from recformer.run.model_ref import find_model
from recformer.run.paths import Root
from tests.browser.app import PATIENCE_MS, command
from tests.browser.test_compare import sideways

RUNS = ["demo-baseline", "demo-penalty", "demo-compiled-scheduler"]
QUERY = "&".join(f"runs={run}/best" for run in RUNS)
TRACES = re.compile(r"Traceback|did not foresee|File \"")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def still(page: Page) -> None:
    """Wait until the script has run to its end and the lists are drawn."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator(".card").first).to_be_visible()


def lists(page: Page) -> list[list[int]]:
    """Item ids of every list, best first, as they are drawn."""
    return [
        [int(card.get_attribute("data-item") or -1) for card in column.locator(".card").all()]
        for column in page.locator("section.column").all()
    ]


def shows(page: Page, expected: list[list[int]]) -> None:
    """Wait until these lists are drawn."""
    for place, items in enumerate(expected):
        cards = page.locator("section.column").nth(place).locator(".card")
        expect(cards).to_have_count(len(items))
        for card, item in zip(range(len(items)), items, strict=True):
            expect(cards.nth(card)).to_have_attribute("data-item", str(item))


def answer(root: Path, *arguments: str) -> dict[str, Any]:
    return json.loads(command(root, "recommend", *RUNS, *arguments, "--json"))


def items(document: dict[str, Any]) -> list[list[int]]:
    return [[item["item_id"] for item in model["items"]] for model in document["models"]]


@contextmanager
def opened(page: Page, url: str, width: int = 1440, height: int = 900, **options: Any) -> Iterator[Page]:
    """The address in a browser of its own that has seen nothing before; an error in its scripts fails the test."""
    browser = page.context.browser
    assert isinstance(browser, Browser)
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    try:
        shown = context.new_page()
        shown.set_default_timeout(PATIENCE_MS)
        faults: list[str] = []
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.goto(url)
        still(shown)
        yield shown
        assert not faults
        assert not TRACES.search(shown.inner_text("body"))
    finally:
        context.close()


def most_disagreed(root: Path) -> list[int]:
    """User ids by how little the demo runs' lists overlap, history masked."""
    place = Root(root)
    dataset = read_dataset(place.data / "ml-100k")
    ranks = [
        evaluate(place, find_model(place, run), Task(dataset, split_of("leave_last_out"), "test")).ranks for run in RUNS
    ]
    known = standing(ranks, dataset.num_users, "history", 10)
    return dataset.user_ids[in_order(np.arange(dataset.num_users), "disagree", known)].tolist()


def test_find_a_user_mask_edit_ask_why_and_paste_the_link(root: Path, address: str, page: Page) -> None:
    with opened(page, f"{address}/recommend?{QUERY}") as shown:
        user = find_the_most_disagreed(root, shown)
        shown.evaluate("window.untouched = true")
        switch_masking(root, shown, user)
        movies = leave_the_latest_out(root, shown, user)
        why = ask_why(root, shown, user, movies)
        assert shown.evaluate("window.untouched") is True  # nothing of this loaded the page anew
        url = shown.url
        for part in (f"user={user}", f"why={why}", "masking=none", "order=disagree", "find=true"):
            assert part in url
        with opened(page, url) as other:
            shows(other, lists(shown))
            assert answers_of(other) == answers_of(shown)
            expect(other.get_by_label("User", exact=True)).to_have_value(str(user))


def find_the_most_disagreed(root: Path, page: Page) -> int:
    page.get_by_text("Find a user", exact=True).click()
    expect(page.get_by_text("943 users. Click a row")).to_be_visible()
    page.get_by_role("combobox", name="Order").click()
    page.get_by_role("option", name="The models disagree most").click()
    still(page)
    expected = most_disagreed(root)
    table = page.get_by_test_id("stDataFrame").first
    for place in (0, 2):  # twice: what was opened before must not keep the next from being opened
        expect(page.get_by_text("943 users. Click a row")).to_be_visible()
        table.click(position={"x": 90, "y": 52 + 35 * place})
        expect(page.get_by_label("User", exact=True)).to_have_value(str(expected[place]))
        expect(page.get_by_text(f"User {expected[place]}", exact=True)).to_be_visible()
    still(page)
    shows(page, items(answer(root, "--user", str(expected[2]))))
    return expected[2]


def switch_masking(root: Path, page: Page, user: int) -> None:
    page.get_by_role("radio", name="none", exact=True).click()
    document = answer(root, "--user", str(user), "--mask", "none")
    shows(page, items(document))
    for model in document["models"]:
        rank = model["target_rank"]
        expect(page.get_by_text(f"held-out movie at rank {rank:,} of 1,682").first).to_be_visible()
    marked = sum(item["seen"] for model in document["models"] for item in model["items"])
    expect(page.locator(".mark.seen, .mark.repeat")).to_have_count(marked)


def leave_the_latest_out(root: Path, page: Page, user: int) -> list[int]:
    own = answer(root, "--user", str(user))["window"]
    expect(page.get_by_text("What came next")).to_be_visible()
    page.get_by_role("button", name="Leave out:").first.click()
    movies = own[:-1]
    document = answer(root, "--user", str(user), "--items", ",".join(map(str, movies)), "--mask", "none")
    shows(page, items(document))
    expect(page.get_by_text("What came next")).to_have_count(0)
    expect(page.get_by_role("button", name="Back to the user's own")).to_be_visible()
    assert items(document) != items(answer(root, "--user", str(user), "--mask", "none"))
    return movies


def ask_why(root: Path, page: Page, user: int, movies: list[int]) -> int:
    card = page.locator("section.column").nth(1).locator(".card").nth(3)
    item = int(card.get_attribute("data-item") or -1)
    card.click()
    arguments = ["--user", str(user), "--items", ",".join(map(str, movies)), "--mask", "none", "--why", str(item)]
    document = answer(root, *arguments)
    expect(page.get_by_text(f"Why {document['why']['title']}?")).to_be_visible()
    for card in page.locator(f'.card[data-item="{item}"]').all():
        expect(card).to_have_attribute("aria-pressed", "true")
    still(page)
    # The pointer still rests on the card that was clicked: it is what stands out of the lists drawn anew.
    expect(page.locator(".lists.touched .card.same")).to_have_count(page.locator(f'.card[data-item="{item}"]').count())
    text = page.inner_text("body")
    for model in document["models"]:
        best = max(model["why"]["reasons"], key=lambda reason: reason["lift"])
        assert f"ranks it {model['why']['rank']:,} at" in text
        if best["lift"] > 0:
            assert f"{best['title']} speaks for it most: without it, rank {best['rank_without']:,}" in text
    return item


def answers_of(page: Page) -> list[str]:
    """What the page says in words about the lists."""
    texts = [element.inner_text() for element in page.get_by_test_id("stMarkdownContainer").all()]
    return [text for text in texts if "ranks it" in text or "takes out" in text or "Jaccard" in text]


def test_a_link_without_a_user_soon_says_whom_it_shows(address: str, page: Page) -> None:
    with opened(page, f"{address}/recommend?runs={RUNS[0]}/best") as shown:
        expect(shown).to_have_url(re.compile(r"[?&]user=1(&|$)"))


def test_a_movie_is_followed_across_the_lists_by_pointer_and_keyboard(address: str, page: Page) -> None:
    with opened(page, f"{address}/recommend?{QUERY}&user=42") as shown:
        drawn = lists(shown)
        pairs = [len(set(one) & set(other)) for one, other in itertools.pairwise(drawn)]
        expect(shown.locator(".lines path")).to_have_count(sum(pairs))
        common = next(item for item in drawn[0] if item in drawn[1] and item in drawn[2])
        np.testing.assert_allclose(line_ends(shown, common), card_sides(shown, common), atol=1.5)  # pixels
        shown.locator(f'.card[data-item="{common}"]').first.hover()
        expect(shown.locator(".card.same")).to_have_count(3)
        expect(shown.locator(".lines path.same")).to_have_count(2)
        shown.get_by_role("heading", name="Recommend · What would it").hover()
        expect(shown.locator(".card.same")).to_have_count(0)
        card = shown.locator("section.column").nth(2).locator(".card").nth(1)
        item = int(card.get_attribute("data-item") or -1)
        shown.locator("section.column").nth(2).locator(".card").first.focus()
        shown.keyboard.press("Tab")
        expect(card).to_be_focused()
        expect(shown.locator(".card.same")).to_have_count(sum(item in entries for entries in drawn))
        shown.keyboard.press("Enter")
        expect(shown).to_have_url(re.compile(rf"why={item}(&|$)"))
        expect(card).to_have_attribute("aria-pressed", "true")
        expect(card).to_be_focused()  # the lists were drawn anew, and whoever uses the keyboard goes on from there


def card_sides(page: Page, item: int) -> list[list[float]]:
    """Right and left edges' middles of a movie's cards, neighbour by neighbour, as the lines should join them."""
    boxes = [card.bounding_box() for card in page.locator(f'.card[data-item="{item}"]').all()]
    found: list[list[float]] = []
    for left, right in itertools.pairwise(boxes):
        assert left and right
        ends = [left["x"] + left["width"], left["y"] + left["height"] / 2, right["x"], right["y"] + right["height"] / 2]
        found.append(ends)
    return found


def line_ends(page: Page, item: int) -> list[list[float]]:
    script = """paths => paths.map(path => {
        const box = path.ownerSVGElement.getBoundingClientRect();
        const from = path.getPointAtLength(0), to = path.getPointAtLength(path.getTotalLength());
        return [from.x + box.x, from.y + box.y, to.x + box.x, to.y + box.y];
    })"""
    return page.locator(f'.lines path[data-item="{item}"]').evaluate_all(script)


def test_a_user_from_nothing_is_built_by_searching_titles(root: Path, address: str, page: Page) -> None:
    with opened(page, f"{address}/recommend?{QUERY}&nobody=true") as shown:
        expect(shown.get_by_text("Nothing yet")).to_be_visible()
        for title in ("Alien (1979)", "Aliens (1986)"):
            search = shown.get_by_role("combobox", name="Add a movie")
            search.fill(title)
            shown.get_by_role("option", name=title, exact=True).click()
            expect(shown.get_by_role("button", name=f"Leave out: {title}")).to_be_visible()
        still(shown)
        movies = re.search(r"items=(\d+)(?:%2C|,)(\d+)", shown.url)
        assert movies, shown.url
        shows(shown, items(answer(root, "--items", f"{movies[1]},{movies[2]}")))


def test_a_poster_that_cannot_be_loaded_leaves_a_clean_card(root: Path, address: str, page: Page) -> None:
    place, links = Root(root), root / "links.csv"
    dataset = read_dataset(place.data / "ml-100k")
    shown_items = items(answer(root, "--user", "42"))[0]
    gone, there = shown_items[0], shown_items[1]
    links.write_text(f"item_id,url\n{gone},http://127.0.0.1:9/gone.jpg\n{there},http://poster.test/there.png\n")
    change_place(place, dataset, str(links))
    dot = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
    )
    try:
        page.context.route("http://poster.test/**", lambda route: route.fulfill(body=dot, content_type="image/png"))
        page.goto(f"{address}/recommend?runs={RUNS[0]}/best&user=42")
        still(page)
        expect(page.locator(f'.card[data-item="{there}"] img.poster')).to_have_count(1)
        expect(page.locator(f'.card[data-item="{gone}"] img.poster')).to_have_count(0)
        expect(page.locator(f'.card[data-item="{gone}"] .title')).to_be_visible()
    finally:
        page.context.unroute("http://poster.test/**")
        change_place(place, dataset, "")


@pytest.mark.parametrize(
    ("kind", "width", "scheme"), [("light", 1440, "light"), ("dark", 1440, "dark"), ("phone", 400, "light")]
)
def test_the_page_fits_its_window(address: str, page: Page, tmp_path: Path, kind: str, width: int, scheme: str) -> None:
    query = f"{QUERY}&user=42&find=true&order=disagree&masking=none"
    with opened(page, f"{address}/recommend?{query}", width, color_scheme=scheme) as shown:
        expect(shown.get_by_text("943 users. Click a row")).to_be_visible()
        shown.screenshot(path=str(tmp_path / f"{kind}.png"))
        shown.locator(".card").last.scroll_into_view_if_needed()
        shown.screenshot(path=str(tmp_path / f"{kind}-end.png"))
        assert sideways(shown) == []
        scroller = shown.locator(".scroller")
        box = scroller.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width + 1
        wide = scroller.evaluate("element => element.scrollWidth > element.clientWidth + 1")
        assert wide == (kind == "phone")
        background = shown.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) / 3 < 128) == (scheme == "dark")
