"""Compare in a real Chromium: a baseline beside a run, its views and their addresses, both themes and a phone's width."""

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from recformer.ui.shared.palette import GLYPHS
from tests.browser.app import PATIENCE_MS, command, serving

DEMO = "demo-baseline"
VIEWS = {  # what only this view says
    "Ranking": "With one held-out movie a user",
    "Duplication": "Masking the history makes both zero",
    "Beyond accuracy": "None of these is better or worse by itself",
    "Slices": "Groups of fewer than 30 cases",
    "Users": "Each point is a held-out movie",
    "Loss curves": "Losses of runs with different loss functions",
    "Penalties": "Eight items, of which three are the latest",
    "Configurations": "Show all settings",
    "Article": "Published and its files.",
}
TRACES = re.compile(r"Traceback|did not foresee|File \"")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def rows(page: Page, number: int = 0) -> list[list[str]]:
    """Cells of the page's table of that number, without its header; models by their names, without mark and source."""
    lines = page.locator("table").nth(number).locator("tbody tr").all()
    found = [[" ".join(cell.inner_text().split("\n")) for cell in line.locator("th, td").all()] for line in lines]
    heads = [line.locator("th, td").first.inner_text().split("\n")[0] for line in lines]
    return [[re.sub(f"^[{GLYPHS}] ", "", head), *cells[1:]] for head, cells in zip(heads, found, strict=True)]


def still(page: Page) -> None:
    """Wait until the script has run to its end, the answer is there and Plotly has drawn what it was given."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_text("has the highest NDCG@")).to_be_visible()
    for chart in page.locator(".live-chart, [data-testid=stPlotlyChart]").all():
        expect(chart.locator(".main-svg").first).to_be_visible()


def choose(page: Page, view: str) -> None:
    page.get_by_role("radio", name=view).click()
    expect(page.get_by_role("radio", name=view)).to_be_checked()
    expect(page.get_by_text(VIEWS[view])).to_be_visible()
    for other in VIEWS.keys() - {view}:
        expect(page.get_by_text(VIEWS[other])).to_have_count(0)
    still(page)


def add(page: Page, model: str) -> None:
    """Pick one more model."""
    models = page.get_by_role("combobox", name="Models")
    models.fill(model)
    page.get_by_role("option", name=model).click()
    models.press("Escape")


@contextmanager
def opened(browser: Browser, url: str, width: int = 1440, height: int = 900, **options: str | bool) -> Iterator[Page]:
    """The address in a browser of its own that has seen nothing before."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)  # pyright: ignore
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url)
        yield page
    finally:
        context.close()


def browser_of(page: Page) -> Browser:
    assert page.context.browser is not None
    return page.context.browser


def test_a_baseline_beside_a_run_in_every_view_and_in_a_second_browser(root: Path, address: str, page: Page) -> None:
    page.goto(f"{address}/compare?runs={DEMO}")
    still(page)
    add(page, "Popularity")
    expect(page.locator("table").first.locator("tbody tr")).to_have_count(2)
    still(page)
    ndcg_equals_the_command_line(root, page)
    choose(page, "Duplication")
    duplication = rows(page)
    assert [row[0] for row in duplication] == ["baseline", "Popularity"]
    choose(page, "Slices")
    slices = rows(page)
    assert len(slices) > 1 and all(" to " in cell for row in slices for cell in row[2:])
    assert "view=Slices" in page.url and "baseline%3Apopularity" in page.url
    with opened(browser_of(page), page.url) as other:
        still(other)
        expect(other.get_by_role("radio", name="Slices")).to_be_checked()
        assert rows(other) == slices
    assert not TRACES.search(page.inner_text("body"))


def ndcg_equals_the_command_line(root: Path, page: Page) -> None:
    summary = json.loads(command(root, "compare", DEMO, "baseline:popularity", "--format", "json"))
    _, popularity = (result["metrics"] for result in summary["results"] if result["masking"] == "history")
    shown = rows(page)
    assert [row[0] for row in shown] == ["baseline", "Popularity"]
    for k, cell in zip((3, 5, 10), shown[1][1:], strict=True):
        figure = popularity[f"ndcg@{k}"]
        half = (figure["high"] - figure["low"]) / 2
        assert re.match(rf"{figure['mean']:.4f} ±{half:.3f} \([+−]", cell), cell
    # Against a trained model popularity is far behind, whatever family the correction is over.
    assert popularity["ndcg@10"]["difference"]["p_adjusted"] < 0.05
    assert "†" in shown[1][3] and "*" not in shown[1][3] and "▼" in shown[1][3], shown  # trained with one seed
    assert "clearly above all others" in page.inner_text("body")


