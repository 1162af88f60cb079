"""How long somebody in front of a browser waits for the app, and what the app's server takes while it serves.

    python -m benchmarks.app

Writes 100 runs of 10,000 scalars each into a temporary root, with the demo runs' records, models and test results on
MovieLens-100K (which has to be in data/). Starts the app on them as people do, opens it in a real Chromium, and prints
a line for each figure (median, lowest and highest, 95th percentile of ten repeats or more), then all as JSON; ends with
code 1 where a target was missed. `--runs` and `--points` make it smaller, for a quick try. What is timed:

- from nothing: from the start of the server's process until the page is drawn in a browser that was never here; no log
  has been read and no index kept. TensorBoard: from the start of its process until it serves every point of one tag of
  all runs, and until its page, opened then, shows them all in its first chart. Monitor overlays twelve runs at most.
- first paint: from the navigation until the page's table or all of its charts are drawn, server and browser warm.
- rerun: from the key or the click until what was asked for is drawn.
- refresh: from a point's being written by a process that trains until it is drawn in an open Monitor.
- processor: of the server's process, in percent of one core, over windows of some seconds with one tab open.
- memory: of the server's process, resident: after all that, and with three models loaded on Recommend. `--ml1m FOLDER`
  does the latter over MovieLens-1M besides, in the same process, with untrained models.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page

from benchmarks.browsing import (
    BOARD,
    CHARTS,
    FORGET_TABLE,
    RECORD,
    TABLE,
    VIEW,
    answered,
    chromium,
    new_tab,
    painted,
    wait_for,
)
from benchmarks.figure import Figure, report
from benchmarks.runs import TAGS, write_runs, write_untrained
from benchmarks.tensorboard_server import serves, tensorboard
from recformer.data.cache import load as load_dataset
from recformer.files.names import PROJECT
from recformer.logs.panels import panels
from recformer.logs.reader import INDEX_FILE, RunLog
from recformer.run.paths import Root
from tests.browser.app import started_app
from tests.waiting import wait_until

STARTS, PAINTS, RERUNS = 2, 12, 16
OVERLAID, MODELS, WINDOW = 5, 3, 5
MOST = 12  # runs that Monitor overlays
SECONDS, WINDOWS = 5, 3  # of the processor's figures: so many windows of so many seconds
DRAWN = 50  # points of the run at work whose refresh is timed
LIVE, TAG = "live", "loss/train"
VIEWS = {  # what only this view says
    "Duplication": "Masking the history makes both zero",
    "Slices": "Groups of fewer than 30 cases",
    "Users": "Each point is a held-out movie",
    "Ranking": "With one held-out movie a user",
}
PAINT_S, RERUN_S, REFRESH_S, PROCESSOR, MEMORY_MB = 1.5, 0.5, 3.0, 5.0, 700.0


@dataclass(frozen=True)
class App:
    """The running app, with one tab open."""

    root: Root
    run_ids: list[str]
    server: psutil.Process
    url: str
    page: Page

    def monitor(self, count: int) -> str:
        """The address of Monitor with so many runs overlaid."""
        return f"{self.url}/monitor?" + "&".join(f"run={run_id}" for run_id in self.run_ids[:count])

    def with_models(self, page: str, names: Sequence[str]) -> str:
        """The address of a page with the best checkpoints of these runs."""
        return f"{self.url}/{page}?" + "&".join(f"runs={name}/best" for name in names)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=100, help="how many (default: %(default)s)")
    arguments.add_argument("--points", type=int, default=10_000, help="of each run (default: %(default)s)")
    arguments.add_argument("--data", type=Path, default=PROJECT / "data" / "ml-100k", help="MovieLens-100K")
    arguments.add_argument("--ml1m", type=Path, metavar="FOLDER", help="MovieLens-1M, for Recommend over it")
    asked = arguments.parse_args()
    for folder in filter(None, (asked.data, asked.ml1m)):
        if not folder.is_dir():
            arguments.error(f"{folder} is not there: python -m recformer data fetch {folder.name}, or name another one")
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        root = Root(Path(name))
        run_ids = write_runs(root, asked.runs, asked.points)
        root.data.mkdir()
        (root.data / "ml-100k").symlink_to(asked.data.resolve())
        figures = from_nothing(root, run_ids, asked.points // len(TAGS), browser)
        with serving(root, run_ids, browser) as app:
            figures += [*paints(app), *reruns(app), *idle(app), *at_work(app), memory(app, "after all that")]
            figures.append(three_models(app, "ml-100k", run_ids[:MODELS]))
            if asked.ml1m is not None:
                figures.append(three_models(app, "ml-1m", untrained(root, asked.ml1m)))
    report(figures)


@contextmanager
def serving(root: Root, run_ids: list[str], browser: Browser) -> Generator[App]:
    """The app, answering, and a tab of a browser that was never here."""
    process, url = started_app(root.path)
    try:
        with new_tab(browser) as page:
            yield App(root, run_ids, psutil.Process(process.pid), url, page)
    finally:
        process.terminate()
        process.wait(timeout=30)


def from_nothing(root: Root, run_ids: list[str], points: int, browser: Browser) -> list[Figure]:
    """Seconds from a process' start, in turn, so that what disturbs the machine disturbs all."""
    home, paint, monitor, served, shown = (list[float]() for _ in range(5))
    for _ in range(STARTS):
        forget_logs(root)
        begin = time.perf_counter()
        with serving(root, run_ids, browser) as app:
            paint.append(painted(app.page, app.url, TABLE))
            home.append(time.perf_counter() - begin)
        forget_logs(root)
        begin = time.perf_counter()
        with serving(root, run_ids, browser) as app:
            painted(app.page, app.monitor(MOST), CHARTS, charts(MOST))
            monitor.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        with tensorboard(root.runs) as url, new_tab(browser) as page:
            wait_until(lambda url=url: serves(url, run_ids, TAG, points), "TensorBoard to serve all points")
            served.append(time.perf_counter() - begin)
            painted(page, url, BOARD, f"{points:,}")
            shown.append(time.perf_counter() - begin)
    return [
        Figure.of("From nothing, Home drawn, all runs' loss curves in its table", home),
        Figure.of("From nothing, first paint of Home, server and browser cold", paint),
        Figure.of(f"From nothing, Monitor drawn, {MOST} overlaid", monitor),
        Figure.of(f"From nothing, TensorBoard serves {TAG} of all {len(run_ids)} runs", served),
        Figure.of(f"From nothing, TensorBoard's page shows {TAG} of all {len(run_ids)} runs", shown),
    ]