@pytest.mark.parametrize(
    ("kind", "width", "scheme"), [("light", 1440, "light"), ("dark", 1440, "dark"), ("phone", 400, "light")]
)
def test_every_view_fits_its_window_and_shows_no_trace(
    address: str, page: Page, tmp_path: Path, kind: str, width: int, scheme: str
) -> None:
    url = f"{address}/compare?runs={DEMO}/best&runs=demo-penalty/best&runs=baseline:popularity&runs=baseline:item_knn"
    with opened(browser_of(page), url, width, color_scheme=scheme) as shown:
        for view in VIEWS:
            still(shown)
            choose(shown, view)
            shown.screenshot(path=str(tmp_path / f"{kind}-{view}.png"))
            shown.get_by_text("Protocol", exact=True).scroll_into_view_if_needed()
            shown.screenshot(path=str(tmp_path / f"{kind}-{view}-end.png"))
            assert not TRACES.search(shown.inner_text("body"))
            assert shown.get_by_test_id("stAlertContentError").count() == 0
            assert sideways(shown) == [], f"{view} is wider than {width} px"
        background = shown.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        lightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
        assert (lightness < 128) == (scheme == "dark")


def sideways(page: Page) -> list[str]:
    """What reaches over the right edge of the window and does not scroll within a box of its own."""
    script = """() => {
        const wide = [];
        const scrolls = element => {
            for (let e = element; e && e !== document.body; e = e.parentElement) {
                if (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(e).overflowX)
                        && e.getBoundingClientRect().right <= innerWidth + 1
                        && !['stMain', 'stApp', 'stAppViewContainer'].includes(e.dataset.testid)) return true;
            }
            return false;
        };
        for (const element of document.querySelectorAll('[data-testid=stMain] *')) {
            const box = element.getBoundingClientRect();
            if (box.width && box.height && box.right > innerWidth + 1 && !scrolls(element))
                wide.push(element.tagName + ' ' + (element.dataset.testid || element.className) + ' ' + box.right);
        }
        const main = document.querySelector('[data-testid=stMain]');
        if (main.scrollWidth > main.clientWidth) wide.push('the page scrolls sideways');
        return wide;
    }"""
    return page.evaluate(script)


def test_a_slow_evaluation_is_watched_left_and_found_done(root: Path, page: Page, tmp_path: Path) -> None:
    gate = tmp_path / "open"
    shutil.rmtree(root / "runs" / ".baselines", ignore_errors=True)  # what the tests before had computed
    launcher = [str(Path(__file__).with_name("slow_app.py")), str(gate)]
    with serving(root, launcher) as url:
        page.goto(f"{url}/compare?runs={DEMO}/best")
        still(page)
        choose(page, "Duplication")
        add(page, "Markov chain")
        expect(page.get_by_text("Markov chain: 7 of")).to_be_visible()
        assert page.locator("table").count() == 0
        left = page.url
        page.get_by_test_id("stSidebar").get_by_role("link", name="Data").click()
        expect(page.get_by_text("fingerprint")).to_be_visible()
        page.goto(left)
        expect(page.get_by_text("Markov chain: 7 of")).to_be_visible()
        gate.touch()
        # Nobody touches the page: it looks by itself, and shows the view that was chosen before.
        expect(page.locator("table").first.locator("tbody tr")).to_have_count(2)
        expect(page.get_by_text("Duplication in the input window", exact=True)).to_be_visible()
        choose(page, "Beyond accuracy")
        gate.unlink()
        add(page, "Item kNN")
        expect(page.get_by_text("Item kNN: 7 of")).to_be_visible()
        gate.touch()
        expect(page.locator("table").first.locator("tbody tr")).to_have_count(3)
        expect(page.get_by_text(VIEWS["Beyond accuracy"])).to_be_visible()
        assert "view=Beyond" in page.url
    assert (gate.parent / "open.begun").read_text() == "markov\nitem_knn\n"  # each of them once