def forget_logs(root: Root) -> None:
    """Take away what the app keeps of the logs for its next start."""
    for index in root.runs.glob(f"*/{INDEX_FILE}"):
        index.unlink()


def charts(count: int, axis: str = "epoch") -> tuple[int, str]:
    """How many charts Monitor has for so many runs, and their horizontal axis.

    Runs that are overlaid have a chart for each tag, but for the loss of training and validation, which share one.
    """
    return (len(panels(TAGS)) if count == 1 else len(TAGS) - 1), axis


def paints(app: App) -> list[Figure]:
    """Seconds from the navigation until Home and Monitor are drawn."""
    painted(app.page, app.url, TABLE)  # the browser now has the app's scripts
    home = [painted(app.page, app.url, TABLE) for _ in range(PAINTS)]
    figures = [Figure.of("First paint of Home", home, below=PAINT_S)]
    for count in (1, OVERLAID):
        times = [painted(app.page, app.monitor(count), CHARTS, charts(count)) for _ in range(PAINTS)]
        figures.append(Figure.of(f"First paint of Monitor, {count} overlaid", times, below=PAINT_S))
    return figures


def reruns(app: App) -> list[Figure]:
    """Seconds from an interaction until its answer is drawn."""
    return [
        Figure.of("Rerun of Home, another search", searches(app), below=RERUN_S),
        *(
            Figure.of(f"Rerun of Monitor, another axis, {count} overlaid", switches(app, count), below=RERUN_S)
            for count in (1, OVERLAID)
        ),
        Figure.of(f"Rerun of Compare, another view, {MODELS} models", views(app), below=RERUN_S),
    ]


def searches(app: App) -> list[float]:
    """All runs but another one each time are searched for: the longest table that there can be."""
    painted(app.page, app.url, TABLE)
    field, times = app.page.get_by_role("textbox", name="Search"), list[float]()
    for run_id in itertools.islice(itertools.cycle(app.run_ids), RERUNS):
        app.page.evaluate(FORGET_TABLE)
        field.fill(f"-{run_id}")
        times.append(answered(app.page, "keydown", lambda: field.press("Enter"), TABLE))
    return times