def test_a_click_on_a_user_opens_their_lists_in_recommend(address: str, page: Page) -> None:
    page.goto(f"{address}/compare?runs={DEMO}/best&runs=demo-penalty/best&view=Users&recent=8")
    still(page)
    expect(page.get_by_text("held-out movies")).to_be_visible()
    point = (
        page.locator(".live-chart .scatterlayer .trace").nth(5).locator("path.point").first
    )  # only the first finds it
    point.scroll_into_view_if_needed()
    point.hover(force=True)
    said = page.locator(".live-chart .hovertext").text_content() or ""
    user = re.match(r"user (\d+):", said)
    assert user, said
    point.click(force=True)
    page.wait_for_url(re.compile(rf"/recommend\?.*user={user[1]}(&|$)"))
    expect(page.get_by_text(f"User {user[1]}", exact=False).first).to_be_visible()
    assert page.url.count("runs=") == 2
    expect(page.get_by_role("spinbutton", name="Window")).to_have_value("8")
    assert not TRACES.search(page.inner_text("body"))


def test_exports_carry_the_numbers_of_the_page_and_the_report_opens_offline(
    address: str, page: Page, tmp_path: Path
) -> None:
    url = f"{address}/compare?runs={DEMO}/best&runs=baseline:popularity&k=5&k=20&metrics=ndcg&metrics=hr"
    page.goto(url)
    still(page)
    expect(page.locator("table")).to_have_count(2)
    shown = [rows(page, number) for number in (0, 1)]
    assert [len(table[0]) for table in shown] == [4, 4]  # the primary k, 10, is always shown
    page.get_by_role("button", name="Export").click()
    texts = {label: downloaded(page, label, tmp_path) for label in ("HTML report", "CSV", "Markdown", "LaTeX")}
    figures = [cell for table in shown for row in table for cell in row[1:]]
    for figure in figures:
        mean, spread, *_ = figure.split(" ")
        for label in ("HTML report", "Markdown", "LaTeX"):
            assert mean in texts[label]
        assert spread in texts["Markdown"] and spread in texts["HTML report"]
        assert any(f"{float(row['mean']):.4f}" == mean for row in csv.DictReader(io.StringIO(texts["CSV"])))
    difference = shown[0][1][-1].split("(")[1].split(" ")[0].rstrip(")")  # "−0.0711***"
    assert difference in texts["HTML report"] and difference in texts["Markdown"].replace("\\", "")
    (tmp_path / "report.html").write_text(texts["HTML report"], encoding="utf-8")
    with opened(browser_of(page), (tmp_path / "report.html").as_uri(), offline=True) as report:  # pyright: ignore
        expect(report.get_by_role("heading", name="Comparison on ml-100k")).to_be_visible()
        expect(report.locator(".chart .main-svg").first).to_be_visible()
        assert report.locator(".chart").count() == report.locator(".chart .js-plotly-plot").count() > 5
        report.screenshot(path=str(tmp_path / "report.png"))
    with opened(browser_of(page), page.url) as other:
        still(other)
        expect(other.locator("table")).to_have_count(2)
        assert [rows(other, number) for number in (0, 1)] == shown


def downloaded(page: Page, label: str, folder: Path) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=label).click()
    download.value.save_as(folder / label)
    return (folder / label).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["PNG", "SVG"])
def test_a_chart_is_saved_as_it_is_printed(address: str, page: Page, tmp_path: Path, kind: str) -> None:
    page.goto(f"{address}/compare?runs={DEMO}/best&runs=demo-penalty/best")
    still(page)
    chart = page.locator(".live-chart").first
    chart.scroll_into_view_if_needed()
    chart.hover()
    with page.expect_download() as download:
        chart.locator(f'[data-title="Save as {kind}"]').click()
    assert download.value.suggested_filename == f"ndcg@k.{kind.lower()}"
    download.value.save_as(tmp_path / "chart")
    content = (tmp_path / "chart").read_bytes()
    assert content.startswith(b"\x89PNG" if kind == "PNG" else b"<svg")
    assert chart.locator('[data-title*="Share"]').count() == 0, "nothing is sent anywhere"