def switches(app: App, count: int) -> list[float]:
    """Between two axes."""
    painted(app.page, app.monitor(count), CHARTS, charts(count))
    times: list[float] = []
    for axis in itertools.islice(itertools.cycle(["step", "epoch"]), RERUNS):
        option = app.page.get_by_role("radio", name=axis)
        times.append(answered(app.page, "click", option.click, CHARTS, charts(count, axis)))
    return times


def views(app: App) -> list[float]:
    """From view to view; each is computed the first time, and then known."""
    painted(app.page, app.with_models("compare", app.run_ids[:MODELS]), VIEW, VIEWS["Ranking"])
    times: list[float] = []
    for view, words in itertools.islice(itertools.cycle(VIEWS.items()), RERUNS):
        option = app.page.get_by_role("radio", name=view)
        times.append(answered(app.page, "click", option.click, VIEW, words))
    return times


def idle(app: App) -> list[Figure]:
    """The processor's figures while no run is at work."""
    painted(app.page, app.url, TABLE)
    home = processor(app)
    painted(app.page, app.monitor(1), CHARTS, charts(1))
    return [
        Figure.of("Processor, Home open, no run at work", home, "%", PROCESSOR),
        Figure.of("Processor, Monitor open, no run at work", processor(app), "%", PROCESSOR),
    ]


def processor(app: App) -> list[float]:
    return [app.server.cpu_percent(SECONDS) for _ in range(WINDOWS)]


def at_work(app: App) -> list[Figure]:
    """A run's new points from the log to the chart, and what the server takes meanwhile."""
    folder = app.root.run(LIVE)
    folder.mkdir()
    trainer = subprocess.Popen([sys.executable, "-m", "tests.browser.pretend_trainer", str(folder), "600"], cwd=PROJECT)
    try:
        wait_until(lambda: len(written(folder)) > 1, "the run at work to log")
        painted(app.page, f"{app.url}/monitor?run={LIVE}", "() => document.querySelector('.scatterlayer .trace path')")
        app.page.evaluate(RECORD)
        busy = processor(app)
        wait_for(app.page, "count => Object.keys(window.drawn).length >= count", DRAWN)
        drawn: dict[str, float] = app.page.evaluate("() => window.drawn")
    finally:
        trainer.terminate()
        trainer.wait(timeout=30)
    log = written(folder)
    return [
        Figure.of("Processor, Monitor open on a run at work", busy, "%", PROCESSOR),
        Figure.of(
            "Refresh, from log to chart", [at - log[int(step)] for step, at in drawn.items()], p95_below=REFRESH_S
        ),
    ]


def written(folder: Path) -> dict[int, float]:
    """When each step of the tag was logged, in seconds since 1970. The trainer writes a point as soon as it has it."""
    log = RunLog(folder)
    log.refresh()
    curve = log.scalars().get(TAG)
    return {} if curve is None else dict(zip(curve.step.tolist(), curve.wall_time.tolist(), strict=True))


def memory(app: App, when: str) -> Figure:
    return Figure.of(f"Memory {when}", [app.server.memory_info().rss / 1e6], "MB", MEMORY_MB)


def untrained(root: Root, folder: Path) -> list[str]:
    """Runs with untrained models of a dataset that is named by its folder; their ids."""
    (root.data / "ml-1m").symlink_to(folder.resolve())
    dataset = load_dataset(folder, root.data / ".cache")
    run_ids = [f"untrained-{number}" for number in range(MODELS)]
    for seed, run_id in enumerate(run_ids):
        write_untrained(root, run_id, dataset, "data/ml-1m", WINDOW, seed)
    return run_ids


def three_models(app: App, dataset: str, run_ids: Sequence[str]) -> Figure:
    """The server's memory once these models have answered on Recommend."""
    app.page.goto(app.with_models("recommend", run_ids))
    for place in range(len(run_ids)):
        app.page.locator("section.column").nth(place).locator(".card").first.wait_for()
    return memory(app, f"with {len(run_ids)} models on {dataset}")


if __name__ == "__main__":
    main()
